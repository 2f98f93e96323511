"""Some values of many sessions, by the keys of hermes-webui's session JSON: two statements, however many there are.

The first reads the columns, and the small documents if any of the keys may be among them. The second reads the
documents of these keys that have rows of their own.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Boolean, Text, and_, bindparam, exists, null, or_, select
from sqlalchemy.sql import ColumnElement

from ..errors import DatabaseCorruptError
from ..transcripts import json_codec
from ..validation import FILE_KEYS, LINK_KEYS
from ..webui_format import session_json
from . import document_reading
from .row_types import log_once
from .schema import NOT_STAGED, project_table, session_document_table, session_extras_table, session_table
from .statement import Statement, one_of
from .types import LosslessText, TextList
from .unit_of_work import UnitOfWork

_parent: Final = session_table.alias("parent")
_ID: Final = "session_id"
_PARENT: Final = FILE_KEYS["parent_id"]
_SOURCE: Final = FILE_KEYS["source"]
#: Values that are always the column's, whatever documents there are.
_OWN: Final = (_ID, *session_json.COUNTS, "last_message_at", "last_activity_at", "revision", "updated_at")
#: By key, the column that has its value, or a similar one where a document has the original.
_COLUMNS: Final[Mapping[str, Any]] = {
    **{key: session_table.c[key] for key in (*_OWN, *session_json.COLUMNS)},
    "project_id": project_table.c.project_id,
    _PARENT: _parent.c.session_id,
}
_HOLDERS: Final = (dict, list, tuple)
#: What lists may be sorted by; the last first.
ORDERS: Final[Mapping[str, Any]] = {"updated": session_table.c.updated_at, "activity": session_table.c.activity_at}


@dataclass(frozen=True)
class Condition:
    """The values that a key may have."""

    key: str
    values: Sequence[Any]

    @property
    def is_in_sql(self) -> bool:
        """Whether a column can be asked, so that fewer rows are read."""
        column = _COLUMNS.get(self.key)
        if column is None:
            return False
        if isinstance(column.type, Boolean):
            return len(self._storable) == 1
        return isinstance(column.type, LosslessText | Text)

    @property
    def bound(self) -> Any:
        """What is bound to its parameter of a statement."""
        return self._storable[0] if isinstance(_COLUMNS[self.key].type, Boolean) else self._storable

    @property
    def shape(self) -> tuple[str, bool]:
        """What its part of a statement depends on: the key, and whether there may be no value."""
        return self.key, None in self.values

    @property
    def _storable(self) -> Sequence[Any]:
        """The values that its column can have."""
        kind = bool if isinstance(_COLUMNS[self.key].type, Boolean) else str
        return [value for value in self.values if type(value) is kind]

    def admitted(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of some rows that have one of the values."""
        # One look for each row, however many values there are. (What is a list or an object equals nothing else.)
        scalars = {value for value in self.values if not isinstance(value, _HOLDERS)}
        holders = [value for value in self.values if isinstance(value, _HOLDERS)]
        return [row for row in rows if row[self.key] in (holders if isinstance(row[self.key], _HOLDERS) else scalars)]


def read(
    unit: UnitOfWork,
    keys: Sequence[str],
    conditions: Sequence[Condition],
    *,
    order: str,
    profiles: Sequence[str] | None,
) -> list[dict[str, Any]]:
    """Return the values of some keys of the sessions that are not deleted.

    A session without a value has what a new session has, or None. Damaged values are logged, and count as missing.

    Args:
        keys: of the session JSON, but for the messages; or columns that are the database's own, see `_OWN`.
        conditions: all of which a session has to fulfil.
        order: one of `ORDERS`.
        profiles: only these profiles' sessions; all when None.
    """
    wanted = list(dict.fromkeys([*keys, *(condition.key for condition in conditions)]))
    asked = [condition for condition in conditions if condition.is_in_sql]
    parameters: dict[str, Any] = {f"values_{n}": condition.bound for n, condition in enumerate(asked)}
    if profiles is not None:
        parameters["profiles"] = list(profiles)
    shape = (tuple(condition.shape for condition in asked), profiles is not None)
    columns = tuple(key for key in wanted if key in _COLUMNS and key != _ID)
    others = [key for key in wanted if key not in _COLUMNS]
    found = unit.rows(_columns_statement(columns, order, bool(others), shape), parameters)
    named = [key for key in (*wanted, *(session_json.SOURCE_KEYS if _SOURCE in wanted else ())) if key not in _OWN]
    documents = _documents(unit, named, parameters, shape) if named and found else {}
    small = _small(found, others) if others else {}
    new = _NewRow(wanted)
    rows = [
        new.filled(values, columns, small.get(values[0]) or {}, documents.get(values[0], _NOTHING)) for values in found
    ]
    for condition in conditions:
        rows = condition.admitted(rows)
    return rows if wanted == list(keys) else [{key: row[key] for key in keys} for row in rows]


_NOTHING: Final[Mapping[str, Any]] = {}
_FIXED: Final = 4
_SOURCES: Final = frozenset(session_json.SOURCE_KEYS)


class _NewRow:
    """Makes rows of some keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._defaults = {key: session_json.SESSION_KEYS.get(key) for key in keys}
        self._others = {key for key in keys if key not in _COLUMNS}
        self._lists = [key for key, value in self._defaults.items() if isinstance(value, list)]

    def filled(
        self, values: Sequence[Any], columns: Sequence[str], small: dict[str, Any], large: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a row.

        Args:
            values, columns: those of `_columns_statement`.
            small: the small documents; those that are not asked for are removed.
            large: the documents that have rows of their own.
        """
        row = self._defaults.copy()
        row.update(zip(columns, values[_FIXED:], strict=True))
        if _ID in row:
            row[_ID] = values[1]
        if _SOURCE in row and _SOURCES.isdisjoint(small) and _SOURCES.isdisjoint(large):
            row[_SOURCE] = values[2]
        for key in small.keys() - self._others:
            del small[key]
        row.update(small)
        for key in row.keys() & large.keys() if large else ():
            row[key] = large[key]
        for key in self._lists:
            if row[key] is self._defaults[key]:  # each row has a list of its own
                row[key] = []
        return row


