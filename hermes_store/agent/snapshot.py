"""One state of the agent's data, and the queries on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from . import queries
from .reader_thread import Deadline
from .schema import AgentSchema

#: SQL: the file has the schema that the query was written for. True or false inside `Snapshot.packed_if_current`.
CURRENT: Final = "(SELECT is_current FROM current)"
#: How many values a query takes; SQLite has a limit on its parameters.
_CHUNK: Final = 500


class SchemaChangedError(Exception):
    """The file no longer has the schema that it had when it was last read."""


@dataclass
class Snapshot:
    """One state of the agent's data, valid inside the read that it is made for.

    Args:
        connection: a connection to the file, inside a transaction.
        schema: what the file has.
        deadline: when the read has to end.
        assumed: whether `schema` is only what the file had when it was last read. The first query confirms it, or
            raises SchemaChangedError; the read then begins anew.
    """

    connection: sqlite3.Connection
    schema: AgentSchema
    deadline: Deadline
    assumed: bool = False

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a query and return all its rows. Bytes in a text that are not UTF-8 become lone surrogates."""
        self.confirm()
        return queries.rows(self.connection, sql, parameters)

    def packed_rows(self, width: int, sql: str, *parameters: Any) -> list[Any]:
        """Return what `rows` does in one step of SQLite: for many rows without long texts.

        Args:
            width: the number of columns of the query.
            sql: the query.
            parameters: those of the query.
        """
        self.confirm()
        return queries.packed_rows(self.connection, width, sql, parameters)

    def packed(self, named: Mapping[str, queries.Query]) -> dict[str, list[Any]]:
        """Run queries by names in one step of SQLite, and return their rows; see `queries.packed`."""
        self.confirm()
        return queries.packed(self.connection, named)

    def packed_if_current(self, named: Mapping[str, queries.Query]) -> dict[str, list[Any]]:
        """Do the same as `packed`, and confirm an assumed schema in the same statement.

        Args:
            named: the queries. If `CURRENT` is not true, the first one must return nothing, at once, and the others
                must find little to do: the indexes that they were written for may be gone.
        """
        if not self.assumed:
            return self.packed({"current": queries.Query(("is_current",), "SELECT 1"), **named})
        self.deadline.check()
        try:
            found = queries.packed(self.connection, {"current": self.schema.is_current(), **named})
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # the first error is the one to raise, unless a column is gone
                self.confirm()
            raise
        self._decide(found["current"])
        return found

    def confirm(self) -> None:
        """Make sure that the schema is the file's, and that there is time for a query.

        Raises:
            SchemaChangedError: it is another one.
        """
        self.deadline.check()
        if self.assumed:
            self._decide(queries.packed(self.connection, {"current": self.schema.is_current()})["current"])

    def _decide(self, current: list[Any]) -> None:
        if current != [[1]]:
            raise SchemaChangedError
        self.assumed = False

    def in_chunks(self, sql: str, values: list[Any]) -> list[Any]:
        """Run a query for a list of any length, in as many statements as SQLite's limit on parameters needs.

        Args:
            sql: the query, in which each ``{}`` stands for the list.
            values: the list.
        """
        return [row for part in chunks(values) for row in self.rows(*_filled(sql, part))]

    def packed_in_chunks(self, width: int, sql: str, values: list[Any]) -> list[Any]:
        """Do the same as `in_chunks`, with `packed_rows`."""
        return [
            row
            for part in chunks(values)
            for query, *parameters in [_filled(sql, part)]
            for row in self.packed_rows(width, query, *parameters)
        ]


def chunks(values: list[Any]) -> Iterator[list[Any]]:
    """Yield a list in parts, each of at most as many values as a query takes."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def marks(values: Sequence[Any]) -> str:
    """Return the marks for the parameters of a list in SQL: ``?,?,?`` for three values."""
    return ",".join("?" * len(values))


def _filled(sql: str, values: list[Any]) -> tuple[Any, ...]:
    """Return a query for a list, and its parameters."""
    return sql.replace("{}", marks(values)), *(values * sql.count("{}"))
