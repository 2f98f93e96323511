"""Reading and writing the rows of any table as they are, in parts, to copy a database into another one.

Values are those that the databases hold, not what the library makes of them: texts with their escapes, JSON as bytes.
So a row is the same in every kind of database, and so is its digest.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    LargeBinary,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    literal,
    select,
    tuple_,
    type_coerce,
    update,
)

from ..errors import DatabaseCorruptError
from .row_types import Row, damage_collected, stored_type
from .schema import metadata
from .statement import RowStatement, Statement
from .unit_of_work import UnitOfWork

#: How many rows are read and written at once, and how many bytes of them, unless a single row is larger.
_ROWS: Final = 2_000
_BYTES: Final = 4 << 20
#: Tables that have a row in a database without sessions.
SEEDED: Final = frozenset({"change_state", "search_state"})
#: Digests are added up modulo this.
_MODULUS: Final = 1 << 256

Key = tuple[int | str, ...]


class Part(NamedTuple):
    """Some rows of a table, in the order of their keys."""

    rows: list[Row]
    #: The key of the last one.
    last: Key
    #: Values that were of a wrong type, and are replaced by an empty one.
    replaced: list[str]


class CopiedTable:
    """A table, and the statements that read all of it in parts."""

    def __init__(self, table: Table) -> None:
        self.name = table.name
        self.columns = tuple(column.name for column in table.columns)
        key = tuple(table.primary_key.columns)
        self._key = tuple(self.columns.index(column.name) for column in key)
        self._key_types = tuple(stored_type(column.type).python_type for column in key)
        #: Where rows refer to other rows of the same table, which may come later: these are written when all are there.
        self.links = tuple(fk.parent.name for fk in table.foreign_keys if fk.column.table is table)
        self._link_places = frozenset(map(self.columns.index, self.links))
        self._texts = tuple(
            place for place, column in enumerate(table.columns) if isinstance(stored_type(column.type), Text)
        )
        raw = {column.name: type_coerce(column, stored_type(column.type)) for column in table.columns}
        keys = [raw[column.name] for column in key]
        wide = [
            func.length(column) for column in table.columns if isinstance(stored_type(column.type), Text | LargeBinary)
        ]
        size: ColumnElement[Any] = sum((func.coalesce(one, 0) for one in wide), literal(0))
        after, until = (_bounds(key, name) for name in ("after", "until"))
        place = tuple_(*key) if len(key) > 1 else key[0]
        sizes = select(*keys, size.label("size")).order_by(*key).limit(bindparam("most"))
        rows = select(*raw.values()).order_by(*key)
        self._first_sizes = Statement(sizes, checked=False)
        self._next_sizes = Statement(sizes.where(place > after), checked=False)
        self._first_rows = Statement(rows.where(place <= until))
        self._next_rows = Statement(rows.where(and_(place > after, place <= until)))
        self._count = Statement(select(func.count()).select_from(table), checked=False)
        self._delete = Statement(delete(table))
        self._read_links = {name: _read_links(key[0], table.columns[name]) for name in self.links}
        self._write_links = {name: _write_links(key[0], table.columns[name]) for name in self.links}

    def key_of(self, row: Row) -> Key:
        """Return the key of a row."""
        return tuple(row[place] for place in self._key)

    def count(self, unit: UnitOfWork) -> int:
        """Return how many rows it has."""
        found: int = unit.value(self._count)
        return found

    def empty(self, unit: UnitOfWork) -> None:
        """Remove all rows."""
        unit.execute(self._delete)

    def parts(self, unit: UnitOfWork, after: Key | None = None) -> Iterator[Part]:
        """Yield the rows after a key, all of them when None.

        Raises:
            DatabaseCorruptError: a key is of a wrong type.
        """
        while True:
            bounds = {} if after is None else _named("after", after)
            statement = self._first_sizes if after is None else self._next_sizes
            sizes = unit.rows(statement, {"most": _ROWS, **bounds})
            for last in _ends(sizes):
                self._require_key(last)
                yield self._part(unit, after, last)
                after = last
            if len(sizes) < _ROWS:
                return

    def _require_key(self, key: Key) -> None:
        if tuple(map(type, key)) != self._key_types:
            raise DatabaseCorruptError(
                f"A row of table {self.name} has the key {key!r:.200}, so the table cannot be copied. What was copied "
                "is kept. Look at it with `hermes-store verify`, or read what is whole into a new database with "
                "`hermes-store salvage`."
            )

    def _part(self, unit: UnitOfWork, after: Key | None, last: Key) -> Part:
        until = _named("until", last)
        with damage_collected() as damaged:
            if after is None:
                rows = unit.rows(self._first_rows, until)
            else:
                rows = unit.rows(self._next_rows, {**_named("after", after), **until})
        replaced = [f"{self.name}: {what}" for what in damaged]
        return Part([*self._without_nul([tuple(row) for row in rows], replaced)], last, replaced)

    def _without_nul(self, rows: list[Row], replaced: list[str]) -> Iterable[Row]:
        """Return rows without NUL characters in texts, which the library escapes and PostgreSQL refuses."""
        columns = [[row[place] for row in rows] for place in self._texts]
        if not any("\0" in "".join(filter(None, values)) for values in columns):
            return rows
        replaced.append(f"{self.name}: NUL characters in texts")
        return [
            tuple(value.replace("\0", "\x100000") if isinstance(value, str) else value for value in row) for row in rows
        ]

    def write(self, unit: UnitOfWork, rows: list[Row]) -> None:
        """Insert rows, without their links."""
        if self._link_places:
            rows = [
                tuple(None if place in self._link_places else value for place, value in enumerate(row)) for row in rows
            ]
        unit.load(self.name, self.columns, rows)

    def link_parts(self, unit: UnitOfWork, name: str) -> Iterator[list[Row]]:
        """Yield the links of one column: the row that is referred to, and the row that refers to it."""
        after = -(2**62)
        while rows := unit.rows(self._read_links[name], {"after": after, "most": _ROWS}):
            yield [(linked, row_id) for row_id, linked in rows]
            after = rows[-1][0]

    def write_links(self, unit: UnitOfWork, name: str, links: Sequence[Row]) -> None:
        """Write links of one column."""
        unit.execute_many(self._write_links[name], links)


class Digest(NamedTuple):
    """Of rows in any order: how many, and the sum of the digest of each."""

    rows: int = 0
    total: int = 0

    def with_rows(self, rows: Iterable[Row]) -> Digest:
        """Return the digest with further rows."""
        count, total = self
        for row in rows:
            # Version 2 of the format depends on nothing but the values.
            total += int.from_bytes(hashlib.sha256(marshal.dumps(row, 2)).digest())
            count += 1
        return Digest(count, total % _MODULUS)


def all_tables() -> list[CopiedTable]:
    """Return the library's tables, each after those that it refers to; without the index of words."""
    return [CopiedTable(table) for table in metadata.sorted_tables]


