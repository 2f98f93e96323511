"""The values that the columns of a result may have, and what is taken for one that is none of them.

SQLite stores any value in any column, so a damaged or edited row can have a text where there is to be a number, or
NULL where there is to be a value. Such a value is replaced by an empty one of the right type, and logged, so that the
row breaks no list and no other row.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from sqlalchemy import Boolean, ColumnElement, Float, Integer, LargeBinary, Text
from sqlalchemy.sql.elements import Label
from sqlalchemy.types import TypeDecorator, TypeEngine

logger = logging.getLogger("hermes_store")

Row = tuple[Any, ...]
Kinds = tuple[type, ...]

#: By the columns' type: the driver's types of its values, and an empty value.
_BY_TYPE: Final[Sequence[tuple[type[TypeEngine[Any]], frozenset[type], Any]]] = (
    (Boolean, frozenset({int}), 0),
    (Integer, frozenset({int}), 0),
    (Float, frozenset({float, int}), 0.0),
    (Text, frozenset({str}), ""),
    (LargeBinary, frozenset({bytes}), b""),
)
#: Values that tell a reader of the log which row it is.
_NAMES: Final = ("session_id", "project_id", "item", "internal_id", "id")
#: How many kinds of rows and how many warnings are remembered, so that memory is bounded.
_MOST: Final = 10_000
_logged: Final[set[str]] = set()


class _Column(NamedTuple):
    name: str
    kinds: frozenset[type]
    empty: Any


class RowTypes:
    """Checks the rows of one statement, as the driver returns them.

    Rows are checked by the types of all their values at once: a kind of row that was found to be sound is remembered.

    Args:
        columns: the columns of the result. One with a label may be NULL, as those of outer joins are.
    """

    __slots__ = ("_columns", "_sound")

    def __init__(self, columns: Sequence[ColumnElement[Any]]) -> None:
        self._columns = tuple(map(_column, columns))
        self._sound: set[Kinds] = set()

    def check(self, rows: list[Row]) -> None:
        """Replace the rows that have damaged values."""
        sound = self._sound
        if not sound.issuperset({tuple(map(type, row)) for row in rows}):
            for index, row in enumerate(rows):
                if tuple(map(type, row)) not in sound:
                    rows[index] = self._inspect(row)

    def damaged(self, row: Row) -> list[tuple[str, Any]]:
        """Return the names and values of the columns of a row whose value is of none of their types."""
        return [
            (column.name, value)
            for column, value in zip(self._columns, row, strict=True)
            if column.kinds and type(value) not in column.kinds and not isinstance(value, bool)
        ]

    def _inspect(self, row: Row) -> Row:
        damaged = [
            index
            for index, (column, value) in enumerate(zip(self._columns, row, strict=True))
            if column.kinds and type(value) not in column.kinds
        ]
        if not damaged:
            if len(self._sound) >= _MOST:
                self._sound.clear()
            self._sound.add(tuple(map(type, row)))
            return row
        values = list(row)
        for index in damaged:
            column = self._columns[index]
            self._report(column, row, row[index])
            values[index] = column.empty
        return tuple(values)

    def _report(self, column: _Column, row: Row, value: Any) -> None:
        named = {one.name: value for one, value in zip(self._columns, row, strict=True) if one.name in _NAMES}
        name = next((f"{name} {named[name]!r:.80}" for name in _NAMES if name in named), "no name")
        found = _collected.get()
        if found is not None:
            found.append(f"{column.name} of {name}")
        log_once("A damaged value is in column %s of the row with %s: %.80r.", column.name, name, value)


_collected: Final[ContextVar[list[str] | None]] = ContextVar("damaged values", default=None)


@contextlib.contextmanager
def damage_collected() -> Iterator[list[str]]:
    """Give a list to which each damaged value that is read in the block adds its column and its row's name."""
    found: list[str] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def log_once(message: str, *arguments: Any) -> None:
    """Log a warning, unless the same one was logged before: lists are read again and again."""
    text = message % arguments
    if text in _logged:
        return
    if len(_logged) >= _MOST:
        _logged.clear()
    _logged.add(text)
    logger.warning("%s", text)


def _column(column: ColumnElement[Any]) -> _Column:
    source = getattr(column, "clause", column)  # of a type_coerce
    name = str(getattr(source, "key", None) or "?")
    kinds, empty = _of_type(column.type)
    if not kinds:
        return _Column(name, kinds, None)
    if isinstance(source, Label) or getattr(source, "nullable", True):
        return _Column(name, kinds | {type(None)}, None)
    return _Column(name, kinds, empty)


def stored_type(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type in which the database has the values of a column's type."""
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _of_type(kind: TypeEngine[Any]) -> tuple[frozenset[type], Any]:
    """Return the driver's types for a column's type, none if any will do, and an empty value."""
    stored = stored_type(kind)
    return next(((kinds, empty) for base, kinds, empty in _BY_TYPE if isinstance(stored, base)), (frozenset(), None))
