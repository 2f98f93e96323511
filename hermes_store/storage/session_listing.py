"""Lists of sessions: pages, each merged from ranges of indexes by one statement, and records.

A list without archived or pinned filters, and its few fresh blank sessions, are neighbouring ranges of two indexes.
Each range gives one page of keys, in order; the page is the first of their union, joined to what a record shows. So a
page costs the same whatever the number of sessions.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, Literal

from sqlalchemy import Select, bindparam, func, literal_column, select, tuple_, type_coerce, union_all
from sqlalchemy.sql import ColumnElement
from sqlalchemy.types import NullType

from ..pagination import check_limit, no_cursor, read_cursor, read_row_cursor, write_cursor, write_row_cursor
from ..records import Page, SessionOrder, SessionRecord
from ..validation import MAX_INT, is_id
from .list_filter import FRESH, ListFilter, Range, Shape, conditions, sorted_time
from .row_types import Row
from .schema import DELETED, EMPTY, GROUPS, VISIBLE, retired_id_table, session_table
from .session_records import ID, records, to_records
from .statement import Statement
from .unit_of_work import UnitOfWork

#: How a page's beginning is given: not at all, by the key of the row before it, or by that row's id.
_After = Literal["", "key", "row"]
_Part = tuple[Shape, _After]
_last: Final = session_table.alias("last")
#: Below every time: what NULL, which only a damaged row has, is in a comparison with other rows.
_LOWEST: Final[ColumnElement[Any]] = literal_column("-1.7976931348623157e308")


def _stored(column: Any) -> ColumnElement[Any]:
    """Return a column as it is stored, without conversions and checks: the key of a damaged row, too."""
    return type_coerce(column, NullType()).label(f"stored_{column.key}")


def _last_key(columns: Mapping[str, Any], after: _After) -> Iterator[ColumnElement[Any]]:
    """Yield the values of some columns in the row before a page; `columns` are by the names of their parameters."""
    for name, column in columns.items():
        if after == "key":
            yield bindparam(name, type_=column.type)
        else:
            value = func.coalesce(_last.c[column.key], _LOWEST)
            yield select(value).where(_last.c.id == bindparam("last_row")).scalar_subquery()


@functools.cache
def _page_statement(parts: tuple[_Part, ...]) -> Statement:
    keys = union_all(*(_part(number, *part) for number, part in enumerate(parts))).subquery("keys")
    page = (
        select(keys.c.id)
        .order_by(keys.c.pinned.desc(), keys.c.time.desc(), keys.c.id.desc())
        .limit(bindparam("page_limit"))
        .subquery("page")
    )
    query = records(page.join(session_table, session_table.c.id == page.c.id))
    key = (session_table.c.pinned, sorted_time(parts[0][0].order), session_table.c.id)
    query = query.add_columns(_stored(key[0]), type_coerce(key[1], NullType()).label("stored_time"))
    # Not sorted by the database, which would copy each row with all its columns for that: see `_sort`.
    return Statement(query)


def _part(number: int, shape: Shape, after: _After) -> Select[Any]:
    columns = {"last_pinned": session_table.c.pinned, "last_time": shape.time, "last_id": session_table.c.id}
    query = select(session_table.c.pinned, shape.time.label("time"), session_table.c.id).where(
        *conditions(shape, number)
    )
    if "pinned" in shape.names:
        # The place in the range is given without it: with it, SQLite sorts the whole range.
        del columns["last_pinned"]
    if after:
        query = query.where(tuple_(*columns.values()) < tuple_(*_last_key(columns, after)))
    query = query.order_by(*(column.desc() for column in columns.values())).limit(bindparam("page_limit"))
    return select(query.subquery(f"range_{number}"))


#: SQLite takes at most 500 SELECTs in one statement.
_MOST_PARTS: Final = 100


@dataclass(frozen=True)
class _Place:
    """The row before a page."""

    after: _After
    parameters: dict[str, Any]
    #: Its `pinned`, as a number in the order of all values that the column may have.
    pinned: float

    def reaches(self, one: Range) -> bool:
        """Whether any row of a range comes after it: after one that is not pinned, no pinned one does."""
        pinned = one.values.get("pinned")
        return pinned is None or pinned <= self.pinned

    def after_in(self, one: Range, fresh: Mapping[str, float]) -> _After:
        """Return how a range's part of the page begins: one of what is not pinned lies as a whole after what is."""
        if one.values.get("pinned", self.pinned) != self.pinned:
            return ""
        # A cursor of a list without this end may lie after it; then the end is what bounds the range.
        until = one.values.get("until", math.inf)
        until = fresh["until"] if until is FRESH else until
        return self.after if self.parameters.get("last_time", -math.inf) < until else ""