def _read_links(row_id: ColumnElement[int], link: ColumnElement[int]) -> Statement:
    """Return the query for row ids, and for what a column of these rows refers to."""
    query = select(row_id, link).where(link.is_not(None), row_id > bindparam("after"))
    return Statement(query.order_by(row_id).limit(bindparam("most")))


def _write_links(row_id: Column[int], link: Column[int]) -> RowStatement:
    statement = update(row_id.table).where(row_id == bindparam("row_id")).values({link.name: bindparam("linked")})
    return RowStatement(statement, ("linked", "row_id"))


def _bounds(key: Sequence[ColumnElement[Any]], name: str) -> Any:
    found = [bindparam(f"{name}_{index}", type_=stored_type(column.type)) for index, column in enumerate(key)]
    return tuple_(*found) if len(found) > 1 else found[0]


def _named(name: str, key: Key) -> dict[str, Any]:
    return {f"{name}_{index}": value for index, value in enumerate(key)}


def _ends(sizes: Sequence[Row]) -> Iterator[Key]:
    """Yield the keys at which parts end, given the key and the size of each row."""
    total = 0
    last: Key | None = None
    for *key, size in sizes:
        if last is not None and total + (size or 0) > _BYTES:
            yield last
            total = 0
        total += size or 0
        last = tuple(key)
    if last is not None:
        yield last
