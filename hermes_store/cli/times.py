"""Times as people type them: a date, an ISO 8601 time, or how long ago."""

from __future__ import annotations

import datetime
import re
import time
from typing import Annotated, Final

import typer

_SECONDS: Final = {
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "mo": 30.44 * 86_400,
    "y": 365.25 * 86_400,
}
_AGO: Final = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?) ?({'|'.join(_SECONDS)})")
_EPOCH: Final = re.compile(r"@(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)")
_DAYS: Final = {"today": 0, "yesterday": 1}

#: What `moment` takes, for the help of options.
FORMS: Final = "2026-11-01, 2026-11-01T14:30, yesterday, or 7d for seven days ago (also s, min, h, w, mo, y)"


Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", show_default=False, help=f"Only sessions changed then or later: {FORMS}."),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", show_default=False, help="Only sessions changed before then; a date includes its whole day."
    ),
]


def time_range(since: str | None, until: str | None) -> dict[str, float | None]:
    """Return what --since and --until mean, as arguments of lists.

    Raises:
        BadParameter: one is no time, or they are the wrong way round.
    """
    times = {"since": moment("--since", since), "until": moment("--until", until, is_end=True)}
    if None not in times.values() and times["since"] >= times["until"]:  # type: ignore[operator]
        raise typer.BadParameter("--since is not before --until.")
    return times


def moment(option: str, text: str | None, *, is_end: bool = False) -> float | None:
    """Return a time that an option names, in epoch seconds; None without one.

    Args:
        option: its name, for the error.
        text: what was typed.
        is_end: the time ends a range, so a date means the end of that day. (Otherwise it means its beginning.)

    Raises:
        BadParameter: it is no time.
    """
    if text is None:
        return None
    try:
        return _parsed(text.strip().casefold(), is_end=is_end)
    except (ValueError, OverflowError, OSError):  # the last one: a year that the system's clock does not have
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise typer.BadParameter(f"{shown!r} is no time. Give {FORMS}.", param_hint=option) from None


def _parsed(text: str, *, is_end: bool) -> float:
    if ago := _AGO.fullmatch(text):
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    if epoch := _EPOCH.fullmatch(text):
        return float(epoch[1])
    if text in _DAYS:
        return _midnight(datetime.datetime.now().astimezone().date() - datetime.timedelta(_DAYS[text]), is_end=is_end)
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        return datetime.datetime.fromisoformat(text.upper()).timestamp()  # without a zone, it is this machine's
    return _midnight(day, is_end=is_end)


def _midnight(day: datetime.date, *, is_end: bool) -> float:
    """Return when a day begins, or ends, where this machine is."""
    if is_end:
        day += datetime.timedelta(days=1)
    return datetime.datetime.combine(day, datetime.time.min).timestamp()  # noqa: DTZ - the machine's zone is meant
