"""Pages of changes: sessions, projects and ids that are gone, in the order in which they were written to last."""

from __future__ import annotations

import functools
import secrets
import struct
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, bindparam, exists, or_, select, tuple_

from ..errors import CursorExpiredError
from ..pagination import no_cursor, open_sealed, seal
from ..records import Change
from . import change_rows, project_rows, session_records
from .row_types import Row
from .schema import NOT_STAGED, gone_id_table, project_table, session_table
from .statement import Statement
from .unit_of_work import UnitOfWork

_CURSOR: Final = "changes"


class Position(NamedTuple):
    """The key of a change."""

    number: int
    #: An index of `_TABLES`.
    table: int
    row_id: int


#: Before all changes.
START: Final = Position(-1, 0, 0)
_other: Final = gone_id_table.alias("other")
#: A store as a whole does not tell that an id is gone from a profile if it is in another one, or is gone from that one
#: since.
_is_elsewhere: Final = or_(
    and_(gone_id_table.c.kind == "session", exists().where(session_table.c.session_id == gone_id_table.c.public_id)),
    and_(gone_id_table.c.kind == "project", exists().where(project_table.c.project_id == gone_id_table.c.public_id)),
    exists().where(
        _other.c.kind == gone_id_table.c.kind,
        _other.c.public_id == gone_id_table.c.public_id,
        tuple_(_other.c.change_number, _other.c.id) > tuple_(gone_id_table.c.change_number, gone_id_table.c.id),
    ),
)
_TABLES: Final = (
    (gone_id_table, (gone_id_table.c.kind, gone_id_table.c.public_id, gone_id_table.c.profile), (change_rows.IS_ID,)),
    (project_table, (), ()),
    (session_table, (), (NOT_STAGED,)),
)


@functools.cache
def _keys(number: int, of_profile: bool, rest: bool) -> Statement:
    """Return the statement for the keys after a number in a table, or for the rest of those of that number.

    (Not for both at once: SQLite would read all of that number, and an upgrade gives every row the number 0.)
    """
    table, columns, conditions = _TABLES[number]
    key = (table.c.change_number, table.c.id)
    after = bindparam("after", type_=key[0].type)
    begin = (key[0] == after, key[1] > bindparam("last_row", type_=key[1].type)) if rest else (key[0] > after,)
    query = select(*key, *columns).where(*begin, table.c.change_number <= bindparam("until"), *conditions)
    if of_profile:
        query = query.where(table.c.profile == bindparam("of_profile"))
    elif table is gone_id_table:
        query = query.where(~_is_elsewhere)
    return Statement(query.order_by(*key).limit(bindparam("most")))


class Found(NamedTuple):
    """A page of changes."""

    items: list[Change]
    #: The key of each.
    keys: list[Position]
    #: After which change the next page begins.
    position: Position
    has_more: bool


def read(unit: UnitOfWork, profile: str | None, after: Position, limit: int) -> Found:
    """Return at most `limit` changes after a position.

    Args:
        profile: only what this profile's views may learn of; everything when None.

    Raises:
        CursorExpiredError: the changes after the position are not all known any more.
    """
    until = unit.dialect.last_change(unit)
    _require_known(unit, profile, after, until)
    parameters: dict[str, Any] = {"of_profile": profile, "until": until, "most": limit + 1}
    of_profile = profile is not None
    found: list[tuple[Position, Row]] = []
    for table in range(len(_TABLES)):
        rows: list[Row] = []
        if table == after.table:
            rest = {"after": after.number, "last_row": after.row_id}
            rows += unit.rows(_keys(table, of_profile, rest=True), {**parameters, **rest})
        # The tables after that of the last change have their rows of its number left.
        first = {"after": after.number - (table > after.table)}
        rows += unit.rows(_keys(table, of_profile, rest=False), {**parameters, **first})
        found += [(Position(row[0], table, row[1]), row) for row in rows]
    found.sort(key=lambda one: one[0])
    has_more = len(found) > limit
    found = found[:limit]
    position = found[-1][0] if has_more else max(after, Position(until, len(_TABLES), 0))
    return Found(_changes(unit, found), [key for key, _ in found], position, has_more)


def _require_known(unit: UnitOfWork, profile: str | None, after: Position, until: int) -> None:
    if after == START:
        return
    removed = change_rows.last_removed(unit, profile)
    if removed is not None and after.number < removed:
        days = change_rows.KEPT_SECONDS / 86400
        raise CursorExpiredError(
            f"The cursor is too old: what was purged or deleted more than {days:.0f} days ago is not known any "
            "more, so changes after it would be missed. Nothing was read; start again without a cursor, and compare."
        )
    if after.number > until and unit.dialect.is_only_copy:
        raise CursorExpiredError(
            "The cursor is of a later state of this database: an older copy of it was restored since. Nothing was "
            "read; start again without a cursor, and compare."
        )


def _changes(unit: UnitOfWork, found: list[tuple[Position, Row]]) -> list[Change]:
    projects = project_rows.get_rows(unit, [key.row_id for key, _ in found if key.table == 1])
    sessions = session_records.get_rows(unit, [key.row_id for key, _ in found if key.table == 2])
    changes = []
    for key, row in found:
        if key.table == 0:
            kind, public_id, profile = row[2:5]
            values: dict[str, Any] = {"state": "gone", "session": None, "project": None}
        elif key.table == 1:
            project = projects[key.row_id]
            kind, public_id, profile = "project", project.project_id, project.profile
            values = {"state": "present", "session": None, "project": project}
        else:
            session = sessions[key.row_id]
            kind, public_id, profile = "session", session.session_id, session.profile
            state = "present" if session.deleted_at is None else "deleted"
            values = {"state": state, "session": session, "project": None}
        changes.append(Change.from_trusted({"kind": kind, "id": public_id, "profile": profile, **values}))
    return changes


def last(unit: UnitOfWork) -> Position:
    """Return the position after all changes that are seen."""
    return Position(unit.dialect.last_change(unit), len(_TABLES), 0)


@functools.cache
def _later(number: int) -> Statement:
    table = _TABLES[number][0]
    return Statement(select(table.c.id).where(table.c.change_number > bindparam("number")).limit(1))


def are_held_back(unit: UnitOfWork) -> bool:
    """Whether there are changes that do not come yet, because transactions that began before them are under way."""
    if unit.dialect.writes_in_turn:
        return False
    number = unit.dialect.last_change(unit)
    return any(unit.rows(_later(table), {"number": number}) for table in range(len(_TABLES)))


#: Some random bytes, so that nobody can tell whether two cursors are the same place, and the key.
_LAYOUT: Final = struct.Struct(">4sqBq")


def write_cursor(key: bytes, position: Position) -> str:
    """Return a position as a text in which nothing can be read; `key` is that of `change_rows.state`."""
    return seal(key, _LAYOUT.pack(secrets.token_bytes(4), *position))


def read_cursor(key: bytes, cursor: str | None) -> Position:
    """Return the position in a cursor; the first one when None.

    Raises:
        InvalidCursorError: it is of another database, or no cursor of changes.
    """
    if cursor is None:
        return START
    data = open_sealed(key, cursor, _LAYOUT.size)
    if data is None:
        raise no_cursor(_CURSOR, cursor)
    return Position._make(_LAYOUT.unpack(data)[1:])
