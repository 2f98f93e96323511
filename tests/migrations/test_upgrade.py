"""The upgrade to a version to come: a copy first, then all of it or nothing."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.storage.migrations import HEAD
from tests.support.contents import contents
from tests.support.processes import output, python
from tests.support.sample_rows import fill
from tests.support.schemas import schema_of
from tests.support.upgrading import NEXT, rows, upgrade

NextMigrations = Callable[..., Path]
ADDED = 'op.add_column("sessions", sa.Column("nickname", sa.Text()))'
REBUILT = {
    ADDED: 'with rebuild_table("sessions") as batch:\n        batch.add_column(sa.Column("nickname", sa.Text()))',
}
HALFWAY = {"# more": 'raise RuntimeError("half-way")'}


def backups(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.bak"))


@pytest.mark.parametrize("replace", [{}, REBUILT], ids=["a column added", "the table rebuilt"])
def test_an_upgrade_keeps_every_row_and_a_copy(
    filled: Path, next_migrations: NextMigrations, replace: dict[str, str]
) -> None:
    with Store.open(filled) as store:
        before = contents(store)
    tables = ("projects", "sessions", "messages", "message_blobs", "session_documents", "retired_ids")
    counts = {table: rows(filled, f"SELECT count(*) FROM {table}") for table in tables}

    upgrade(filled, next_migrations(replace))

    assert rows(filled, "SELECT version_num FROM hermes_store_version") == [(NEXT,)]
    assert rows(filled, "SELECT nickname FROM sessions ORDER BY id") == [("of Trip",), ("of Fork",)]
    # Dropping the old table of a rebuild would take the children with it, if foreign keys were on.
    assert {table: rows(filled, f"SELECT count(*) FROM {table}") for table in tables} == counts
    assert rows(filled, "PRAGMA foreign_key_check") == []
    [copy] = backups(filled)
    assert copy.name.startswith(f"hermes.db.{HEAD}-")
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
    assert rows(filled, "SELECT count(*) FROM messages") == [(0,)]
    assert backups(filled) == []  # else each try would leave one more


def test_an_upgrade_that_orphans_rows_is_rolled_back(filled: Path, next_migrations: NextMigrations) -> None:
    schema = schema_of(str(filled))
    orphaning = {"# more": "op.execute(\"DELETE FROM sessions WHERE session_id = 'parent'\")"}
    with pytest.raises(Exception, match="rolled back; nothing changed"):
        upgrade(filled, next_migrations(orphaning))
    assert schema_of(str(filled)) == schema
    with Store.open(filled) as store:
        assert len(store.messages.read("parent")) == 2


def test_an_upgrade_does_not_wait_for_readers(filled: Path, next_migrations: NextMigrations) -> None:
    with Store.open(filled) as store, store.snapshot() as view:
        assert len(view.messages.read("parent")) == 2
        upgrade(filled, next_migrations())
        assert len(view.messages.read("parent")) == 2


def test_a_fresh_database_is_not_copied(tmp_path: Path, next_migrations: NextMigrations) -> None:
    path = tmp_path / "fresh.db"
    path.touch()
    upgrade(path, next_migrations())
    assert backups(path) == []
    assert rows(path, "SELECT version_num FROM hermes_store_version") == [(NEXT,)]


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
            assert rows(postgres_url, "SELECT nickname FROM sessions ORDER BY id") == [("of Trip",), ("of Fork",)]
        assert contents(store) == before


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
def test_an_older_database_is_upgraded_only_if_allowed(library_of_tomorrow: Path, filled: Path) -> None:
    before = filled.read_bytes()

    def opened(**how: bool) -> str:
        place = str(library_of_tomorrow)
        return output(python(OPEN, place, str(filled), repr(how), cwd=filled.parent, PYTHONPATH=place))

    assert opened(migrate=False) == f"SchemaOutdatedError {HEAD} {NEXT}\n"
    assert opened(read_only=True) == f"SchemaOutdatedError {HEAD} {NEXT}\n"
    assert filled.read_bytes() == before
    assert backups(filled) == []
    assert opened() == f"{NEXT} 2\n"
    assert len(backups(filled)) == 1
    assert opened(migrate=False) == f"{NEXT} 2\n"
