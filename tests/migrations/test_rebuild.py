"""Tables that are rebuilt keep what SQLite keeps outside their columns, and no migration loses it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from hermes_store import Store
from hermes_store.storage import migrations
from hermes_store.storage.dialects import Settings
from hermes_store.storage.engine import Database
from hermes_store.storage.schema import metadata
from tests.support.processes import alembic
from tests.support.schemas import schema_of
from tests.support.upgrading import execute, rows, upgrade

TABLES = sorted(metadata.tables)
ONCE = sorted(name for name, table in metadata.tables.items() if table.dialect_options["sqlite"]["autoincrement"])
USED = 4_711


def run_command(path: Path, name: str, revision: str) -> None:
    """Run a command of Alembic's in the way in which a store upgrades."""
    database = Database(path, Settings())
    config = migrations.alembic_config()
    with database.dialect.upgrade() as connection:
        config.attributes.update(connection=connection, dialect=database.dialect)
        getattr(command, name)(config, revision)
    database.close()


def used_ids(path: Path) -> dict[object, object]:
    return dict(rows(path, "SELECT name, seq FROM sqlite_sequence"))  # type: ignore[arg-type]


def test_ids_are_used_once_at_every_revision(tmp_path: Path) -> None:
    path = tmp_path / "stepwise.db"
    path.touch()
    scripts = ScriptDirectory.from_config(migrations.alembic_config())
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    assert len(ONCE) == 8
    steps = [("upgrade", revision) for revision in revisions] + [
        ("downgrade", revision) for revision in revisions[-2::-1]
    ]
    known: set[object] = set()
    seen: set[object] = set()
    for name, revision in steps:
        run_command(path, name, revision)
        facts = schema_of(str(path))
        known &= facts.keys()  # nothing refers to the rows of a table that was dropped
        for table in set(ONCE) & facts.keys():
            assert facts[table]["ids are used once"], (name, revision, table)
            if table not in known:
                known.add(table)
                seen.add(table)
                execute(path, f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{table}', {USED})")
        assert used_ids(path) == dict.fromkeys(known, USED), (name, revision)
    assert seen == set(ONCE)


@pytest.mark.parametrize("table", TABLES)
def test_a_rebuilt_table_is_as_before(sqlite_path: Path, next_migrations: Callable[..., Path], table: str) -> None:
    execute(sqlite_path, *(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('{name}', {USED})" for name in ONCE))
    before = schema_of(str(sqlite_path))
    rebuilt = f'with rebuild_table("{table}") as batch:\n        batch.add_column(sa.Column("added", sa.Text()))'
    upgrade(sqlite_path, next_migrations({"# more": rebuilt}))
    execute(sqlite_path, f"ALTER TABLE {table} DROP COLUMN added", "ALTER TABLE sessions DROP COLUMN nickname")
    assert schema_of(str(sqlite_path)) == before
    assert used_ids(sqlite_path) == dict.fromkeys(ONCE, USED)


def test_alembics_own_rebuild_would_lose_used_ids(filled: Path, next_migrations: Callable[..., Path]) -> None:
    plain = 'with op.batch_alter_table("sessions", recreate="always") as batch:\n        pass'
    upgrade(filled, next_migrations({"# more": plain}))
    assert not schema_of(str(filled))["sessions"]["ids are used once"]


def test_a_rebuild_reuses_no_id_of_purged_sessions(filled: Path, next_migrations: Callable[..., Path]) -> None:
    with Store.open(filled) as store:
        store.sessions.create(session_id="last")
        store.sessions.purge("last")
    [(highest,)] = rows(filled, "SELECT seq FROM sqlite_sequence WHERE name = 'sessions'")
    rebuilt = 'with rebuild_table("sessions") as batch:\n        batch.add_column(sa.Column("added", sa.Text()))'
    upgrade(filled, next_migrations({"# more": rebuilt}))
    execute(filled, "INSERT INTO sessions (session_id, created_at, updated_at) VALUES ('new', 1, 1)")
    assert rows(filled, "SELECT id FROM sessions WHERE session_id = 'new'") == [(int(str(highest)) + 1,)]


def test_the_helper_changes_tables_on_postgresql(postgres_url: str, next_migrations: Callable[..., Path]) -> None:
    rebuilt = 'with rebuild_table("projects") as batch:\n        batch.add_column(sa.Column("added", sa.Text()))'
    upgrade(postgres_url, next_migrations({"# more": rebuilt}))
    assert "added" in schema_of(postgres_url)["projects"]["columns"]


def test_the_template_makes_migrations_with_the_helper() -> None:
    template = Path(migrations.alembic_config().get_main_option("script_location") or "") / "script.py.mako"
    text = template.read_text(encoding="utf-8")
    assert "from hermes_store.storage.migration_operations import" in text
    assert "rebuild_table" in text
    assert alembic("heads").stdout.startswith(migrations.HEAD)