#: Up to how many keys are looked for in payloads before these are parsed, and in how many payloads at once.
_FEW: Final = 8
_TOGETHER: Final = 256


#: A session's row id, its public id, and the payload of its small documents.
_Small = tuple[int, str, bytes]


def _small(rows: Sequence[Sequence[Any]], keys: Sequence[str]) -> dict[int, dict[str, Any]]:
    """Return the small documents of sessions by row id, if there are any of some keys among them.

    Those of all are parsed at once, unless one is damaged.
    """
    found = [(row_id, session_id, payload) for row_id, session_id, _, payload, *_ in rows if payload is not None]
    keys = [*keys, *(_SOURCES if _SOURCE in keys else ())]
    if len(keys) <= _FEW:
        found = list(_with_names(found, [json_codec.encode(key) for key in keys]))
    try:
        values = json_codec.decode_all([payload for _, _, payload in found])
    except ValueError:
        values = []
    if len(values) == len(found) and set(map(type, values)) <= {dict}:
        return {row_id: value for (row_id, _, _), value in zip(found, values, strict=True)}
    small: dict[int, dict[str, Any]] = {}
    for row_id, session_id, payload in found:
        try:
            small[row_id] = document_reading.decode_extras(payload, session_id)
        except DatabaseCorruptError as error:  # one damaged row breaks no list
            log_once("%s", error)
    return small


def _with_names(found: Sequence[_Small], names: Sequence[bytes]) -> Iterator[_Small]:
    for start in range(0, len(found), _TOGETHER):
        some = found[start : start + _TOGETHER]
        joined = b"".join([payload for _, _, payload in some])
        there = [name for name in names if name in joined]
        if there:  # most often it is in none of them
            yield from (one for one in some if any(name in one[2] for name in there))


def _documents(
    unit: UnitOfWork, keys: Collection[str], parameters: Mapping[str, Any], shape: _Shape
) -> dict[int, dict[str, Any]]:
    documents: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    rows = unit.rows(_documents_statement(shape), {**parameters, "keys": sorted(set(keys))})
    for row_id, session_id, key, payload, digest in rows:
        try:
            documents[row_id][key] = document_reading.verified(session_id, key, payload, digest)
        except DatabaseCorruptError as error:
            log_once("%s", error)
    return documents


#: Conditions by `Condition.shape`, and whether profiles are named.
_Shape = tuple[tuple[tuple[str, bool], ...], bool]


@functools.lru_cache(maxsize=64)
def _columns_statement(columns: tuple[str, ...], order: str, with_extras: bool, shape: _Shape) -> Statement:
    extras = session_extras_table.c.payload if with_extras else null()
    query = _sessions(
        select(
            session_table.c.id,
            session_table.c.session_id,
            session_table.c.source,
            extras.label("extras"),
            *map(_selected, columns),
        ),
        shape,
    )
    if with_extras:
        query = query.outerjoin(session_extras_table, session_extras_table.c.session_id == session_table.c.id)
    return Statement(query.order_by(ORDERS[order].desc(), session_table.c.id.desc()))


def _selected(key: str) -> ColumnElement[Any]:
    column: ColumnElement[Any] = _COLUMNS[key]
    return column.label(key) if key in LINK_KEYS else column  # there may be no such row


@functools.lru_cache(maxsize=64)
def _documents_statement(shape: _Shape) -> Statement:
    # Sessions first: else SQLite may read every document there is.
    wanted = (
        _sessions(select(session_table.c.id, session_table.c.session_id), shape)
        .cte("wanted")
        .prefix_with("MATERIALIZED")
    )
    return Statement(
        select(
            wanted.c.id,
            wanted.c.session_id,
            session_document_table.c.key,
            session_document_table.c.payload,
            session_document_table.c.digest,
        )
        .join(session_document_table, session_document_table.c.session_id == wanted.c.id)
        .where(one_of(session_document_table.c.key, bindparam("keys", type_=TextList)))
    )


def _sessions(query: Any, shape: _Shape) -> Any:
    return (
        query.select_from(session_table)
        .outerjoin(project_table, session_table.c.project_id == project_table.c.id)
        .outerjoin(_parent, session_table.c.parent_id == _parent.c.id)
        .where(session_table.c.deleted_at.is_(None), NOT_STAGED, *_conditions(shape))
    )


def _conditions(shape: _Shape) -> Iterator[ColumnElement[bool]]:
    conditions, of_profiles = shape
    if of_profiles:
        yield one_of(session_table.c.profile, bindparam("profiles", type_=TextList))
    for number, (key, with_none) in enumerate(conditions):
        column = _COLUMNS[key]
        alternatives: list[ColumnElement[bool]] = [_is_one(column, f"values_{number}")]
        if with_none:
            alternatives.append(column.is_(None))
        if key not in _OWN:  # the value may be another one than the column's
            alternatives.append(
                exists().where(
                    and_(session_document_table.c.session_id == session_table.c.id, session_document_table.c.key == key)
                )
            )
        yield or_(*alternatives)


def _is_one(column: Any, parameter: str) -> ColumnElement[bool]:
    if isinstance(column.type, Boolean):
        return column == bindparam(parameter)  # type: ignore[no-any-return]
    return one_of(column, bindparam(parameter, type_=TextList))
