"""``hermes-store repair`` and ``salvage``: what to do when `verify` finds something."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..quoting import count, size
from .exits import ExitCode
from .findings import place_of, print_findings
from .opening import Database
from .output import Json, make_console, print_json, say
from .progress import interruptible

if TYPE_CHECKING:
    from ..maintenance import RepairProgress, SalvagedItem, SalvageProgress


def repair(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, and say what would be put right.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Put right what follows from the rest of the database, while others use it: its schema, indexes, links, counters.

    The exit code is 1 if something is left that follows from nothing: `salvage` or a backup helps then.
    """
    from .. import maintenance

    console = make_console()
    with interruptible(
        console, "Repairing", "sessions", quiet=as_json, state="What was not repaired yet is as it was."
    ) as advance:

        def on_progress(now: RepairProgress) -> None:
            remark = _STEPS.get(now.step, count(now.repaired, "repair") if now.repaired else "")
            if now.step == "index":
                remark = f"the index of words: {now.done:,} of {count(now.total, 'message')}"
            advance(now.done, now.total if now.step == "sessions" else 0, remark)

        report = maintenance.repair(db, dry_run=dry_run, on_progress=on_progress)
    if as_json:
        print_json({**report.model_dump(), "ok": report.ok})
    else:
        verb = "Would repair" if dry_run else "Repaired"
        for done in report.repaired:
            say(console, f"{verb} {place_of(done.session_id)}: {done.what}.")
        print_findings(console, report.left, "Left")
        if report.omitted:
            say(console, f"… and {report.omitted:,} more")
        if report.copy_path:
            say(console, f"The file as it was is in {report.copy_path}")
        result = f"{count(len(report.repaired), 'repair')}, {count(len(report.left), 'finding')} left"
        name = "Looked at" if dry_run else "Checked"
        say(
            console, f"{name} {report.target} ({count(report.sessions, 'session')}): {result} ({report.seconds:.1f} s)."
        )
    if not report.ok:
        raise typer.Exit(ExitCode.SOME_FAILED)


_STEPS: Final = {"schema": "the schema", "file": "the file", "links": "links between rows"}


def salvage(
    damaged: Annotated[
        Path, typer.Argument(metavar="DAMAGED", show_default=False, parser=Path, help="The file, which stays as it is.")
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", show_default=False, parser=Path, help="The database to make.")],
    *,
    as_json: Json = False,
) -> None:
    """Read what is left of a damaged SQLite file into a new database, page by page where SQLite cannot.

    The exit code is 1 if something is missing.
    """
    from .. import maintenance

    console = make_console()
    with interruptible(
        console, "Reading", "pages", quiet=as_json, state="Nothing was made; the damaged file is as it was."
    ) as advance:

        def on_progress(now: SalvageProgress) -> None:
            if now.step == "read":
                advance(now.done, now.total, "")
            else:
                of = f": {now.done:,} of {now.total:,} {_SALVAGED[now.step]}" if now.total else ""
                advance(0, 0, f"{_DOING[now.step]}{of}")

        report = maintenance.salvage(damaged, new, on_progress=on_progress)
    if as_json:
        print_json({**report.model_dump(), "ok": report.ok})
    else:
        states = maintenance.SalvageState
        found = {one: [item for item in report.sessions if item.state is one] for one in states}
        for one in (states.LOST, states.MESSAGES, states.PARTLY):
            for item in found[one]:
                say(console, f"{_SAID[one]} {item.session_id}: {_missing(item)}.", "red")
        for table, places in report.damaged.items():
            say(console, f"Rows of table {table} may be missing in {count(places, 'place')}.", "red")
        figures = [f"{len(found[one]):,} {_COUNTED[one]}" for one in states if found[one]]
        say(console, f"Read {report.source} ({report.seconds:.1f} s): {', '.join(figures) or 'no session'}.")
        contents = f"{count(report.messages, 'message')}, {count(report.projects, 'project')}"
        say(console, f"{report.target} ({contents}, {size(report.size_bytes)})")
    if not report.ok:
        raise typer.Exit(ExitCode.SOME_FAILED)


#: What is done after reading, and what is counted.
_DOING: Final = {"order": "putting rows in order", "index": "the index of words", "check": "checking what was read"}
_SALVAGED: Final = {"index": "messages", "check": "sessions"}
_SAID: Final = {"lost": "Lost session", "messages": "Messages only, in session", "partly": "Part of session"}
_COUNTED: Final = {
    "whole": "whole",
    "partly": "with parts missing",
    "messages": "with messages only",
    "lost": "lost",
}


def _missing(item: SalvagedItem) -> str:
    if item.state == "lost":
        return "nothing but its id can be read"
    parts = list(item.problems)
    if item.missing:
        ranges = ", ".join(_ranges(item.missing))
        parts.insert(0, f"{count(_number(item.missing), 'message')} missing, at {ranges}")
    if item.state == "messages":
        parts.insert(0, f"{count(item.messages, 'message')} without the title and the other fields")
    return "; ".join(parts)


def _number(missing: Iterable[tuple[int, int]]) -> int:
    return sum(last - first + 1 for first, last in missing)


def _ranges(missing: list[tuple[int, int]]) -> list[str]:
    shown = [str(first) if first == last else f"{first} to {last}" for first, last in missing[:20]]
    return [*shown, "…"] if len(missing) > 20 else shown
