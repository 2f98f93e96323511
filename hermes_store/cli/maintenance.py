"""``hermes-store backup``, ``restore-backup``, ``verify``, ``reindex`` and ``compact``: looking after a database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from ..quoting import count, size
from .asking import Yes, confirmed, require_terminal
from .exits import ExitCode
from .findings import print_findings
from .opening import Database, open_existing, open_to_write
from .output import Json, make_console, print_json, say
from .progress import Advance, interruptible

if TYPE_CHECKING:
    from ..maintenance import BackupProgress, RestoreReport, VerifyProgress


def backup(
    target: Annotated[
        Path | None,
        typer.Argument(
            metavar="[TARGET]",
            show_default=False,
            parser=Path,
            help="The file to make, or a folder that exists; else the folder `backups` next to the database.",
        ),
    ] = None,
    *,
    keep: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            show_default=False,
            help="Remove the older backups of this database in the folder, but for the N newest.",
        ),
    ] = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Copy the database to a file while others write to it; the copy is checked, and readable for you only."""
    from .. import maintenance

    console = make_console()
    with (
        open_existing(db) as store,
        interruptible(
            console, "Backing up", "pages", quiet=as_json, state="No backup was made; the database is as it was."
        ) as advance,
    ):
        report = maintenance.backup(store, target, keep=keep, on_progress=lambda now: _advance(advance, now))
    if as_json:
        print_json(report.model_dump())
        return
    contents = f"{count(report.sessions, 'session')} ({count(report.messages, 'message')})"
    say(console, f"Backed up {contents} of {report.source} ({report.seconds:.1f} s):")
    say(console, f"{report.path} ({size(report.size_bytes)})")
    for path in report.removed:
        say(console, f"Removed {path}", "dim")


def restore_backup(
    path: Annotated[Path, typer.Argument(metavar="BACKUP", show_default=False, parser=Path, help="The backup's file.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the backup, and say what would be replaced; replace nothing.")
    ] = False,
    yes: Yes = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Put a backup in the place of the database, which nobody may have open, and keep the file that was there."""
    from .. import maintenance
    from ..targets import shown

    if not (yes or dry_run) and os.path.isfile(path) and _exists(db):  # noqa: PTH113 - Path.is_file() may raise an error
        require_terminal("Nothing was restored")
        if not confirmed(f"Replace {shown(db)} by {path}, and keep what is there now next to it?"):
            say(make_console(), "Nothing was restored.")
            return
    console = make_console()
    with interruptible(
        console, "Restoring", "pages", quiet=as_json, state="Nothing was restored; the database is as it was."
    ) as advance:
        report = maintenance.restore_backup(path, db, dry_run=dry_run, on_progress=lambda now: _advance(advance, now))
    if as_json:
        print_json(report.model_dump())
        return
    contents = f"{count(report.sessions, 'session')} ({count(report.messages, 'message')})"
    if dry_run:
        _print_plan(console, report, contents)
        return
    say(console, f"Restored {contents} of {report.backup} to {report.target} ({report.seconds:.1f} s).")
    if report.replaced:
        say(console, f"What was there is in {report.replaced}")


def _print_plan(console: Console, report: RestoreReport, contents: str) -> None:
    """Say what a restore would do."""
    say(console, f"{report.backup} is whole. Would restore {contents} of it to {report.target}.")
    if report.replaced is None:
        say(console, "There is no database there now.")
        return
    say(console, f"It would replace {_contents(report.target)}, and keep that as {report.replaced}")
    if report.open_in:
        say(console, f"First, end what has the database open: {', '.join(report.open_in)}.")


def _contents(target: str) -> str:
    """Return what is in a database, as far as it can be opened."""
    from ..errors import HermesStoreError

    try:
        with open_existing(target) as store:
            stats = store.stats()
    except HermesStoreError as error:
        return f"a database that cannot be opened as it is ({error})"
    deleted = f", and {stats.deleted:,} deleted" if stats.deleted else ""
    return f"{count(stats.sessions, 'session')} ({count(stats.messages, 'message')}){deleted}"


def _exists(target: str) -> bool:
    from ..errors import DatabaseMissingError, HermesStoreError

    try:
        open_existing(target).close()
    except DatabaseMissingError:
        return False
    except HermesStoreError:  # damaged, or of another version: it is there
        return True
    return True


def _advance(advance: Advance, now: BackupProgress) -> None:
    if now.step == "copy":
        advance(now.done, now.total, "")
    else:
        advance(0, 0, "checking the copy")


def verify(db: Database = "", as_json: Json = False) -> None:
    """Check everything in the database while others use it: the file, the counters, every message and document.

    Nothing is changed. The exit code is 1 if something is wrong.
    """
    from .. import maintenance

    console = make_console()
    with open_existing(db) as store:

        def state(done: int) -> str:
            return f"{count(done, 'session')} checked; nothing was changed."

        with interruptible(console, "Checking", "sessions", quiet=as_json, state=state) as advance:

            def on_progress(now: VerifyProgress) -> None:
                found = count(now.findings, "finding") if now.findings else ""
                advance(now.done, now.total if now.step == "sessions" else 0, _STEPS.get(now.step, found))

            report = maintenance.verify(store, on_progress=on_progress)
    if as_json:
        print_json({**report.model_dump(), "ok": report.ok})
    else:
        print_findings(console, report.findings)
        if report.omitted:
            say(console, f"… and {count(report.omitted, 'more finding')}")
        contents = f"{count(report.sessions, 'session')}, {count(report.messages, 'message')}"
        result = "nothing is wrong" if report.ok else count(len(report.findings) + report.omitted, "finding")
        say(console, f"Checked {report.target} ({contents}): {result} ({report.seconds:.1f} s).")
    if not report.ok:
        raise typer.Exit(ExitCode.SOME_FAILED)


_STEPS: Final = {"file": "the file", "links": "links between rows"}


def reindex(db: Database = "", as_json: Json = False) -> None:
    """Make the index of words that `search` uses anew, or for the first time, while others use the database."""
    from .. import maintenance

    console = make_console()
    with open_to_write(db, quiet=as_json) as store:

        def state(done: int) -> str:
            return f"{count(done, 'message')} are in the index; the next command that writes puts the others into it."

        with interruptible(console, "Indexing", "messages", quiet=as_json, state=state) as advance:
            report = maintenance.reindex(store, on_progress=lambda now: advance(now.done, now.total, ""))
    if as_json:
        print_json(report.model_dump())
        return
    say(console, f"Indexed {count(report.messages, 'message')} of {report.target} ({report.seconds:.1f} s).")


def compact(db: Database = "", as_json: Json = False) -> None:
    """Write the database file anew: give free space back, and leave no removed text in it. Writers wait meanwhile.

    It takes free disk space: as much as the database for a temporary file, and again for the log.
    """
    from .. import maintenance

    console = make_console()
    with (
        open_to_write(db, quiet=as_json) as store,
        interruptible(console, "Compacting", "steps", quiet=as_json, state="The database is as it was.") as advance,
    ):
        report = maintenance.compact(store, on_progress=lambda: advance(0, 0, ""))
    if as_json:
        print_json({**report.model_dump(), "freed_bytes": report.freed_bytes})
        return
    sizes = f"from {size(report.size_before)} to {size(report.size_after)}"
    say(console, f"Compacted {report.target} {sizes} ({report.seconds:.1f} s).")
    if not report.erased:
        say(console, "Another program uses it, so its log still has old text until that program closes it.", "dim")
