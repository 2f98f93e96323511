"""Statements that are built once and compiled once for each dialect.

SQLAlchemy caches the SQL of a statement, but building a `select()` for each call, and what the driver's cursor is
wrapped in, take longer than the database needs to run it. So a statement here is a constant with bind parameters.
Units of work run its SQL on the driver's cursor, with the conversions of the column types applied here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import BigInteger, BindParameter, Boolean, ColumnElement, Dialect, Executable, Text
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from .row_types import Row, RowTypes, stored_type
from .types import LosslessText, is_escaped, unescaped

Parameters = Mapping[str, Any]
Convert = Callable[[Any], Any]

NO_PARAMETERS: Final[Parameters] = {}


class Statement:
    """A statement with bind parameters, to be kept for as long as the program runs.

    Args:
        clause: the statement. Every parameter of an INSERT or UPDATE is a `bindparam` of its own.
        checked: whether the types of what SQLite returns are checked (see `row_types`); the caller does it if not.
        waits: whether it does nothing but wait for others' locks; a SELECT that locks rows does in any case.
    """

    __slots__ = ("_checked", "_compiled", "clause", "waits")

    def __init__(self, clause: Executable, *, checked: bool = True, waits: bool = False) -> None:
        self.clause = clause
        self.waits = waits or getattr(clause, "_for_update_arg", None) is not None
        self._checked = checked
        self._compiled: dict[str, CompiledStatement] = {}

    def compiled(self, dialect: Dialect) -> CompiledStatement:
        """Return the statement's SQL for a dialect. Those that are used here have different styles of parameters."""
        found = self._compiled.get(dialect.paramstyle)
        if found is None:
            # A server has typed columns.
            is_checked = self._checked and not dialect.supports_native_boolean
            found = self._compiled[dialect.paramstyle] = CompiledStatement(self.clause, dialect, checked=is_checked)
        return found


class Bound(NamedTuple):
    """A statement with its parameters."""

    statement: Statement
    parameters: Parameters


class RowStatement:
    """A statement that is run once for each of many rows of values; to be kept as a `Statement`.

    Args:
        clause: the statement.
        names: its parameters, each a `bindparam`, in their order in the SQL, which is that of the values in a row.
    """

    __slots__ = ("_compiled", "clause", "names")

    def __init__(self, clause: Executable, names: Sequence[str]) -> None:
        self.clause = clause
        self.names = tuple(names)
        self._compiled: dict[str, CompiledRowStatement] = {}

    def compiled(self, dialect: Dialect) -> CompiledRowStatement:
        """Return the statement's SQL for a dialect whose parameters are positional."""
        found = self._compiled.get(dialect.paramstyle)
        if found is None:
            found = self._compiled[dialect.paramstyle] = CompiledRowStatement(self.clause, self.names, dialect)
        return found


class CompiledRowStatement:
    """The SQL of a statement for many rows, and the conversions from Python's values to the driver's."""

    __slots__ = ("_columns", "sql")

    def __init__(self, clause: Executable, names: Sequence[str], dialect: Dialect) -> None:
        compiled = clause.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.sql = str(compiled)
        if list(names) != compiled.positiontup:
            raise AssertionError(f"the parameters of {self.sql!r} are {compiled.positiontup}")
        converters = [_bind_converter(compiled.binds[name], dialect) for name in names]
        self._columns = [(index, convert) for index, convert in enumerate(converters) if convert is not None]

    def bind(self, rows: Sequence[Row]) -> Iterable[Row]:
        """Return rows as the driver takes them."""
        if not self._columns or not rows:
            return rows
        columns: list[Iterable[Any]] = list(zip(*rows, strict=True))
        for index, convert in self._columns:
            columns[index] = map(convert, columns[index])
        return zip(*columns, strict=True)


