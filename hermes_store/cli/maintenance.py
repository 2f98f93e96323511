"""``hermes-store backup``: what those need who look after a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .opening import Database, open_existing
from .output import Json, make_console, print_json, say
from .progress import interruptible
from .text import count, size

if TYPE_CHECKING:
    from ..maintenance import BackupProgress


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
    with open_existing(db) as store:

        def state(done: int) -> str:
            return "No backup was made; the database is as it was."

        with interruptible(console, "Backing up", "pages", quiet=as_json, state=state) as advance:

            def on_progress(now: BackupProgress) -> None:
                advance(now.done, now.total, "checking the copy" if now.step == "check" else "")

            report = maintenance.backup(store, target, keep=keep, on_progress=on_progress)
    if as_json:
        print_json(report.model_dump())
        return
    contents = f"{count(report.sessions, 'session')} ({count(report.messages, 'message')})"
    say(console, f"Backed up {contents} of {report.source} ({report.seconds:.1f} s):")
    say(console, f"{report.path} ({size(report.size_bytes)})")
    for path in report.removed:
        say(console, f"Removed {path}", "dim")
