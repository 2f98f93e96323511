"""``hermes-store delete``, ``trash``, ``restore`` and ``purge``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import SessionNotFoundError
from ..quoting import count
from .asking import Yes, confirmed, require_terminal
from .completing import deleted_ids
from .editing import print_done
from .exits import ExitCode
from .finding import IDS_HELP, SessionIds, find_ids
from .opening import Database, open_existing, open_to_write
from .output import Json, make_console, plain, print_json, say
from .progress import interruptible
from .projects import project_names
from .rows import After, Limit, of_store, print_footer, print_rows
from .text import titled
from .times import FORMS, moment

if TYPE_CHECKING:
    from ..records import SessionRecord
    from ..reports import FileRemoval
    from ..store import Store, View

Profile = Annotated[str | None, typer.Option(metavar="NAME", help="Only this profile's deleted sessions.")]


def list_deleted(
    *, profile: Profile = None, limit: Limit = 50, after: After = None, db: Database = "", as_json: Json = False
) -> None:
    """List the deleted sessions, the last deleted first. `restore` brings them back, `purge` removes them for good."""
    with open_existing(db) as store, store.snapshot() as view:
        page = view.sessions.list_deleted(profile=profile, limit=limit, after=after)
        names = project_names(view)
    if as_json:
        print_json(plain(page))
        return
    console = make_console()
    rows = [of_store(session, names) for session in page.items]
    if rows:
        print_rows(console, rows, age_header="Deleted")
    print_footer(console, rows, "deleted session", page.next)


def delete(
    ids: SessionIds,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be deleted; delete nothing.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Delete sessions: all or none. They leave the lists, and `restore` brings them back."""
    if dry_run:
        with open_existing(db) as store, store.snapshot() as view:
            planned = [view.sessions.get(session_id) for session_id in find_ids(view, ids, db, deleted=False)]
        print_done("Would delete", planned, as_json=as_json)
        return
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        done = [view.sessions.delete(session_id) for session_id in find_ids(view, ids, db, deleted=False)]
    print_done("Deleted", done, as_json=as_json)