class CompiledStatement:
    """The SQL of a statement, and the conversions between Python's values and the driver's."""

    __slots__ = (
        *("_columns", "_constants", "_names", "_parameters", "_texts", "_texts_of", "_types"),
        *("returns_written_text", "sql"),
    )

    def __init__(self, clause: Executable, dialect: Dialect, *, checked: bool = True) -> None:
        compiled = clause.compile(dialect=dialect)  # type: ignore[attr-defined]
        self.sql = str(compiled)
        self._names: Sequence[str] = compiled.positiontup or ()
        self._constants: dict[str, Any] = {}
        self._parameters: list[tuple[str, Convert]] = []
        for parameter, name in compiled.bind_names.items():
            convert = _bind_converter(parameter, dialect)
            if not parameter.required:
                value = parameter.effective_value
                self._constants[name] = value if convert is None else convert(value)
            elif convert is not None:
                self._parameters.append((name, convert))
        columns = _columns(clause)
        self._types = RowTypes(columns) if checked and columns else None
        #: Whether it writes, and returns texts of what it wrote: it cannot be run again when one cannot be decoded.
        self.returns_written_text = not clause.is_select and any(isinstance(stored_type(c.type), Text) for c in columns)
        self._texts = [index for index, column in enumerate(columns) if isinstance(column.type, LosslessText)]
        # The first one twice, as it returns no tuple for a single one.
        self._texts_of = itemgetter(self._texts[0], *self._texts) if self._texts else None
        converters = [_column_converter(column, dialect) for column in columns]
        self._columns = [(index, convert) for index, convert in enumerate(converters) if convert is not None]

    def bind(self, parameters: Parameters) -> Parameters:
        """Return parameters as the driver takes them."""
        if not self._constants and not self._parameters:
            return parameters
        bound = {**self._constants, **parameters}
        for name, convert in self._parameters:
            bound[name] = convert(bound[name])
        return bound

    def values(self, parameters: Parameters) -> list[Any]:
        """Return parameters as a driver takes them whose parameters are positional."""
        bound = self.bind(parameters)
        return [bound[name] for name in self._names]

    def rows(self, rows: list[Row]) -> list[Row]:
        """Return rows as Python's values."""
        if self._types is not None:
            self._types.check(rows)
        converters = self._columns
        # Hardly any text has escapes, so they are searched together.
        if self._texts_of and is_escaped("".join(filter(None, chain.from_iterable(map(self._texts_of, rows))))):
            converters = [*((index, unescaped) for index in self._texts), *converters]
        if not converters:
            return rows
        found = []
        for row in rows:
            values = list(row)
            for index, convert in converters:
                value = values[index]
                if value is not None:
                    values[index] = convert(value)
            found.append(tuple(values))
        return found


def _bind_converter(parameter: BindParameter[Any], dialect: Dialect) -> Convert | None:
    return parameter.type.dialect_impl(dialect).bind_processor(dialect)


def _column_converter(column: ColumnElement[Any], dialect: Dialect) -> Convert | None:
    """Return the function that converts the driver's values of a column that are not None; None if they stay, or are
    those of a `LosslessText`."""
    if isinstance(column.type, LosslessText):
        return None
    if isinstance(column.type, Boolean) and not dialect.supports_native_boolean:
        return bool  # of a number: whatever else is there was replaced, or the database computed it
    if dialect.supports_native_boolean and not isinstance(column.type, TypeDecorator):
        return None  # a server's driver returns Python's values
    return column.type.dialect_impl(dialect).result_processor(dialect, None)


def _columns(clause: Executable) -> Sequence[ColumnElement[Any]]:
    """Return the columns of the result: a SELECT's, or those of RETURNING."""
    return list(getattr(clause, "exported_columns", ()))


class one_of(FunctionElement[bool]):  # noqa: N801 - reads as an SQL function: one_of(column, bindparam("names", …))
    """A condition: a column's value is in the list that is bound to a parameter (see the list types in `types`).

    One statement for lists of any length, which SQLAlchemy's IN is not: its SQL depends on the length. Each dialect
    renders it in its own way.
    """

    type = Boolean()
    inherit_cache = True

    def self_group(self, against: Any = None) -> Self:
        """Stand in WHERE as it is: the ``= 1`` that SQLAlchemy adds on SQLite would keep it from using an index."""
        return self


class next_change(FunctionElement[int]):  # noqa: N801 - as `one_of`
    """The number of a change that is being written: see `change_rows`. Each dialect renders it in its own way."""

    type = BigInteger()
    inherit_cache = True


class period_rows(FunctionElement[Any]):  # noqa: N801 - as `one_of`
    """A table of periods, with the columns `start_at` and `end_at`, from the times that are bound to a parameter.

    Each period ends where the next one begins, and the last time only ends one. Each dialect renders it in its own way.
    """

    inherit_cache = True
