"""Databases that this code must not touch: it says why, and their bytes stay as they are."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hermes_store import (
    DatabaseMissingError,
    SchemaNewerError,
    SchemaOutdatedError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.storage import migrations
from tests.support.processes import alembic
from tests.support.schemas import schema_of
from tests.support.upgrading import NEXT, upgrade

WAYS: list[dict[str, Any]] = [{}, {"migrate": False}, {"read_only": True}]
way = pytest.mark.parametrize("how", WAYS, ids=["to write", "not to migrate", "to read"])
NextMigrations = Callable[..., Path]

AGENT = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (23);
CREATE TABLE {sessions} (id TEXT PRIMARY KEY, source TEXT NOT NULL, started_at REAL NOT NULL, title TEXT);
INSERT INTO {sessions} VALUES ('20260512_091500_a1b2c3', 'cli', 1778577300.0, 'Trip');
CREATE TABLE {messages} (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, role TEXT, content TEXT);
INSERT INTO {messages} (session_id, role, content) VALUES ('20260512_091500_a1b2c3', 'user', 'hi');
CREATE VIRTUAL TABLE messages_fts USING fts5(content);
"""


@pytest.fixture(params=["wal", "delete"])
def agents_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The agent's own `state.db`, closed, in either journal mode."""
    return foreign_file(tmp_path / "agent" / "state.db", request.param)


def foreign_file(path: Path, journal_mode: str, sessions: str = "sessions", messages: str = "messages") -> Path:
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.executescript(AGENT.format(sessions=sessions, messages=messages))
    return path


@way
def test_a_foreign_file_is_refused_and_unchanged(agents_file: Path, how: dict[str, Any]) -> None:
    before = agents_file.read_bytes()
    with pytest.raises(UnsupportedDatabaseError, match="tables of something else"):
        Store.open(agents_file, **how)
    assert agents_file.read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("names", [("sessions", "messages"), ("chats", "lines")], ids=["as ours", "other"])
def test_the_command_line_refuses_foreign_files(tmp_path: Path, names: tuple[str, str]) -> None:
    path = foreign_file(tmp_path / "agent" / "state.db", "wal", *names)
    before = path.read_bytes()
    refused = alembic("-x", f"url={path}", "upgrade", "head")
    assert path.read_bytes() == before
    assert refused.returncode != 0
    assert "tables of something else" in refused.stderr


def test_a_foreign_postgresql_database_is_refused(make_postgres_database: Callable[..., str]) -> None:
    url = make_postgres_database(empty=True)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE chats (id text PRIMARY KEY)")
    before = schema_of(url)
    with pytest.raises(UnsupportedDatabaseError, match="tables of something else"):
        Store.open(url)
    assert schema_of(url) == before


@way
def test_a_newer_database_is_refused_and_unchanged(
    filled: Path, next_migrations: NextMigrations, how: dict[str, Any]
) -> None:
    upgrade(filled, next_migrations())
    before = filled.read_bytes()
    with pytest.raises(SchemaNewerError, match=f"'{NEXT}'.*'{migrations.HEAD}'") as refused:
        Store.open(filled, **how)
    assert (refused.value.found, refused.value.known) == (NEXT, migrations.HEAD)
    assert filled.read_bytes() == before


def test_a_newer_postgresql_database_is_refused(postgres_url: str, next_migrations: NextMigrations) -> None:
    upgrade(postgres_url, next_migrations())
    before = schema_of(postgres_url)
    with pytest.raises(SchemaNewerError, match=f"'{NEXT}'.*'{migrations.HEAD}'"):
        Store.open(postgres_url)
    assert schema_of(postgres_url) == before


@pytest.mark.parametrize("how", WAYS[1:], ids=["not to migrate", "to read"])
def test_an_empty_file_is_refused_unless_migrating(tmp_path: Path, how: dict[str, Any]) -> None:
    path = tmp_path / "empty.db"
    path.touch()
    with pytest.raises(SchemaOutdatedError, match=f"no hermes_store tables.*{migrations.HEAD}"):
        Store.open(path, **how)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("how", WAYS[1:], ids=["not to migrate", "to read"])
def test_a_missing_file_is_refused_unless_migrating(tmp_path: Path, how: dict[str, Any]) -> None:
    path = tmp_path / "folder" / "missing.db"
    with pytest.raises((DatabaseMissingError, SchemaOutdatedError)):
        Store.open(path, **how)
    assert not path.exists()


@pytest.mark.parametrize("how", WAYS[1:], ids=["not to migrate", "to read"])
def test_an_empty_postgresql_database_is_refused_unless_migrating(
    make_postgres_database: Callable[..., str], how: dict[str, Any]
) -> None:
    url = make_postgres_database(empty=True)
    with pytest.raises(SchemaOutdatedError, match="no hermes_store tables"):
        Store.open(url, **how)
    assert not any(schema_of(url).values())


@way
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, how: dict[str, Any]) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes. " * 1000, encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(Exception, match="not a database"):
        Store.open(path, **how)
    assert path.read_bytes() == before


def test_a_copy_of_a_foreign_file_is_refused(agents_file: Path, tmp_path: Path) -> None:
    copy = shutil.copy(agents_file, tmp_path / "hermes.db")
    with pytest.raises(UnsupportedDatabaseError, match=r"hermes\.db"):
        Store.open(copy)
