"""Where a session's values go: columns, other rows' ids, documents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from .. import payload
from ..collection import SessionKey, descends
from ..errors import InvalidInputError
from ..fields import KEY_LIMIT, is_id
from ..files import image
from ..tables import Project, Session
from .state import PARENT

_NOT_NULL: Final = frozenset({"created_at", "updated_at"})


@dataclass
class Placed:
    """What is to be written of some values."""

    columns: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    #: Keys that no document is to have.
    gone: set[str] = field(default_factory=set)

    def keep(self, key: str, value: Any) -> None:
        """Let a document say it."""
        if len(key) > KEY_LIMIT:
            raise InvalidInputError(f"A session's key has at most {KEY_LIMIT} characters. Nothing was written.")
        self.documents[key] = payload.encode(value, key)
        self.gone.discard(key)


def values(connection: Connection, key: SessionKey, values: Mapping[str, Any], names: Collection[str]) -> Placed:
    """Place those values of a session that are named; one that is not there is what a new session has."""
    placed = Placed(gone=set(names) - {"updated_at"})  # which no document ever has, and every save changes
    for name in names:
        value = values.get(name, image.SESSION_KEYS.get(name))
        if name in image.COLUMNS:
            _column(placed, name, value)
        elif name in values and not (name in image.SESSION_KEYS and value == image.SESSION_KEYS[name]):
            placed.keep(name, value)
    if not set(names).isdisjoint(image.SOURCE_KEYS):
        placed.columns["source"] = image.source_of(values)
        for name in values.keys() & set(image.SOURCE_KEYS):  # one that only the column said, too
            placed.keep(name, values[name])
    profile = placed.columns.get("profile", key.profile)
    if not set(names).isdisjoint(("project_id", "profile")):
        _link_project(connection, placed, profile, values.get("project_id"))
    if not set(names).isdisjoint((PARENT, "profile")):
        _link_parent(connection, placed, profile, values.get(PARENT), key)
    return placed


def _column(placed: Placed, name: str, value: Any) -> None:
    held, exact = image.COLUMNS[name](value)
    if not (held is None and name in _NOT_NULL):
        placed.columns[name] = held
    if not exact and name != "updated_at":
        placed.keep(name, value)


def links(connection: Connection, profile: str, values: Mapping[str, Any]) -> Placed:
    """Place the project and the parent of a session that is new."""
    placed = Placed()
    _link_project(connection, placed, profile, values.get("project_id"))
    _link_parent(connection, placed, profile, values.get(PARENT), None)
    return placed


def _link_project(connection: Connection, placed: Placed, profile: str, public: Any) -> None:
    """Place a project's id: its row's where the profile has such a project, else a document's."""
    row_id = _found(connection, _project, profile, public)
    placed.columns["project_id"] = row_id
    _keep_unless(placed, "project_id", public, row_id)


def _link_parent(connection: Connection, placed: Placed, profile: str, public: Any, key: SessionKey | None) -> None:
    """Place a parent's id; as a project's."""
    row_id = _found(connection, _session, profile, public)
    if row_id is not None and key is not None and descends(connection, row_id, key.id):
        row_id = None
    placed.columns["parent_id"] = row_id
    _keep_unless(placed, PARENT, public, row_id)


def _found(connection: Connection, query: Any, profile: str, public: Any) -> int | None:
    if not is_id(public):
        return None
    row_id: int | None = connection.execute(query, {"public": public, "of_profile": profile}).scalar()
    return row_id


def _keep_unless(placed: Placed, name: str, public: Any, row_id: int | None) -> None:
    if row_id is None and public not in (None, ""):
        placed.keep(name, public)
    else:
        placed.documents.pop(name, None)
        placed.gone.add(name)


_project: Final = select(Project.id).where(
    Project.project_id == bindparam("public"), Project.profile == bindparam("of_profile")
)
_session: Final = select(Session.id).where(
    Session.session_id == bindparam("public"),
    Session.profile == bindparam("of_profile"),
    Session.deleted_at.is_(None),
)
