"""The list of sessions: pages by key, from indexes alone.

A page is cut from a few ranges of an index, each already in the list's order: one range for each value
of `archived` that is asked for, and for each of these two of the blank sessions. Each gives at most a
page; the merge happens here. So a page costs the same however many sessions there are, and however many
of them are archived or blank.
"""

from __future__ import annotations

import enum
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import Connection, Row, Select, bindparam, func, select, tuple_
from sqlalchemy.orm import aliased
from sqlalchemy.sql import ColumnElement

from .paging import check_limit, read_cursor, write_cursor
from .records import Page, SessionRecord
from .tables import BLANK, DELETED, LIST_ORDER, VISIBLE, Project, Session

#: An empty, untitled session leaves the lists after this many seconds.
BLANK_SECONDS: Final = 60.0


class AnyValue(enum.Enum):
    """The type of `ANY`, which as a filter lets everything pass (None is a value of its own)."""

    ANY = "any"


ANY: Final = AnyValue.ANY

_parent: Final = aliased(Session, name="parent")


def _record_column(name: str) -> ColumnElement[Any]:
    if name == "project_id":
        return Project.project_id.label(name)
    if name == "parent_id":
        return _parent.session_id.label(name)
    column: ColumnElement[Any] = getattr(Session, name)
    return column


_names: Final = tuple(SessionRecord.model_fields)
#: Selects what `to_record` takes.
record_query: Final[Select[*tuple[Any, ...]]] = (
    select(*map(_record_column, _names), Session.id.label("internal_id"))
    .select_from(Session)
    .outerjoin(Project, Session.project_id == Project.id)
    .outerjoin(_parent, Session.parent_id == _parent.id)
)


def to_record(row: Row[*tuple[Any, ...]]) -> SessionRecord:
    """Return a row of `record_query` as the record it is. (Not validated: one odd row breaks no list.)"""
    return SessionRecord.model_construct(**dict(zip(_names, row, strict=False)))


@dataclass(frozen=True, kw_only=True)
class SessionFilter:
    """Which sessions to list. `project` is an internal id."""

    profile: str | None = None
    project: int | Literal[AnyValue.ANY] | None = ANY
    archived: bool | None = None
    pinned: bool | None = None
    source: str | Literal[AnyValue.ANY] | None = ANY
    include_empty: bool = False

    def ranges(self) -> Iterator[tuple[bool, dict[str, Any]]]:
        """Yield the index ranges that the list is merged from: whether of blank sessions, and the parameters."""
        wanted: dict[str, Any] = {}
        if self.profile is not None:
            wanted["profile"] = self.profile
        if self.project is not ANY:
            wanted["project_id"] = self.project
        if self.source is not ANY:
            wanted["source"] = self.source
        fresh = {} if self.include_empty else {"fresh": time.time() - BLANK_SECONDS}
        for archived in _BOTH if self.archived is None else (self.archived,):
            here = {**wanted, "archived": archived}
            yield False, here if self.pinned is None else {**here, "pinned": self.pinned}
            for pinned in _BOTH if self.pinned is None else (self.pinned,):
                yield True, {**here, "pinned": pinned, **fresh}


_BOTH: Final = (True, False)
_FILTERED: Final = {
    "profile": Session.profile,
    "project_id": Session.project_id,
    "source": Session.source,
    "archived": Session.archived,
    "pinned": Session.pinned,
}


def _conditions(blank: bool, names: frozenset[str], nulls: frozenset[str]) -> Iterator[ColumnElement[bool]]:
    yield BLANK if blank else VISIBLE
    for name, column in _FILTERED.items():
        if name in nulls:
            yield column.is_(None)
        elif name in names:
            yield column == bindparam(name)
    if "fresh" in names:
        yield Session.updated_at > bindparam("fresh")


# Building a statement of this width takes longer than running it; there are a few dozen shapes at most.
@functools.cache
def _page_query(blank: bool, names: frozenset[str], nulls: frozenset[str], behind: bool) -> Select[*tuple[Any, ...]]:
    query = record_query.where(*_conditions(blank, names, nulls))
    # Where `pinned` is fixed, the place in the range is said without it: with it, SQLite sorts the whole range.
    order = LIST_ORDER[1:] if "pinned" in names else LIST_ORDER
    if behind:
        key: tuple[Any, ...] = tuple(bindparam(f"last_{column.key}") for column in order)
        query = query.where(tuple_(*order) < tuple_(*key))
    return query.order_by(*(column.desc() for column in order)).limit(bindparam("page_limit"))


def _shape(parameters: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the parameters, and of those that are null."""
    return frozenset(parameters), frozenset(name for name, value in parameters.items() if value is None)


def list_page(connection: Connection, wanted: SessionFilter, limit: int, after: str | None) -> Page[SessionRecord]:
    """Return the page of at most `limit` sessions that begins behind the cursor `after`."""
    check_limit(limit)
    last: dict[str, Any] = {}
    if after is not None:
        key = read_cursor("sessions", after, bool, float, int)
        last = {f"last_{column.key}": value for column, value in zip(LIST_ORDER, key, strict=True)}
    rows: list[Row[*tuple[Any, ...]]] = []
    for blank, parameters in wanted.ranges():
        behind = bool(last)
        if behind and "pinned" in parameters and parameters["pinned"] != last["last_pinned"]:
            if parameters["pinned"]:
                continue  # the list is past its pinned sessions
            behind = False  # and not yet at these
        query = _page_query(blank, *_shape(parameters), behind)
        rows += connection.execute(query, {**parameters, **last, "page_limit": limit + 1})
    rows.sort(key=_key, reverse=True)
    more = write_cursor("sessions", *_key(rows[limit - 1])) if len(rows) > limit else None
    return Page[SessionRecord].model_construct(items=[to_record(row) for row in rows[:limit]], next=more, total=None)


def _key(row: Row[*tuple[Any, ...]]) -> tuple[bool, float, int]:
    return row.pinned, row.updated_at, row.internal_id


def count(connection: Connection, wanted: SessionFilter) -> int:
    """Return how many sessions all pages of the list have."""
    return sum(
        connection.execute(
            select(func.count()).select_from(Session).where(*_conditions(blank, *_shape(parameters))), parameters
        ).scalar_one()
        for blank, parameters in wanted.ranges()
    )


def deleted_page(connection: Connection, profile: str | None, limit: int, after: str | None) -> Page[SessionRecord]:
    """Return a page of the deleted sessions, the last deleted first."""
    check_limit(limit)
    query: Select[Any] = record_query.where(DELETED).order_by(Session.deleted_at.desc(), Session.id.desc())
    if profile is not None:
        query = query.where(Session.profile == profile)
    if after is not None:
        key = read_cursor("deleted", after, float, int)
        query = query.where(tuple_(Session.deleted_at, Session.id) < tuple_(*key))
    rows = connection.execute(query.limit(limit + 1)).all()
    more = None
    if len(rows) > limit:
        more = write_cursor("deleted", rows[limit - 1].deleted_at, rows[limit - 1].internal_id)
    return Page[SessionRecord].model_construct(items=[to_record(row) for row in rows[:limit]], next=more, total=None)
