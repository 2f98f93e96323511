"""After an import: the links between sessions, and to projects, whose other end came later."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, select, update

from .. import ledger, payload, rows
from ..collection import descends
from ..fields import is_id
from ..tables import Project, RetiredId, Session, SessionDocument


def link(connection: Connection) -> None:
    """Point sessions to the parents and projects that their documents name and that are there by now."""
    for row in _naming(connection, "project_id", Session.project_id):
        project = select(Project.id).where(Project.project_id == _name(row), Project.profile == row.profile)
        found = connection.execute(project).scalar()
        if found is not None:
            rows.remove_documents(connection, row.id, ["project_id"])
            _point(connection, row, project_id=found)
    for row in _naming(connection, "parent_session_id", Session.parent_id):
        found = _session(connection, _name(row), row.profile)
        if found is not None and not descends(connection, found, row.id):
            _point(connection, row, parent_id=found)


def _session(connection: Connection, session_id: str | None, profile: str) -> int | None:
    """Return the session of this id, or that once had it, if it is of the profile."""
    former = select(RetiredId.successor_id).where(RetiredId.session_id == session_id).scalar_subquery()
    query = select(Session.id).where(
        (Session.session_id == session_id) | (Session.id == former), Session.profile == profile
    )
    return connection.execute(query).scalar()


def _naming(connection: Connection, key: str, column: Any) -> list[Row[Any]]:
    """Return the sessions that name something under `key` and point to nothing."""
    query = (
        select(Session.id, Session.profile, Session.revision, SessionDocument.payload)
        .join(SessionDocument, SessionDocument.session_id == Session.id)
        .where(SessionDocument.key == key, SessionDocument.payload != b"null", column.is_(None))
    )
    return list(connection.execute(query))


def _name(row: Row[Any]) -> str | None:
    value = payload.decode(row.payload)
    return value if is_id(value) else None


def _point(connection: Connection, row: Row[Any], **values: int) -> None:
    connection.execute(update(Session).where(Session.id == row.id).values(revision=row.revision + 1, **values))
    ledger.follow(connection, row.id, row.revision, row.revision + 1)
