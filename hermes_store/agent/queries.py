"""Run a query on the agent's file, and return its rows one after another or in one step of SQLite.

Between two rows Python's global lock is released and taken again. Other threads that are busy take it in between, for
5 ms and more. So what has many rows is best fetched in one step: SQLite packs them into one text. A statement that is
executed releases the lock six times, so several queries are best run as one statement.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

#: What JSON cannot hold as it is, by the names of SQLite's types: how it is packed, and how it is unpacked. SQLite's
#: `quote` gives a number that has exactly the same value; older versions write 15 digits into JSON.
_PACKED: Final = "CASE typeof({0}) WHEN 'real' THEN quote({0}) WHEN 'blob' THEN hex({0}) ELSE {0} END"
_UNPACKED: Final[dict[str, Callable[[str], Any]]] = {"real": float, "blob": bytes.fromhex}
#: How many columns are packed into one array. SQLite's functions take some hundred arguments, of which each needs two.
_PART: Final = 32


def rows(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[Any]:
    """Run a query and return its rows. Bytes in a text that are not UTF-8 become lone surrogates."""
    try:
        return _fetch(connection, sql, parameters)
    except sqlite3.OperationalError as error:
        if not str(error).startswith("Could not decode to UTF-8"):
            raise
    # A text factory in Python is slower than the default one, so it is used only where that failed.
    with _undecoded(connection):
        return _fetch(connection, sql, parameters)


@dataclass(frozen=True)
class Query:
    """A query whose rows are packed.

    Args:
        columns: names for the columns that it returns.
        sql: the query.
        parameters: those of the query.
    """

    columns: Sequence[str]
    sql: str
    parameters: Sequence[Any] = ()


def packed(connection: sqlite3.Connection, queries: Mapping[str, Query]) -> dict[str, list[Any]]:
    """Return the rows of queries, each list in the order of its query, in one step of SQLite.

    Args:
        connection: a connection.
        queries: the queries by names. Each can read from those before it as from tables.
    """
    # Materialized, as SQLite would otherwise compute each value once for each time that it is named.
    tables = ", ".join(
        f"{name} ({', '.join(query.columns)}) AS MATERIALIZED ({query.sql})" for name, query in queries.items()
    )
    parameters = [value for query in queries.values() for value in query.parameters]
    texts = ", ".join(packing(name, query.columns) for name, query in queries.items())
    try:
        found = rows(connection, f"WITH {tables} SELECT {texts}", parameters)[0]
    except sqlite3.DataError as error:
        if error.sqlite_errorname != "SQLITE_TOOBIG":
            raise
        return {name: rows(connection, f"WITH {tables} SELECT * FROM {name}", parameters) for name in queries}
    return {name: unpack(text) for name, text in zip(queries, found, strict=True)}


def packed_rows(connection: sqlite3.Connection, width: int, sql: str, parameters: Sequence[Any]) -> list[Any]:
    """Return what `rows` does, in the same order, in one step of SQLite.

    Args:
        connection: a connection.
        width: the number of columns of the query.
        sql: the query.
        parameters: those of the query.
    """
    query = Query([f"c{number}" for number in range(width)], sql, parameters)
    return packed(connection, {"r": query})["r"]


def packing(name: str, columns: Sequence[str]) -> str:
    """Return SQL for: all rows of a table, or of a query in parentheses, as one JSON text."""
    pairs = [f"typeof({column}), {_PACKED.format(column)}" for column in columns]
    parts = [f"json_array({', '.join(pairs[start : start + _PART])})" for start in range(0, len(pairs), _PART)]
    return f"(SELECT json_group_array(json_array({', '.join(parts)})) FROM {name})"


def unpack(text: str) -> list[list[Any]]:
    """Return the rows of such a text."""
    return [
        [
            _UNPACKED[kind](value) if kind in _UNPACKED else value
            for part in row
            for kind, value in zip(part[::2], part[1::2], strict=True)
        ]
        for row in json.loads(text)
    ]


def _fetch(connection: sqlite3.Connection, sql: str, parameters: Sequence[Any]) -> list[Any]:
    return connection.execute(sql, parameters).fetchall()


@contextmanager
def _undecoded(connection: sqlite3.Connection) -> Iterator[None]:
    """Read bytes in a text that are not UTF-8 as lone surrogates."""
    connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str


def usable(value: Any) -> bool:
    """Whether an id or a name can be in a query, or a parameter of one.

    A salvaged file may have others: no text, or one that is not UTF-8. Nothing can refer to them.
    """
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
