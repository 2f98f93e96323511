"""``hermes-store import`` and ``export``: import and export of hermes-webui's files."""

from __future__ import annotations

import enum
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer
from rich.console import Console

from .. import paths
from ..errors import DatabaseMissingError, SchemaError
from ..quoting import count, quoted
from . import report as reports
from .completing import session_ids
from .conversation import Format, export_session
from .exits import CommandError, ExitCode
from .import_log import print_import_log
from .opening import Database, command, open_existing, open_or_upgrade
from .output import Json, make_console, print_json, say
from .progress import interruptible

if TYPE_CHECKING:
    from ..reports import ExportProgress, ExportReport, ImportProgress, ImportReport
    from ..store import Store


class Prefer(enum.StrEnum):
    """The values of ``--prefer``."""

    STORE = "store"
    FILES = "files"


def import_files(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="hermes-webui's state directory, or a Hermes home that has one; else $HERMES_WEBUI_STATE_DIR, else "
            "$HERMES_HOME/webui or ~/.hermes/webui.",
            show_default=False,
            parser=Path,  # older versions of click look at the path themselves, and fail at one that cannot be
        ),
    ] = None,
    *,
    prefer: Annotated[
        Prefer,
        typer.Option(help="Whose version is kept where a file and the store's session were both changed."),
    ] = Prefer.STORE,
    max_file_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="The largest session file to read, in bytes or with a unit, as in 800M or 2G."
        ),
    ] = "512M",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what an import would do; write nothing.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show all notes.")] = False,
    report: Annotated[
        bool,
        typer.Option(
            "--report", help="Import nothing; show what became of each file that imports saw, in PATH or anywhere."
        ),
    ] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Import hermes-webui's sessions, projects and shares; create the database if there is none.

    The files are only read. Run it again at any time: it imports what is new or was changed since.
    """
    from ..files.directory import INCOMPLETE, StateDirectory
    from ..targets import shown

    if report:
        print_import_log(path, db, as_json=as_json, verbose=verbose)
        return
    source = paths.state_directory() if path is None else path
    if not paths.path_of(source, "directory").exists():
        raise CommandError(
            f"There is no directory {source}. Name the one that contains sessions/ and projects.json.",
            ExitCode.NOT_FOUND,
        )
    limit = size(max_file_size)
    directory = StateDirectory.find(source)  # before a database is made for nothing
    console = make_console()
    # (`Path.exists` raises an error where the folder may not be searched; the import says so.)
    if os.path.exists(directory.sessions / INCOMPLETE) and not as_json:  # noqa: PTH110
        say(console, f"An export to {directory.root} was not finished: sessions are missing in it.", "bold red")
    is_new = _is_missing(db)
    with _open_for_dry_run(db, is_new) if dry_run else open_or_upgrade(db, quiet=as_json) as store:
        done = _import(store, source, prefer, dry_run, limit, console, quiet=as_json)
        target = shown(db) if dry_run and is_new else store.info().target
    if as_json:
        counts = {outcome.value: number for outcome, number in done.counts.items()}
        print_json({**done.model_dump(), "target": target, "counts": counts})
    else:
        reports.print_import(console, done, target, advise=prefer is Prefer.STORE, verbose=verbose)
        if is_new and not dry_run:
            say(console, f"Next: {command('list', db)}")
    if done.failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _is_missing(target: str) -> bool:
    """Whether there is no database yet, or one without our tables."""
    try:
        open_existing(target).close()
    except DatabaseMissingError:
        return True
    except SchemaError:
        return False
    return False


def _open_for_dry_run(target: str, is_new: bool) -> Store:
    """Open a database for reading; one in memory if there is none."""
    from ..store import Store

    return Store.open(":memory:") if is_new else open_existing(target)


def _import(  # noqa: PLR0917 - the arguments of the import
    store: Store, source: Path, prefer: Prefer, dry_run: bool, limit: int, console: Console, *, quiet: bool
) -> ImportReport:
    from ..files import import_directory

    def state(done: int) -> str:
        return "Nothing was written." if dry_run else reports.imported_so_far(done, "file")

    winner: Literal["store", "files"] = "files" if prefer is Prefer.FILES else "store"
    with interruptible(console, "Importing", "files", quiet=quiet, state=state) as advance:

        def on_progress(now: ImportProgress) -> None:
            advance(now.done, now.total, reports.counted(now.counts))

        return import_directory(
            store, source, prefer=winner, dry_run=dry_run, max_file_size=limit, on_progress=on_progress
        )


_UNITS: Final = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SIZE: Final = re.compile(r"(\d{1,15})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)


def size(text: str) -> int:
    """Return the number of bytes that a text such as ``800M`` says.

    Raises:
        typer.BadParameter: it says none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(
            f"{quoted(text)} is no size: write a number of bytes, or one with K, M, G or T.",
            param_hint="--max-file-size",
        )
    return int(match[1]) * _UNITS[match[2].upper()]


def export_files(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PATH | ID",
            help="The state directory to make; it may exist, but without sessions. With --format: a session's id, or "
            "as much of its beginning as fits no other.",
            autocompletion=session_ids,
        ),
    ],
    *,
    form: Annotated[
        Format | None,
        typer.Option("--format", show_default=False, help="Write one session, to read or to share, in this format."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            parser=Path,
            help="With --format: the file to write, readable for you only; else the standard output.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="With --output: replace the file if it exists.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Write the sessions, projects and shares as the files that hermes-webui reads, or one session to read or to share.

    Deleted sessions are left out.
    """
    if form is not None:
        export_session(what, form, output, db, force=force, as_json=as_json)
        return
    if output is not None or force:
        raise typer.BadParameter("--output and --force go with --format only.")
    path = Path(what)
    console = make_console()
    with open_existing(db) as store:
        if not paths.path_of(path, "directory").exists() and len(what) >= _ID_LIKE:
            fits = store.sessions.find(what, limit=1)
            if fits:
                raise typer.BadParameter(
                    f"{what} is (the beginning of) a session's id: give --format to export that, or ./{what} for a "
                    "directory of this name."
                )
        report = _export(store, path, console, quiet=as_json)
    if as_json:
        print_json(report.model_dump())
    else:
        _print_export(console, report)
    if report.problems:
        raise typer.Exit(ExitCode.SOME_FAILED)


#: A name of a missing directory that is at least this long may be meant as a session's id.
_ID_LIKE: Final = 4


def _print_export(console: Console, report: ExportReport) -> None:
    for problem in report.problems:
        place = "" if problem.position is None else f", message {problem.position}"
        where = "" if problem.session_id is None else f"session {problem.session_id}{place}: "
        say(console, f"{where}{problem.reason}", "bold red")
    figures = f"{count(report.sessions, 'session')} ({count(report.messages, 'message')})"
    others = count(report.projects, "project")
    if report.shares:
        others += f" and {count(report.shares, 'share')}"
    words = f"{figures} and {others} are in {report.target} now ({report.seconds:.1f} s)."
    say(console, words)


def _export(store: Store, path: Path, console: Console, *, quiet: bool) -> ExportReport:
    from ..files import export_directory

    with interruptible(
        console,
        "Exporting",
        "sessions",
        quiet=quiet,
        state=f"{path} has a part of the sessions; repeat the export to get all. The database is as it was.",
    ) as advance:

        def on_progress(now: ExportProgress) -> None:
            advance(now.done, now.total, "")

        return export_directory(store, path, on_progress=on_progress)
