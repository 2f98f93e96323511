"""The first upgrade of an empty SQLite database, by the statements that Alembic's migrations came to."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from hermes_store.storage import migrations as library
from hermes_store.storage.dialects import Dialect
from hermes_store.storage.dialects.sqlite import SQLiteDialect
from hermes_store.storage.schema import change_state_table, search_state_table
from hermes_store.storage.schema_version import VERSION_TABLE

_upgrade = library.upgrade


def quick_upgrade(template: Path) -> Callable[..., None]:
    """Return a function that upgrades as `migrations.upgrade` does, and fills what is empty like a migrated file."""
    statements = _statements(template)

    def upgrade(
        dialect: Dialect, migrations: Path | None = None, *, revision: str = "head", copies: bool = True
    ) -> None:
        is_usual = migrations is None and revision in ("head", library.HEAD)
        if not is_usual or not isinstance(dialect, SQLiteDialect) or not _fill(dialect, statements):
            _upgrade(dialect, migrations, revision=revision, copies=copies)

    return upgrade


def _statements(template: Path) -> list[str]:
    """Return what makes the tables of a migrated file, and the rows and the marks that it has."""
    with contextlib.closing(sqlite3.connect(template)) as connection:
        schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        # The tables of virtual tables are made with these.
        own = "AND tbl_name NOT LIKE '%\\_search\\_%' ESCAPE '\\'"
        statements = [sql for (sql,) in connection.execute(f"{schema} {own} ORDER BY rowid")]
        tables = f"SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' {own}"
        for (name,) in connection.execute(tables).fetchall():
            if name == search_state_table.name:
                assert connection.execute(
                    "SELECT indexed_from, titles_from, pending_from, pending_titles_from FROM search_state"
                ).fetchall() == [(0, 0, 1, 1)]
                statements.append("INSERT INTO search_state VALUES (1, 0, 0, randomblob(16), 1, 1)")
                continue
            if name == change_state_table.name:
                statements.append("INSERT INTO change_state (id, cursor_key) VALUES (1, randomblob(16))")
                continue
            for row in connection.execute(f'SELECT * FROM "{name}"').fetchall():
                assert (name, len(row)) == (VERSION_TABLE, 1), "a migration fills tables: repeat that here"
                statements.append(f"INSERT INTO {name} VALUES ('{row[0]}')")
        for mark in ("application_id", "user_version"):
            [(value,)] = connection.execute(f"PRAGMA {mark}").fetchall()
            statements.append(f"PRAGMA {mark} = {value}")
    return statements


def _fill(dialect: SQLiteDialect, statements: list[str]) -> bool:
    """Make the tables in a database without any; return whether it is one."""
    with library._alembic_turn(dialect), dialect.upgrade() as connection:
        if connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar_one():
            return False
        for statement in statements:
            connection.exec_driver_sql(statement)
        return True
