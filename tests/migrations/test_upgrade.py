"""The upgrade to a version to come: a copy first, then all of it or nothing."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from hermes_store import Store
from tests.support.paths import ROOT
from tests.support.processes import output, python
from tests.support.sample_rows import fill
from tests.support.schemas import schema_of
from tests.support.tables import contents
from tests.support.upgrading import upgrade

NextMigrations = Callable[..., Path]
REBUILT = {'batch_alter_table("sessions")': 'batch_alter_table("sessions", recreate="always")'}
HALFWAY = {"# more": 'raise RuntimeError("half-way")'}


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.bak"))


@pytest.mark.parametrize("replace", [{}, REBUILT], ids=["a column added", "the table rebuilt"])
def test_an_upgrade_keeps_every_row_and_leaves_a_copy_from_before(
    filled: Path, next_migrations: NextMigrations, replace: dict[str, str]
) -> None:
    with Store.open(filled) as store:
        before = contents(store)
    tables = ("projects", "sessions", "messages", "message_blobs", "session_documents", "retired_ids")
    counts = {table: ask(filled, f"SELECT count(*) FROM {table}") for table in tables}

    upgrade(filled, next_migrations(replace))

    assert ask(filled, "SELECT version_num FROM alembic_version") == [("0002",)]
    assert ask(filled, "SELECT nickname FROM sessions ORDER BY id") == [("of Trip",), ("of Fork",)]
    # Dropping the old table of a rebuild would take the children with it, if foreign keys were on.
    assert {table: ask(filled, f"SELECT count(*) FROM {table}") for table in tables} == counts
    assert ask(filled, "PRAGMA foreign_key_check") == []
    [copy] = backups(filled)
    assert copy.name.startswith("hermes.db.0001-")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with Store.open(copy, migrate=False) as store:
        assert contents(store) == before


def test_an_upgrade_that_fails_half_way_changes_nothing(filled: Path, next_migrations: NextMigrations) -> None:
    schema = schema_of(str(filled))
    with Store.open(filled) as store:
        before = contents(store)
    with pytest.raises(RuntimeError, match="half-way"):
        upgrade(filled, next_migrations(REBUILT | HALFWAY))
    assert schema_of(str(filled)) == schema
    with Store.open(filled, migrate=False) as store:
        assert contents(store) == before
        store.messages.append("parent", {"role": "user"})  # and the foreign keys are on
        store.sessions.purge("parent")
    assert ask(filled, "SELECT count(*) FROM messages") == [(0,)]
    assert len(backups(filled)) == 1


def test_an_upgrade_that_would_orphan_a_row_is_rolled_back(filled: Path, next_migrations: NextMigrations) -> None:
    schema = schema_of(str(filled))
    orphaning = {"# more": "op.execute(\"DELETE FROM sessions WHERE session_id = 'parent'\")"}
    with pytest.raises(Exception, match="rolled back; nothing changed"):
        upgrade(filled, next_migrations(orphaning))
    assert schema_of(str(filled)) == schema
    with Store.open(filled) as store:
        assert len(store.messages.read("parent")) == 2


def test_an_upgrade_of_a_database_in_use_waits_for_nobody_who_only_reads(
    filled: Path, next_migrations: NextMigrations
) -> None:
    with Store.open(filled) as store:
        upgrade(filled, next_migrations())
        assert len(store.messages.read("parent")) == 2


def test_a_fresh_database_is_not_copied(tmp_path: Path, next_migrations: NextMigrations) -> None:
    path = tmp_path / "fresh.db"
    path.touch()
    upgrade(path, next_migrations())
    assert backups(path) == []
    assert ask(path, "SELECT version_num FROM alembic_version") == [("0002",)]


def test_a_second_upgrade_does_nothing(filled: Path, next_migrations: NextMigrations) -> None:
    migrations = next_migrations()
    upgrade(filled, migrations)
    before = filled.read_bytes()
    upgrade(filled, migrations)
    assert filled.read_bytes() == before
    assert len(backups(filled)) == 1


@pytest.mark.parametrize("fails", [False, True], ids=["to its end", "half-way"])
def test_on_postgresql_an_upgrade_is_whole_or_nothing(
    postgres_url: str, next_migrations: NextMigrations, fails: bool
) -> None:
    with Store.open(postgres_url) as store:
        fill(store)
        before = contents(store)
        schema = schema_of(postgres_url)
        migrations = next_migrations(HALFWAY if fails else {})
        if fails:
            with pytest.raises(RuntimeError, match="half-way"):
                upgrade(postgres_url, migrations)
            assert schema_of(postgres_url) == schema
        else:
            upgrade(postgres_url, migrations)
            engine = sa.create_engine(postgres_url, poolclass=sa.NullPool)
            with engine.connect() as connection:
                names = connection.exec_driver_sql("SELECT nickname FROM sessions ORDER BY id").scalars().all()
            assert names == ["of Trip", "of Fork"]
        assert contents(store) == before


@pytest.fixture
def library_of_tomorrow(tmp_path: Path, next_migrations: NextMigrations) -> Path:
    """A folder with this library as it will be one migration later."""
    folder = tmp_path / "tomorrow"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hermes_store", folder / "hermes_store", ignore=ignored)
    shutil.copytree(next_migrations(), folder / "hermes_store" / "migrations")
    module = folder / "hermes_store" / "migrate.py"
    text = module.read_text(encoding="utf-8")
    assert 'HEAD: Final = "0001"' in text
    module.write_text(text.replace('HEAD: Final = "0001"', 'HEAD: Final = "0002"'), encoding="utf-8")
    return folder


OPEN = """
import sys, hermes_store
assert hermes_store.__file__.startswith(sys.argv[1]), hermes_store.__file__
try:
    with hermes_store.Store.open(sys.argv[2], **eval(sys.argv[3])) as store:
        print(store.info().schema_revision, len(store.messages.read("parent")))
except hermes_store.HermesStoreError as error:
    print(type(error).__name__, error.found, error.known)
"""


@pytest.mark.slow
def test_an_older_database_is_upgraded_only_where_that_is_allowed(library_of_tomorrow: Path, filled: Path) -> None:
    before = filled.read_bytes()

    def opened(**how: bool) -> str:
        place = str(library_of_tomorrow)
        return output(python(OPEN, place, str(filled), repr(how), cwd=filled.parent, PYTHONPATH=place))

    assert opened(migrate=False) == "SchemaOutdatedError 0001 0002\n"
    assert opened(read_only=True) == "SchemaOutdatedError 0001 0002\n"
    assert filled.read_bytes() == before
    assert backups(filled) == []
    assert opened() == "0002 2\n"
    assert len(backups(filled)) == 1
    assert opened(migrate=False) == "0002 2\n"