_of_row: Final = select(_stored(session_table.c.pinned), session_table.c.id).where(
    session_table.c.id == bindparam("last_row")
)
_pinned_of_row: Final = {
    False: Statement(_of_row),
    True: Statement(_of_row.where(session_table.c.profile == bindparam("of_profile"))),
}
_named: Final = (
    select(_last.c.id)
    .where(_last.c.session_id == bindparam("session_id"))
    .union_all(select(retired_id_table.c.successor_id).where(retired_id_table.c.session_id == bindparam("session_id")))
    .subquery("named")
)
_named_row: Final = select(_last.c.id).join(_named, _named.c.id == _last.c.id)
_find_row: Final = {
    False: Statement(_named_row),
    True: Statement(_named_row.where(_last.c.profile == bindparam("of_profile"))),
}


def _row_before(unit: UnitOfWork, kind: str, cursor: str, session_id: str, profile: str | None) -> int:
    """Return the row id of the session that a page follows, whose public id a cursor has.

    A cursor has no row ids: from their differences one could tell how many sessions other profiles got. If the session
    was purged since, or is of another profile, those that are in the same place as it come again.
    """
    if not is_id(session_id):
        raise no_cursor(kind, cursor)
    parameters = {"session_id": session_id} | ({} if profile is None else {"of_profile": profile})
    found: int | None = unit.value(_find_row[profile is not None], parameters)
    return MAX_INT if found is None else found


def _require_row(unit: UnitOfWork, kind: str, cursor: str, row_id: int, profile: str | None) -> Any:
    """Return what is stored as `pinned` in the damaged row that a page follows.

    Raises:
        InvalidCursorError: it is not there any more, or not of this profile.
    """
    parameters = {"last_row": row_id} | ({} if profile is None else {"of_profile": profile})
    row = unit.row(_pinned_of_row[profile is not None], parameters)
    if row is None:
        raise no_cursor(kind, cursor)
    return row[0]


#: What cursors call the list in each order: that of another order is none of this list.
_LISTS: Final[dict[SessionOrder, str]] = {"updated": "sessions", "activity": "sessions by activity"}


def _place(unit: UnitOfWork, order: SessionOrder, after: str, profile: str | None) -> _Place:
    """Return the place that a cursor says, in the list of a profile (of all when None)."""
    name = _LISTS[order]
    row_id = read_row_cursor(name, after)
    if row_id is None:
        pinned, time, session_id = read_cursor(name, after, bool, float, str)
        row_id = _row_before(unit, name, after, session_id, profile)
        return _Place("key", {"last_pinned": pinned, "last_time": time, "last_id": row_id}, pinned)
    parameters = {"last_row": row_id}
    pinned = _require_row(unit, name, after, row_id, profile)
    if not isinstance(pinned, int | float):
        pinned = -math.inf if pinned is None else math.inf  # texts are after all numbers
    return _Place("row", parameters, pinned)


def list_page(unit: UnitOfWork, wanted: ListFilter, limit: int, after: str | None) -> Page[SessionRecord]:
    """Return the page of at most `limit` sessions that begins after a cursor."""
    limit = check_limit(limit)
    place = None if after is None else _place(unit, wanted.order, after, wanted.profile)
    ranges, fresh = _ranges(unit, wanted), wanted.fresh_times()
    if place is not None:
        ranges = [*filter(place.reaches, ranges)]
    rows: list[Row] = []
    for start in range(0, len(ranges), _MOST_PARTS):
        rows += _merged(unit, ranges[start : start + _MOST_PARTS], fresh, limit + 1, place)
    _sort(rows)
    more = _cursor(_LISTS[wanted.order], rows[limit - 1]) if len(rows) > limit else None
    return Page[SessionRecord].from_trusted({"items": to_records(rows[:limit]), "next": more, "total": None})


def _merged(
    unit: UnitOfWork, ranges: Sequence[Range], fresh: Mapping[str, float], limit: int, place: _Place | None
) -> list[Row]:
    """Return the first rows of a union of ranges that come after a place."""
    parameters: dict[str, Any] = {"page_limit": limit} | ({} if place is None else place.parameters)
    parts: list[_Part] = []
    for number, one in enumerate(ranges):
        after = "" if place is None else place.after_in(one, fresh)
        if after == "key":
            one = one.without_until  # noqa: PLW2901 - the key is before it, and with two ends a plan may take the wrong one
        parameters |= one.parameters(number, fresh)
        parts.append((one.shape, after))
    return unit.rows(_page_statement(tuple(parts)), parameters)


def _cursor(name: str, row: Row) -> str:
    row_id, pinned, time = row[-3:]
    session_id = row[ID]
    if pinned in (0, 1) and isinstance(time, float) and math.isfinite(time) and is_id(session_id):
        return write_cursor(name, bool(pinned), time, session_id)
    return write_row_cursor(name, row_id)


#: Of a row: `pinned` and the time as they are stored, and the row id.
_KEY: Final = itemgetter(-2, -1, -3)


