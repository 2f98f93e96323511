"""One state of the agent's data, and the queries on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from .reader_thread import Deadline
from .schema import AgentSchema


@dataclass(frozen=True)
class Snapshot:
    """One state of the agent's data, valid inside the read that it is made for.

    Args:
        connection: a connection inside a transaction, with the file attached as ``agent``.
        schema: what the file has.
        deadline: when the read has to end.
    """

    connection: Connection
    schema: AgentSchema
    deadline: Deadline

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a query and return all its rows. Bytes in a text that are not UTF-8 become lone surrogates.

        A query that works for each row should have an ``ORDER BY`` that makes SQLite find all rows before it returns
        the first. Between two rows Python's global lock is released and taken again, and other threads that are busy
        take it in between, for milliseconds, the more often the longer SQLite works for a row.
        """
        try:
            return self._fetch(sql, parameters)
        except (OperationalError, sqlite3.OperationalError) as error:
            if not str(getattr(error, "orig", error)).startswith("Could not decode to UTF-8"):
                raise
        # A text factory in Python is slower than the default one, so it is used only where that failed.
        with undecoded(driver_connection(self.connection)):
            return self._fetch(sql, parameters)

    def in_chunks(self, sql: str, values: list[Any], *parameters: Any) -> list[Any]:
        """Run a query for a list of any length, in as many statements as SQLite's limit on parameters needs.

        Args:
            sql: the query, in which each ``{}`` stands for the list.
            values: the list.
            parameters: those of the query that come before the list.
        """
        rows: list[Any] = []
        for start in range(0, len(values), 500):
            chunk = values[start : start + 500]
            rows += self.rows(sql.replace("{}", ",".join("?" * len(chunk))), *parameters, *chunk * sql.count("{}"))
        return rows

    def _fetch(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        self.deadline.check()
        with closing(self.connection.exec_driver_sql(sql, tuple(parameters))) as result:
            # The driver's rows: making SQLAlchemy's of them takes as long as reading them.
            return list(result.cursor.fetchall())


@contextmanager
def undecoded(driver: sqlite3.Connection) -> Iterator[None]:
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
