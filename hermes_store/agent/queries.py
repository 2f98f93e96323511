"""Run a query on the agent's file, and return its rows one after another or in one step of SQLite.

Between two rows Python's global lock is released and taken again. Other threads that are busy take it in between, for
5 ms and more. So what has many rows is best fetched in one step: SQLite packs them into one text.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, OperationalError

#: What JSON cannot hold as it is, by the names of SQLite's types: how it is packed, and how it is unpacked. SQLite's
#: `quote` gives a number that has exactly the same value; older versions write 15 digits into JSON.
_PACKED: Final = "CASE typeof({0}) WHEN 'real' THEN quote({0}) WHEN 'blob' THEN hex({0}) ELSE {0} END"
_UNPACKED: Final[dict[str, Callable[[str], Any]]] = {"real": float, "blob": bytes.fromhex}


def rows(connection: Connection, sql: str, parameters: Sequence[Any]) -> list[Any]:
    """Run a query and return its rows. Bytes in a text that are not UTF-8 become lone surrogates."""
    try:
        return _fetch(connection, sql, parameters)
    except (OperationalError, sqlite3.OperationalError) as error:
        if not str(getattr(error, "orig", error)).startswith("Could not decode to UTF-8"):
            raise
    # A text factory in Python is slower than the default one, so it is used only where that failed.
    with _undecoded(driver_connection(connection)):
        return _fetch(connection, sql, parameters)


def packed_rows(connection: Connection, width: int, sql: str, parameters: Sequence[Any]) -> list[Any]:
    """Return what `rows` does, in the same order, in one step of SQLite.

    Args:
        connection: a connection.
        width: the number of columns of the query.
        sql: the query.
        parameters: those of the query.
    """
    names = [f"c{number}" for number in range(width)]
    pairs = ", ".join(f"typeof({name}), {_PACKED.format(name)}" for name in names)
    # Materialized, as SQLite would otherwise compute each value once for each time that it is named here.
    packing = f"WITH r ({', '.join(names)}) AS MATERIALIZED ({sql}) SELECT json_group_array(json_array({pairs})) FROM r"
    try:
        packed = rows(connection, packing, parameters)[0][0]
    except (DataError, sqlite3.DataError) as error:
        if getattr(getattr(error, "orig", error), "sqlite_errorname", None) != "SQLITE_TOOBIG":
            raise
        return rows(connection, sql, parameters)
    return [
        [
            _UNPACKED[kind](value) if kind in _UNPACKED else value
            for kind, value in zip(row[::2], row[1::2], strict=True)
        ]
        for row in json.loads(packed)
    ]


def _fetch(connection: Connection, sql: str, parameters: Sequence[Any]) -> list[Any]:
    with closing(connection.exec_driver_sql(sql, tuple(parameters))) as result:
        # The driver's rows: making SQLAlchemy's of them takes as long as reading them.
        return list(result.cursor.fetchall())


@contextmanager
def _undecoded(driver: sqlite3.Connection) -> Iterator[None]:
    """Read bytes in a text that are not UTF-8 as lone surrogates."""
    driver.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def driver_connection(connection: Connection) -> sqlite3.Connection:
    """Return the connection of Python's `sqlite3` module that a connection of SQLAlchemy's uses."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)  # noqa: S101 - for the type checker
    return driver
