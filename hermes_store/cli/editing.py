"""``hermes-store rename``, ``pin``, ``unpin``, ``archive``, ``unarchive`` and ``move``.

None of them is a change that lists sort by: `updated_at` stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .finding import SessionId, SessionIds, find_ids
from .opening import Database, open_to_write
from .output import Json, make_console, plain, print_json, say
from .projects import find_project
from .text import titled

if TYPE_CHECKING:
    from ..records import SessionRecord
    from ..store import View


def rename(
    session_id: SessionId,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The new title.", show_default=False)],
    *,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Give a session another title."""
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        found = find_ids(view, [session_id], db, deleted=False)
        done = [_changed(view, one, title=title) for one in found]
    print_done("Renamed", done, as_json=as_json)


def pin(ids: SessionIds, *, db: Database = "", as_json: Json = False) -> None:
    """Pin sessions, which puts them first in lists: all or none."""
    _change(ids, db, "Pinned", as_json=as_json, pinned=True)


def unpin(ids: SessionIds, *, db: Database = "", as_json: Json = False) -> None:
    """Take the pins of sessions away: all or none."""
    _change(ids, db, "Unpinned", as_json=as_json, pinned=False)


def archive(ids: SessionIds, *, db: Database = "", as_json: Json = False) -> None:
    """Archive sessions: all or none."""
    _change(ids, db, "Archived", as_json=as_json, archived=True)


def unarchive(ids: SessionIds, *, db: Database = "", as_json: Json = False) -> None:
    """Take sessions out of the archive: all or none."""
    _change(ids, db, "Unarchived", as_json=as_json, archived=False)


def move(
    ids: SessionIds,
    *,
    project: Annotated[
        str | None,
        typer.Option(metavar="ID_OR_NAME", show_default=False, help="The project, which has to be of their profile."),
    ] = None,
    no_project: Annotated[bool, typer.Option("--no-project", help="Take them out of their projects.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Move sessions to a project, or out of their projects: all or none."""
    if (project is None) != no_project:
        raise typer.BadParameter("Give --project or --no-project: one of them.")
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        found = [view.sessions.get(session_id) for session_id in find_ids(view, ids, db, deleted=False)]
        targets: dict[str, str | None] = {}
        for profile in sorted({session.profile for session in found}):
            targets[profile] = None if project is None else find_project(view, project, profile, db).project_id
        done = [_changed(view, session.session_id, project_id=targets[session.profile]) for session in found]
    print_done("Moved", done, as_json=as_json)


def _change(ids: Sequence[str], db: str, verb: str, *, as_json: bool, **values: Any) -> None:
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        done = [_changed(view, session_id, **values) for session_id in find_ids(view, ids, db, deleted=False)]
    print_done(verb, done, as_json=as_json)


def _changed(view: View, session_id: str, **values: Any) -> SessionRecord:
    """Write values of a session, unless it has them already; return it."""
    before = view.sessions.get(session_id)
    if all(getattr(before, name) == value for name, value in values.items()):
        return before
    return view.sessions.update(session_id, touch=False, **values)


def print_done(verb: str, done: Sequence[SessionRecord], *, as_json: bool) -> None:
    """Print what was done with sessions."""
    if as_json:
        print_json({"items": [plain(session) for session in done]})
        return
    console = make_console()
    for session in done:
        say(console, f"{verb} {session.session_id} ({titled(session.title)}).")
