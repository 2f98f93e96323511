"""What the agent's file has: tables, columns and indexes as they are, not as a version number promises.

Forks reuse the agent's version numbers, and the agent adds columns without counting them.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeVar

from ..errors import AgentSchemaError
from ..storage.row_types import log_once
from . import queries

K = TypeVar("K")

_NEEDED: Final = {"sessions": {"id"}, "messages": {"id", "session_id"}}
#: How many schemas are remembered, and of how many files; files of one version of the agent have the same.
_MAX_REMEMBERED: Final = 16
#: SQL: a file's schema as one text, which says everything but what the data decides.
_TEXT: Final = queries.packing(
    "(SELECT name, type, sql FROM main.sqlite_master WHERE type IN ('table', 'view', 'index'))", ("name", "type", "sql")
)


@dataclass(frozen=True)
class AgentSchema:
    """The tables that matter, with their columns in order, and the indexes on messages."""

    sessions: tuple[str, ...]
    messages: tuple[str, ...]
    tables: frozenset[str]
    #: The columns of each index on sessions, and on messages.
    session_indexes: tuple[tuple[str, ...], ...]
    message_indexes: tuple[tuple[str, ...], ...]
    #: The columns of the table with the usage of models; none in files that have no such table.
    usage: tuple[str, ...] = ()
    #: SQL for: the message has an id. It is true of all where the table's key sees to that; in a salvaged file the key
    #: may be lost, and with it what tells one message from another.
    identified: str = "1"
    #: What all of this was found in; none where the data decides as well.
    text: str | None = None

    @classmethod
    def read(cls, connection: sqlite3.Connection, path: Path) -> AgentSchema:
        """Look at a file.

        Raises:
            AgentSchemaError: it has not what every agent's file has.
        """
        text = queries.rows(connection, f"SELECT {_TEXT}", ())[0][0]
        schema = _analysed.get(text)
        if schema is None:
            schema, has_key = cls._analyse(connection, path, {row[0]: row[1] for row in queries.unpack(text)})
            if has_key:
                # What is no UTF-8 cannot be a parameter.
                schema = replace(schema, text=text if queries.usable(text) else None)
                _remember(_analysed, text, schema)
            else:
                schema = replace(schema, identified=_identified(connection, path))
        _remember(_latest, path, schema)
        return schema

    @classmethod
    def latest(cls, path: Path) -> AgentSchema | None:
        """Return what a file had when it was last read, as far as its text says it; None where that is not known."""
        schema = _latest.get(path)
        return None if schema is None or schema.text is None else schema

    def is_current(self) -> queries.Query:
        """Return the query for: the file has this schema. Its one row is 1 if it has."""
        return queries.Query(("is_current",), f"SELECT {_TEXT} = ?", (self.text,))

    @classmethod
    def _analyse(cls, connection: sqlite3.Connection, path: Path, kinds: dict[str, str]) -> tuple[AgentSchema, bool]:
        """Return what the file has, and whether the keys of its tables give each message an id."""
        if kinds.get("message_blobs") == "table":
            raise AgentSchemaError(f"{path} is a store of this library, not an agent's database.")
        columns: dict[str, tuple[str, ...]] = {}
        has_key = False
        for table, needed in _NEEDED.items():
            if kinds.get(table) != "table":  # a view could compute anything
                raise AgentSchemaError(f"{path} has no table {table!r}, so it is no agent's database.")
            info = queries.rows(connection, f"PRAGMA main.table_info({table})", ())
            columns[table] = tuple(row[1] for row in info if queries.usable(row[1]))
            has_key = [row[1:3] for row in info if row[5]] == [("id", "INTEGER")]
            missing = needed - set(columns[table])
            if missing:
                raise AgentSchemaError(f"{path}: its table {table!r} has no column {', '.join(sorted(missing))}.")
        usage: tuple[str, ...] = ()
        if kinds.get("session_model_usage") == "table":
            info = queries.rows(connection, "PRAGMA main.table_info(session_model_usage)", ())
            usage = tuple(row[1] for row in info if queries.usable(row[1]))
        schema = cls(
            sessions=columns["sessions"],
            messages=columns["messages"],
            tables=frozenset(name for name, kind in kinds.items() if kind == "table"),
            session_indexes=tuple(_indexes(connection, "sessions")),
            message_indexes=tuple(_indexes(connection, "messages")),
            usage=usage,
        )
        return schema, has_key

    def session(self, column: str, otherwise: str = "NULL") -> str:
        """Return SQL for a column of the sessions aliased ``s``, or for what stands in where it is missing."""
        return f"s.{_quoted(column)}" if column in self.sessions else otherwise

    def message(self, column: str, otherwise: str = "NULL") -> str:
        """Return SQL for a column of the messages aliased ``m``, or for what stands in where it is missing."""
        return f"m.{_quoted(column)}" if column in self.messages else otherwise

    @property
    def live(self) -> str:
        """SQL for: the message was not rewound. (Null, in files that were upgraded, means that it was not.)"""
        return f'm."active" IS NOT 0 AND {self.identified}' if "active" in self.messages else self.identified

    @property
    def shown(self) -> str:
        """SQL for: the message is part of the conversation: it is live, or was summarised away in place."""
        return " OR ".join(f"({part})" for part in self.shown_parts)

    @property
    def shown_parts(self) -> tuple[str, ...]:
        """The same in parts of which no two are true of one message. The agent's index on `active` serves each."""
        if "active" not in self.messages or "compacted" not in self.messages:
            return (self.live,)
        return self.live, f'm."active" = 0 AND coalesce(m."compacted", 0) <> 0 AND {self.identified}'

    def session_index(self, *columns: str) -> bool:
        """Whether an index on sessions begins with these columns."""
        return any(index[: len(columns)] == columns for index in self.session_indexes)

    @property
    def finds_messages(self) -> bool:
        """Whether an index leads to a session's messages."""
        return any(index[:1] == ("session_id",) for index in self.message_indexes)

    @property
    def finds_last_activity(self) -> bool:
        """Whether an index leads to a session's last message by time."""
        return any(index[:2] == ("session_id", "timestamp") for index in self.message_indexes)


#: The schemas that were analysed, by their texts.
_analysed: dict[str, AgentSchema] = {}
#: What each file had when it was last read.
_latest: dict[Path, AgentSchema] = {}

_IDENTIFIED: Final = "typeof(m.id) = 'integer'"


def _remember(schemas: dict[K, AgentSchema], key: K, schema: AgentSchema) -> None:
    if key not in schemas and len(schemas) >= _MAX_REMEMBERED:
        schemas.clear()
    schemas[key] = schema


def _identified(connection: sqlite3.Connection, path: Path) -> str:
    """Return SQL for: the message has an id; log how many have none."""
    query = f"SELECT count(*) FROM main.messages m WHERE NOT ({_IDENTIFIED})"
    count = connection.execute(query).fetchone()[0]
    if count:
        log_once("%s has %d messages without an id that is a number. They are left out.", path, count)
    return _IDENTIFIED


def _quoted(name: str) -> str:
    """Return a name as SQL. Always used with its table before it: alone, an unknown one would be taken as text."""
    return '"' + name.replace('"', '""') + '"'


def _indexes(connection: sqlite3.Connection, table: str) -> list[tuple[str, ...]]:
    found = []
    for row in queries.rows(connection, f"PRAGMA main.index_list({table})", ()):
        name, partial = row[1], row[4]
        if not partial and queries.usable(name):
            info = queries.rows(connection, f"PRAGMA main.index_info({_quoted(name)})", ())
            found.append(tuple(entry[2] or "" for entry in info))
    return found
