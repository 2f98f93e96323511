"""``hermes-store stats``."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import typer

from ..quoting import count
from .filters import Profile
from .opening import Database, open_existing
from .output import Json, make_console, plain, print_json, say
from .projects import all_projects
from .rows import Limit
from .table import Column, cell, print_table
from .times import FORMS, time_range, zone_of

if TYPE_CHECKING:
    from rich.console import Console

    from ..records import UsageGroup, UsageTotal


class By(enum.StrEnum):
    """What usage is grouped by."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    MODEL = "model"
    PROVIDER = "provider"
    PROFILE = "profile"
    PROJECT = "project"
    SESSION = "session"
    SOURCE = "source"


_PERIODS: Final = (By.DAY, By.WEEK, By.MONTH)
_NOTHING: Final = {By.SESSION: "(purged)", By.SOURCE: "(user interface)"}
#: The width of the longest bar where there is room, and the least with which the bars are drawn.
_LONGEST_BAR: Final = 24
_SHORTEST_BAR: Final = 8
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"


def stats(
    *,
    by: Annotated[
        list[By] | None,
        typer.Option(help="Group by this; more than once for several groups together. By month without it."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", show_default=False, help=f"Only what was used then or later: {FORMS}.")
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default=False, help="Only what was used before then; a date includes its whole day."
        ),
    ] = None,
    tz: Annotated[
        str | None,
        typer.Option(
            metavar="ZONE", show_default=False, help="Where days begin, as Europe/Berlin; else where this is."
        ),
    ] = None,
    profile: Profile = None,
    limit: Limit = 50,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Show how many tokens sessions used, and what they cost: the last periods, or the groups with the most."""
    groups = list(dict.fromkeys(by or [By.MONTH]))
    zone = zone_of(tz)
    times: dict[str, Any] = time_range(since, until, zone)
    with open_existing(db) as store, store.snapshot() as view:
        names = cast("list[UsageGroup]", [group.value for group in groups])
        found = list(view.usage.totals(names, **times, tz=zone, profile=profile))
        [total] = view.usage.totals(**times, profile=profile)
        projects = all_projects(view, profile) if By.PROJECT in groups else []
    if groups[0] not in _PERIODS:
        found.sort(key=_amount, reverse=True)
    shown = found[-limit:] if groups[0] in _PERIODS else found[:limit]
    if as_json:
        print_json({"items": [_json(one, names) for one in shown], "total": _json(total, [])})
        return
    console = make_console()
    if shown:
        titles = {project.project_id: project.name for project in projects}
        columns = _columns(shown, groups, titles)
        columns.append(_chart(console, shown, columns))
        print_table(console, columns, [""] * len(shown))
        console.print()
    if len(found) > len(shown):
        say(console, f"{count(len(found) - len(shown), 'more group')}; --limit shows more.", "dim")
    say(console, f"Total: {_sum(total)}.", "dim")


def _json(total: UsageTotal, groups: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in plain(total).items() if name in groups or name not in set(By)}


def _amount(total: UsageTotal) -> tuple[float, int]:
    return total.cost or 0.0, total.input_tokens + total.output_tokens


def _columns(shown: Sequence[UsageTotal], groups: Sequence[By], projects: Mapping[str, str]) -> list[Column]:
    columns = []
    for number, group in enumerate(groups):
        values = [getattr(one, group.value) for one in shown]
        if group is By.PROJECT:
            values = [None if value is None else projects.get(value, value) for value in values]
        cells = [_NOTHING.get(group, f"(no {group})") if value is None else cell(value) for value in values]
        whole = group in _PERIODS or group is By.SESSION
        cut: Literal["start", "end"] = "start" if group is By.MODEL else "end"  # the provider is first in its name
        columns.append(Column(header=group.title(), rank=1 + number, least=8, cut=cut, cells=cells, whole=whole))
    costs = ["" if one.cost is None else f"${one.cost:,.2f}" for one in shown]
    columns += [
        _numbers("Input", 6, [one.input_tokens for one in shown]),
        _numbers("Output", 7, [one.output_tokens for one in shown]),
        _numbers("Cached", 9, [one.cache_read_tokens for one in shown]),
        Column(header="Cost", rank=5, right=True, whole=True, cells=costs),
    ]
    return columns


def _chart(console: Console, shown: Sequence[UsageTotal], others: Sequence[Column]) -> Column:
    """Return the column of bars: of costs, or of tokens where there are none. It is empty where there is no room."""
    is_costly = any(one.cost for one in shown)
    heights = [float(one.cost or 0) if is_costly else float(one.input_tokens + one.output_tokens) for one in shown]
    longest = _LONGEST_BAR
    if console.is_terminal:
        used = sum(min(column.natural, column.enough) + column.gap for column in others if not column.is_empty)
        longest = min(longest, console.width - used)
    bars = _bars(heights, longest, draws=console.is_terminal) if longest >= _SHORTEST_BAR else [""] * len(shown)
    return Column(header="", rank=8, whole=True, cells=bars, style="cyan")


def _numbers(header: str, rank: int, numbers: Sequence[int]) -> Column:
    cells = [f"{number:,}" for number in numbers] if any(numbers) else [""] * len(numbers)
    return Column(header=header, rank=rank, right=True, whole=True, cells=cells)


def _bars(heights: Sequence[float], longest: int, *, draws: bool) -> list[str]:
    """Return a bar for each of some amounts, the longest for the largest; nothing for a negative one.

    Args:
        longest: its width.
        draws: by blocks, which a terminal has; otherwise by plain characters.
    """
    most = max(heights)
    if most <= 0:
        return [""] * len(heights)
    if not draws:
        return ["#" * round(longest * max(0.0, height) / most) for height in heights]
    bars = []
    for height in heights:
        whole, eighths = divmod(round(8 * longest * max(0.0, height) / most), 8)
        bars.append(("█" * whole + _EIGHTHS[eighths]).rstrip())
    return bars


def _sum(total: UsageTotal) -> str:
    cost = "" if total.cost is None else f", ${total.cost:,.2f}"
    return f"{total.input_tokens:,} tokens in, {total.output_tokens:,} out{cost}"
