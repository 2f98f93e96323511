"""A database's schema as facts that can be compared by name, whatever the text and the order they were declared in."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from tests.support.upgrading import engine_for

Schema = dict[str, dict[str, Any]]
#: Alembic's tables: the revision's, which a test of its own looks at.
_VERSION_TABLES = {"alembic_version", "hermes_store_version"}


def schema_of(target: str) -> Schema:
    """Return the facts about each table of the database at a path or a PostgreSQL URL."""
    with engine_for(target).connect() as connection:
        inspector = sa.inspect(connection)
        tables = set(inspector.get_table_names()) - _VERSION_TABLES
        return {table: _facts(connection, inspector, table) for table in sorted(tables)}


def _facts(connection: sa.Connection, inspector: sa.Inspector, table: str) -> dict[str, Any]:
    keys = inspector.get_foreign_keys(table)
    return {
        "columns": {
            column["name"]: (str(column["type"]), column["nullable"], _plain(column["default"]))
            for column in inspector.get_columns(table)
        },
        "primary key": inspector.get_pk_constraint(table)["constrained_columns"],
        "unique": {unique["name"]: unique["column_names"] for unique in inspector.get_unique_constraints(table)},
        "checks": sorted((check["name"], _plain(check["sqltext"])) for check in inspector.get_check_constraints(table)),
        "foreign keys": {
            key["name"]: (key["constrained_columns"], key["referred_table"], key["referred_columns"], key["options"])
            for key in keys
        },
        "indexes": {
            index["name"]: (
                index["column_names"],
                bool(index["unique"]),
                _plain(index.get("dialect_options", {}).get(f"{connection.dialect.name}_where")),
            )
            for index in inspector.get_indexes(table)
        },
        "ids are used once": connection.dialect.name != "sqlite" or _has_autoincrement(connection, table),
    }


def _plain(text: Any) -> str | None:
    """Return an expression without its layout."""
    return None if text is None else re.sub(r"\s+", " ", str(text)).strip()


def _has_autoincrement(connection: sa.Connection, table: str) -> bool:
    query = sa.text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :name")
    return "AUTOINCREMENT" in str(connection.execute(query, {"name": table}).scalar_one())