def restore(
    ids: Annotated[
        list[str],
        typer.Argument(metavar="ID...", help=IDS_HELP, show_default=False, autocompletion=deleted_ids),
    ],
    *,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Restore deleted sessions with everything in them: all or none."""
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        done = [view.sessions.restore(session_id) for session_id in find_ids(view, ids, db, deleted=True)]
    print_done("Restored", done, as_json=as_json)


def purge(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help=IDS_HELP, show_default=False, autocompletion=deleted_ids),
    ] = None,
    *,
    deleted_before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", show_default=False, help=f"All sessions that were deleted before then, instead: {FORMS}."
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --deleted-before: only this profile's.")
    ] = None,
    remove_imported_files: Annotated[
        bool,
        typer.Option(
            "--remove-imported-files",
            help="Also remove the JSON files that they were imported from, if they are still what was imported.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be purged; purge nothing.")] = False,
    yes: Yes = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Remove sessions for good, deleted or not: their text is overwritten in the database, and their ids stay used.

    The exit code is 1 if one of the files was kept.
    """
    if bool(ids) == (deleted_before is not None):
        raise typer.BadParameter("Give the ids of sessions, or --deleted-before: one of them.")
    if profile is not None and ids:
        raise typer.BadParameter("--profile goes with --deleted-before only.")
    until = moment("--deleted-before", deleted_before)
    with open_existing(db) as store, store.snapshot() as view:
        planned = _named(view, ids, db) if ids else _deleted_before(view, until or 0.0, profile)
        names = project_names(view)
    if dry_run:
        if as_json:
            print_json({"dry_run": True, "items": [plain(session) for session in planned], "files": []})
            return
        console = make_console()
        rows = [of_store(session, names) for session in planned]
        if rows:
            print_rows(console, rows)
        say(console, f"Would purge {count(len(rows), 'session')}.")
        return
    if planned and not yes:
        require_terminal("Nothing was purged")
        if not confirmed(_question(planned)):
            say(make_console(), "Nothing was purged.")
            return
    with open_to_write(db, quiet=as_json) as store:
        purged, files, erased = _purge(
            store, planned, until, remove_imported_files=remove_imported_files, quiet=as_json
        )
        note = "" if erased or not purged else _left_over(store)
    _print_purged(purged, files, note, erased=erased, as_json=as_json)
    if any(file.outcome == "kept" for file in files):
        raise typer.Exit(ExitCode.SOME_FAILED)


def _named(view: View, ids: Sequence[str], db: str) -> list[SessionRecord]:
    found = find_ids(view, ids, db, deleted=None)
    records = view.sessions.get_many(found, deleted=None)
    return [records[session_id] for session_id in found]


def _deleted_before(view: View, until: float, profile: str | None) -> list[SessionRecord]:
    found: list[SessionRecord] = []
    after: str | None = None
    while True:
        page = view.sessions.list_deleted(profile=profile, limit=1000, after=after)
        found += [session for session in page.items if (session.deleted_at or 0.0) < until]
        after = page.next
        if after is None:
            return found


def _question(planned: Sequence[SessionRecord]) -> str:
    messages = count(sum(session.message_count for session in planned), "message")
    if len(planned) == 1:
        return f"Purge {titled(planned[0].title)!r} ({messages}) for good?"
    return f"Purge {count(len(planned), 'session')} ({messages}) for good?"


def _purge(
    store: Store, planned: Sequence[SessionRecord], until: float | None, *, remove_imported_files: bool, quiet: bool
) -> tuple[list[SessionRecord], list[FileRemoval], bool]:
    """Purge sessions; return those that were, what became of files, and whether nothing is left in the database.

    Args:
        until: when they have to have been deleted before; None for those that were named, deleted or not.
    """
    from ..files import remove_imported_files as remove_files
    from ..storage.turns import Turns

    purged: list[SessionRecord] = []
    files: list[FileRemoval] = []
    erased = False
    turns = Turns(store.database)

    def state(done: int) -> str:
        return f"{count(len(purged), 'session')} of {len(planned):,} were purged; the others are as they were."

    with interruptible(make_console(), "Purging", "sessions", quiet=quiet, state=state) as advance:
        for number, session in enumerate(planned, 1):
            session_id = session.session_id
            turns.wait()
            now = store.sessions.get_many([session_id], deleted=None).get(session_id)
            if now is None or (until is not None and (now.deleted_at is None or now.deleted_at >= until)):
                continue  # somebody else purged or restored it meanwhile
            try:
                if remove_imported_files:
                    files += remove_files(store, session_id)
                erased = store.sessions.purge(session_id).erased
            except SessionNotFoundError:
                continue
            purged.append(now)
            advance(number, len(planned), "")
    return purged, files, erased


def _left_over(store: Store) -> str:
    """Return what is said where old text is left in the files of the database."""
    if store.info().dialect == "sqlite":
        return (
            "Text of them can be left: in the log, if another program reads the database now, or in the index of "
            "words, which a purge does not write anew where it is large. `hermes-store compact` removes it."
        )
    return "The server's files have their text until VACUUM removes it."


def _print_purged(
    purged: Sequence[SessionRecord], files: Sequence[FileRemoval], note: str, *, erased: bool, as_json: bool
) -> None:
    if as_json:
        items: dict[str, Any] = {"items": [plain(session) for session in purged]}
        print_json({"dry_run": False, **items, "erased": erased, "files": [plain(file) for file in files]})
        return
    console = make_console()
    messages = count(sum(session.message_count for session in purged), "message")
    say(console, f"Purged {count(len(purged), 'session')} ({messages}).")
    for file in files:
        say(console, f"{file.outcome.capitalize()} {file.path}{f': {file.reason}' if file.reason else ''}")
    if note:
        say(console, note, "dim")
