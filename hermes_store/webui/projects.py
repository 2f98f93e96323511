"""The WebUI's list of projects: loaded, changed and saved as a whole, and written as what was changed of it."""

from __future__ import annotations

import copy
import threading
import weakref
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, insert, select, update

from .. import payload, rows
from ..database import Database, SharedConnection
from ..errors import InvalidInputError
from ..fields import is_id
from ..files import projects as files
from ..projects import Projects
from ..records import ProjectRecord
from ..tables import DEFAULT_PROFILE, Project, Session, SessionDocument

_KEY: Final = "project_id"
Base = dict[str, dict[str, Any]]


class _Loaded(threading.local):
    """Of each database, the list as this thread loaded it last: what is missing in the one it saves was deleted."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Database, Base] = weakref.WeakKeyDictionary()


_loaded: Final = _Loaded()


def load(database: Database) -> list[dict[str, Any]]:
    """Return all projects in their order."""
    with database.read() as connection:
        found = _stored(connection)
    _loaded.of[database] = _by_id(copy.deepcopy(found))
    return found


def save(database: Database, projects: Sequence[Any], profile: str | None) -> None:
    """Make the projects be those, in that order, but for what others did since this thread loaded them.

    Args:
        database: where they are.
        projects: all of them.
        profile: that of a new project which names none.
    """
    wanted = [_identified(project, index) for index, project in enumerate(projects)]
    ids = [project[_KEY] for project in wanted]
    if len(set(ids)) < len(ids):
        raise InvalidInputError("The list names a project twice. Nothing was written.")
    with database.write() as connection:
        stored = _by_id(_stored(connection))
        base = _loaded.of.get(database, stored)
        for key in sorted(base.keys() & stored.keys() - set(ids)):
            delete(connection, key)
        for project in wanted:
            key = project[_KEY]
            if key in stored:
                _change(connection, base.get(key, stored[key]), project, stored[key])
            elif key not in base:  # else somebody deleted it, and deleted it stays
                _create(connection, project, profile)
        _reorder(connection, _order(ids, base, stored))
        after = _stored(connection)
    _loaded.of[database] = _by_id(after)


def delete(connection: Connection, project_id: str) -> int:
    """Delete a project, and return how many sessions are in none now."""
    return Projects(SharedConnection(connection)).delete(project_id) + release(connection, project_id)


def release(connection: Connection, project_id: str) -> int:
    """Take the sessions out of a project, also those that only name it, and return how many."""
    named = select(SessionDocument.session_id).where(
        SessionDocument.key == _KEY, SessionDocument.payload == payload.encode(project_id)
    )
    members: ColumnElement[bool] = Session.id.in_(named)
    if is_id(project_id):  # else a session can name it at most
        inside = select(Project.id).where(Project.project_id == project_id).scalar_subquery()
        members |= Session.project_id == inside
    released = connection.execute(
        update(Session).where(members).values(project_id=None, revision=Session.revision + 1).returning(Session.id)
    )
    ids = released.scalars().all()
    for row_id in ids:
        rows.remove_documents(connection, row_id, [_KEY])
    return len(ids)


def _order(ids: list[str], base: Base, stored: Base) -> list[str]:
    """Return an order to put projects in: the list's own, but what others made of it where the list moved nothing."""
    named = set(ids)
    unmoved = [key for key in base if key in named]
    return [*stored, *(key for key in ids if key not in stored)] if ids[: len(unmoved)] == unmoved else ids


def _by_id(projects: Sequence[dict[str, Any]]) -> Base:
    return {project[_KEY]: project for project in projects}


def _identified(project: Any, index: int) -> dict[str, Any]:
    """Return a project with an id: its own, or one that is made of what it says."""
    row = files.read_row(project, index)
    if row is None:
        raise InvalidInputError(f"A project is a JSON object, not {project!r:.80}. Nothing was written.")
    return {**project, _KEY: row.project_id}


def _stored(connection: Connection) -> list[dict[str, Any]]:
    found = Projects(SharedConnection(connection)).list()
    return [_shown(project) for project in sorted(found, key=lambda one: one.position)]


def _shown(project: ProjectRecord) -> dict[str, Any]:
    """Return a project's object. One of the default profile names none, as in the WebUI before projects had any."""
    shown = files.to_json(project)
    if shown["profile"] == DEFAULT_PROFILE:
        del shown["profile"]
    return shown


def _change(connection: Connection, base: dict[str, Any], mine: dict[str, Any], stored: dict[str, Any]) -> None:
    """Write those values of a project that differ from what was loaded."""
    keys = base.keys() | mine.keys()
    changed = {key for key in keys if payload.encode(base.get(key)) != payload.encode(mine.get(key))}
    if not changed:
        return
    if (mine.get("profile") or DEFAULT_PROFILE) != (stored.get("profile") or DEFAULT_PROFILE):
        raise InvalidInputError(f"Project {mine[_KEY]!r} cannot move to another profile. Nothing was written.")
    merged = {key: value for key, value in stored.items() if key not in changed}
    row = files.read_row(merged | {key: mine[key] for key in changed if key in mine}, 0)
    assert row is not None  # noqa: S101 - it is an object
    values = {key: row.columns[key] for key in ("name", "color", "created_at", "extra")}
    connection.execute(update(Project).where(Project.project_id == mine[_KEY]).values(values))


def _create(connection: Connection, project: dict[str, Any], profile: str | None) -> None:
    row = files.read_row(project, 0)
    assert row is not None  # noqa: S101 - it is an object
    values = {**row.columns, "position": 0, "profile": row.profile or profile or DEFAULT_PROFILE}
    connection.execute(insert(Project).values(values))


def _reorder(connection: Connection, ids: Sequence[str]) -> None:
    """Put projects in this order, and those that are not named behind them, in the order that they have."""
    places = {project_id: place for place, project_id in enumerate(ids)}
    found = connection.execute(
        select(Project.project_id, Project.position).order_by(Project.position, Project.id)
    ).all()
    ordered = sorted(found, key=lambda row: places.get(row.project_id, len(places)))
    for place, row in enumerate(ordered):
        if row.position != place:
            connection.execute(update(Project).where(Project.project_id == row.project_id).values(position=place))
