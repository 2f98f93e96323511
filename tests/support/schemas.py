"""A database's schema as a plain value that can be compared: all that its tables and indexes say of themselves."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from typing import Any

import sqlalchemy as sa

Schema = dict[str, Any]
_NOT_OURS = {"alembic_version", "sqlite_autoindex_alembic_version_1", "sqlite_sequence"}


def schema_of(url: str) -> Schema:
    """Return the schema of the database at a path or a PostgreSQL URL.

    Alembic's own table is left out, and SQLite's list of used row ids, which stays when its tables go.
    """
    return _postgres_schema(url) if url.startswith("postgresql") else _sqlite_schema(url)


def _sqlite_schema(path: str) -> Schema:
    with contextlib.closing(sqlite3.connect(path)) as connection:

        def ask(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
            return connection.execute(sql, parameters).fetchall()

        schema: Schema = {
            f"{kind} {name}": _normalised(sql)
            for kind, name, sql in ask("SELECT type, name, sql FROM sqlite_schema")
            if name not in _NOT_OURS
        }
        for (table,) in ask("SELECT name FROM sqlite_schema WHERE type = 'table'"):
            if table in _NOT_OURS:
                continue
            schema[f"columns of {table}"] = ask("SELECT * FROM pragma_table_xinfo(?)", table)
            # But for their numbers, which tell the order in which they were declared.
            schema[f"foreign keys of {table}"] = sorted(
                ask('SELECT "from", "table", "to", on_update, on_delete, match FROM pragma_foreign_key_list(?)', table)
            )
            indexes = ask('SELECT name, "unique", origin, partial FROM pragma_index_list(?)', table)
            schema[f"indexes of {table}"] = {
                (*index, *ask("SELECT seqno, name, desc, coll, key FROM pragma_index_xinfo(?)", index[0]))
                for index in indexes
            }
        return schema


def _normalised(sql: str | None) -> list[str] | None:
    """Return the lines of a CREATE statement, in no particular order and without their layout."""
    return sorted(re.sub(r"\s+", " ", line).strip(" ,") for line in sql.splitlines()) if sql else None


_POSTGRES = {
    "columns": "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default, is_identity "
    "FROM information_schema.columns WHERE table_schema = 'public' AND table_name != 'alembic_version'",
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes "
    "WHERE schemaname = 'public' AND tablename != 'alembic_version'",
    "constraints": "SELECT conrelid::regclass::text, conname, contype::text, pg_get_constraintdef(oid) "
    "FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text != 'alembic_version'",
    "sequences": "SELECT sequence_name, data_type FROM information_schema.sequences WHERE sequence_schema = 'public'",
}


def _postgres_schema(url: str) -> Schema:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return {noun: sorted(map(tuple, connection.exec_driver_sql(query))) for noun, query in _POSTGRES.items()}