def _sort(rows: list[Row]) -> None:
    """Sort the rows of a list as its indexes do."""
    try:
        rows.sort(key=_KEY, reverse=True)
    except TypeError:  # damaged values are of several types
        rows.sort(key=_order, reverse=True)


def _order(row: Row) -> tuple[Any, ...]:
    """Return what rows are sorted by: as the database does, where numbers are before texts, and these before bytes."""
    row_id, *stored = row[-3:]
    kinds = (None, float, str, bytes)
    values = [float(value) if isinstance(value, int) else value for value in stored]
    return (*((kinds.index(None if value is None else type(value)), value) for value in values), row_id)


def _ranges(unit: UnitOfWork, wanted: ListFilter) -> Sequence[Range]:
    """Return the ranges of a list."""
    return [*wanted.ranges(profiles(unit))] if wanted.needs_profile else _ranges_of_one(wanted)


@functools.lru_cache(maxsize=256)
def _ranges_of_one(wanted: ListFilter) -> Sequence[Range]:
    """Return the few ranges of a list of one profile, or of one that needs none. Remembered, as lists are repeated."""
    return [*wanted.ranges([wanted.profile])]


def _loose_scan(number: int, *where: Any) -> Select[Any]:
    """Return the query for the profiles in an index: from one to the next, where DISTINCT would read every row."""
    line = select(func.min(session_table.c.profile).label("name")).where(*where).cte(f"line_{number}", recursive=True)
    following = (
        select(func.min(session_table.c.profile)).where(*where, session_table.c.profile > line.c.name).scalar_subquery()
    )
    line = line.union_all(select(following).where(line.c.name.is_not(None)))
    return select(line.c.name).where(line.c.name.is_not(None))


#: Of the visible sessions, by three indexes that together have all of them, and of the empty ones: the others.
_profiles_of_all: Final = Statement(
    union_all(
        _loose_scan(0, VISIBLE, GROUPS[""]),
        _loose_scan(1, VISIBLE, session_table.c.project_id.is_not(None)),
        _loose_scan(2, VISIBLE, session_table.c.source.is_not(None)),
        _loose_scan(3, EMPTY),
    )
)


def profiles(unit: UnitOfWork) -> list[str]:
    """Return the profiles that have sessions which are not deleted, in order."""
    return sorted({name for name in unit.values(_profiles_of_all) if name is not None})  # a damaged one is


@functools.cache
def _count_statement(shape: Shape) -> Statement:
    return Statement(select(func.count()).select_from(session_table).where(*conditions(shape, 0)))


def count(unit: UnitOfWork, wanted: ListFilter) -> int:
    """Return how many sessions all pages of a list have. It takes time that grows with them."""
    total, fresh = 0, wanted.fresh_times()
    for one in _ranges(unit, wanted):
        total += unit.value(_count_statement(one.shape), one.parameters(0, fresh))
    return total


@functools.cache
def _deleted_statement(of_profile: bool, after: _After) -> Statement:
    query = records(session_table).add_columns(_stored(session_table.c.deleted_at)).where(DELETED)
    query = query.order_by(session_table.c.deleted_at.desc(), session_table.c.id.desc())
    if of_profile:
        query = query.where(session_table.c.profile == bindparam("of_profile"))
    if after:
        columns = {"last_deleted_at": session_table.c.deleted_at, "last_id": session_table.c.id}
        query = query.where(tuple_(*columns.values()) < tuple_(*_last_key(columns, after)))
    return Statement(query.limit(bindparam("page_limit")))


def deleted_page(unit: UnitOfWork, profile: str | None, limit: int, after: str | None) -> Page[SessionRecord]:
    """Return a page of the deleted sessions, the last deleted first."""
    limit = check_limit(limit)
    parameters: dict[str, Any] = {"page_limit": limit + 1}
    if profile is not None:
        parameters["of_profile"] = profile
    how: _After = ""
    if after is not None:
        how = "row"
        parameters["last_row"] = read_row_cursor("deleted", after)
        if parameters["last_row"] is not None:
            _require_row(unit, "deleted", after, parameters["last_row"], profile)
        else:
            how = "key"
            parameters["last_deleted_at"], session_id = read_cursor("deleted", after, float, str)
            parameters["last_id"] = _row_before(unit, "deleted", after, session_id, profile)
    rows = unit.rows(_deleted_statement(profile is not None, how), parameters)
    more = _deleted_cursor(rows[limit - 1]) if len(rows) > limit else None
    return Page[SessionRecord].from_trusted({"items": to_records(rows[:limit]), "next": more, "total": None})


def _deleted_cursor(row: Row) -> str:
    row_id, deleted = row[-2:]
    if isinstance(deleted, float) and math.isfinite(deleted) and is_id(row[ID]):
        return write_cursor("deleted", deleted, row[ID])
    return write_row_cursor("deleted", row_id)
