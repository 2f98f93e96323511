"""Whose a database is: another program's is refused and not changed at all, ours is recognised whatever it lost."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    HermesStoreError,
    SchemaNewerError,
    SchemaOutdatedError,
    SchemaVersionMissingError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.storage.migrations import HEAD
from tests.support.contents import contents
from tests.support.first_release import content_digest, make_large, restore_postgresql, restore_sqlite
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.upgrading import NEXT, execute, rows

VERSION = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY);"
CHATS = "CREATE TABLE chats (id TEXT);"
ALIKE = "CREATE TABLE sessions (id TEXT PRIMARY KEY, title TEXT); CREATE TABLE projects (id INTEGER PRIMARY KEY);"
#: All names of our tables, with other columns.
NAMESAKES = "".join(
    f"CREATE TABLE {name} (id TEXT);"
    for name in ("sessions", "messages", "message_blobs", "session_documents", "projects", "retired_ids")
)
FOREIGN = {
    "revision 0001": f"{VERSION} INSERT INTO alembic_version VALUES ('0001'); {CHATS}",
    "revision 0002": f"{VERSION} INSERT INTO alembic_version VALUES ('0002'); {CHATS}",
    "no revision": f"{VERSION} {CHATS}",
    "a hash": f"{VERSION} INSERT INTO alembic_version VALUES ('7e5b5dc7342b'); {CHATS}",
    "nothing but a revision": f"{VERSION} INSERT INTO alembic_version VALUES ('0001');",
    "nothing but a version table": VERSION,
    "tables called as ours": f"{VERSION} INSERT INTO alembic_version VALUES ('0001'); {ALIKE}",
    "tables all called as ours": f"{VERSION} INSERT INTO alembic_version VALUES ('0001'); {NAMESAKES}",
    "no version table": CHATS,
    "an application id": "PRAGMA application_id = 252006673; PRAGMA user_version = 3;",
    "an application id and our names": f"PRAGMA application_id = 252006673; {NAMESAKES}",
}
WAYS: dict[str, dict[str, Any]] = {"to write": {}, "not to migrate": {"migrate": False}, "to read": {"read_only": True}}


def foreign(path: Path, script: str, journal_mode: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal_mode}")
        connection.executescript(script)
    return path


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in folder.iterdir()}


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_file_is_refused_without_a_trace(tmp_path: Path, script: str, journal_mode: str) -> None:
    path = foreign(tmp_path / "x" / "foreign.db", script, journal_mode)
    before = state_of(path.parent)
    for how in WAYS.values():
        with pytest.raises(UnsupportedDatabaseError, match="left as it is"):
            Store.open(path, **how)
    assert state_of(path.parent) == before


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("upgrade", "head"), ("stamp", HEAD), ("current",), ("downgrade", "base")])
@pytest.mark.parametrize("name", ["revision 0001", "no revision", "tables called as ours", "an application id"])
def test_alembic_refuses_a_foreign_file_without_a_trace(tmp_path: Path, name: str, arguments: tuple[str, ...]) -> None:
    path = foreign(tmp_path / "x" / "foreign.db", FOREIGN[name], "wal")
    before = state_of(path.parent)
    refused = alembic("-x", f"url={path}", *arguments)
    assert refused.returncode != 0
    assert "left as it is" in refused.stderr
    assert state_of(path.parent) == before


@pytest.mark.parametrize("journal_mode", ["wal", "delete"])
def test_a_foreign_file_in_use_is_refused(tmp_path: Path, journal_mode: str) -> None:
    path = foreign(tmp_path / "x" / "foreign.db", CHATS, journal_mode)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO chats VALUES ('1')")
        with pytest.raises(UnsupportedDatabaseError):
            Store.open(path)
        other.execute("COMMIT")
        assert other.execute("SELECT count(*) FROM chats").fetchall() == [(1,)]
        assert other.execute("PRAGMA journal_mode").fetchall() == [(journal_mode,)]


def test_the_log_of_a_dead_foreign_program_stays(tmp_path: Path) -> None:
    path = foreign(tmp_path / "live" / "foreign.db", CHATS, "wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("INSERT INTO chats VALUES ('only in the log')")
        shutil.copytree(path.parent, tmp_path / "dead", ignore=shutil.ignore_patterns("*-shm"))
    dead = tmp_path / "dead" / "foreign.db"
    before = state_of(dead.parent)
    with pytest.raises(UnsupportedDatabaseError):
        Store.open(dead)
    assert {name: state for name, state in state_of(dead.parent).items() if not name.endswith("-shm")} == before


LOST = {"emptied": "DELETE FROM {table}", "dropped": "DROP TABLE {table}"}


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOST.values(), ids=LOST)
def test_a_lost_revision_is_stamped_again(filled: Path, loss: str) -> None:
    with Store.open(filled) as store:
        before = contents(store)
    execute(filled, loss.format(table="hermes_store_version"))
    for how in WAYS.values():
        with pytest.raises(SchemaVersionMissingError, match=f"stamp {HEAD}") as missing:
            Store.open(filled, **how)
        assert missing.value.revision == HEAD
    output(alembic("-x", f"url={filled}", "stamp", HEAD))
    with Store.open(filled, migrate=False) as store:
        assert contents(store) == before
        store.sessions.create(title="written")


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOST.values(), ids=LOST)
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_lost_first_revision_is_stamped_again(
    tmp_path: Path, request: pytest.FixtureRequest, engine: str, loss: str
) -> None:
    if engine == "sqlite":
        target = str(make_large(tmp_path / "old.db", megabytes=1))
    else:
        target = request.getfixturevalue("make_postgres_database")(empty=True)
        restore_postgresql(target)
    execute(target, loss.format(table="alembic_version"))
    with pytest.raises(SchemaVersionMissingError, match="stamp 0001"):
        Store.open(target)
    output(alembic("-x", f"url={target}", "stamp", "0001"))
    assert rows(target, "SELECT version_num FROM alembic_version") == [("0001",)]
    with Store.open(target) as store:
        assert store.info().schema_revision == HEAD
        assert store.sessions.count() > 2
    assert rows(target, "SELECT version_num FROM hermes_store_version") == [(HEAD,)]


def marks(path: Path) -> tuple[object, object]:
    [(owner,)], [(number,)] = rows(path, "PRAGMA application_id"), rows(path, "PRAGMA user_version")
    return owner, number


OURS = int.from_bytes(b"hems", "big")


@pytest.mark.slow
def test_every_way_of_upgrading_marks_the_file(tmp_path: Path) -> None:
    opened, old, command, stepwise = (tmp_path / f"{name}.db" for name in ("opened", "old", "command", "stepwise"))
    Store.open(opened).close()
    Store.open(restore_sqlite(old)).close()
    output(alembic("-x", f"url={command}", "upgrade", "head"))
    for revision in ("0001", HEAD):
        output(alembic("-x", f"url={stepwise}", "upgrade", revision))
    for path in (opened, old, command, stepwise):
        assert marks(path) == (OURS, int(HEAD)), path
    output(alembic("-x", f"url={stepwise}", "downgrade", "0001"))
    assert marks(stepwise) == (OURS, 1)
    output(alembic("-x", f"url={stepwise}", "stamp", HEAD))
    assert marks(stepwise) == (OURS, int(HEAD))
    output(alembic("-x", f"url={stepwise}", "stamp", "0001"))
    output(alembic("-x", f"url={stepwise}", "downgrade", "base"))
    assert marks(stepwise) == (0, 0)
    Store.open(stepwise).close()
    assert marks(stepwise) == (OURS, int(HEAD))


def test_a_file_from_a_dump_is_marked_again(filled: Path, tmp_path: Path) -> None:
    """As the dump of SQLite's shell has it. (Python's does not know virtual tables.)"""
    restored = tmp_path / "restored.db"
    shutil.copy(filled, restored)
    for name in ("application_id", "user_version"):
        execute(restored, f"PRAGMA {name} = 0")
    assert marks(restored) == (0, 0)
    with Store.open(restored, read_only=True) as store:
        assert store.messages.read("parent")
    assert marks(restored) == (0, 0)
    with Store.open(restored, migrate=False) as store:
        store.sessions.update("parent", title="written")
    assert marks(restored) == (OURS, int(HEAD))


@pytest.mark.slow
def test_looking_at_the_first_release_changes_nothing(tmp_path: Path) -> None:
    path = restore_sqlite(tmp_path / "old.db")
    execute(path, "PRAGMA journal_mode = WAL")
    before = path.read_bytes()
    for how in ("not to migrate", "to read"):
        with pytest.raises(SchemaOutdatedError):
            Store.open(path, **WAYS[how])
    assert "0001" in output(alembic("-x", f"url={path}", "current"))
    assert path.read_bytes() == before


@pytest.mark.slow
def test_generated_sql_upgrades_the_first_revision(tmp_path: Path) -> None:
    path = make_large(tmp_path / "old.db", megabytes=1)
    before = content_digest(path)
    script = output(alembic("-x", f"url={path}", "upgrade", f"0001:{HEAD}", "--sql"))
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    fresh = tmp_path / "fresh.db"
    Store.open(fresh).close()
    assert schema_of(str(path)) == schema_of(str(fresh))
    assert marks(path) == (OURS, int(HEAD))
    assert content_digest(path) == before
    with Store.open(path, migrate=False) as store:
        documents = store.documents.read("000000000001")
        assert len(documents) == 55
        assert store.documents.put("000000000001", documents).changed  # moved as they are written
        assert store.documents.read("000000000001") == documents
    assert "without --sql" in alembic("-x", f"url={path}", "downgrade", f"{HEAD}:0001", "--sql").stderr


def test_a_file_of_a_newer_library_is_refused(filled: Path) -> None:
    execute(filled, f"UPDATE hermes_store_version SET version_num = '{NEXT}'")
    before = filled.read_bytes()
    with pytest.raises(SchemaNewerError):
        Store.open(filled)
    assert filled.read_bytes() == before


# ── A schema of PostgreSQL that is shared with another program ──


@pytest.fixture
def shared_url(make_postgres_database: Callable[..., str]) -> str:
    """A database in which another program has its tables, at a revision of its own."""
    url = make_postgres_database(empty=True)
    execute(url, *filter(None, FOREIGN["a hash"].split(";")))
    return url


def foreign_rows(url: str) -> list[tuple[object, ...]]:
    return rows(url, "SELECT version_num FROM alembic_version")


@pytest.mark.parametrize("name", [name for name in FOREIGN if "application" not in name])
def test_a_foreign_schema_is_refused(make_postgres_database: Callable[..., str], name: str) -> None:
    url = make_postgres_database(empty=True)
    execute(url, *filter(None, FOREIGN[name].split(";")))
    before = schema_of(url)
    for how in WAYS.values():
        with pytest.raises(UnsupportedDatabaseError):
            Store.open(url, **how)
    assert schema_of(url) == before


@pytest.mark.slow
def test_our_tables_work_next_to_another_programs(postgres_url: str) -> None:
    execute(postgres_url, *filter(None, FOREIGN["a hash"].split(";")))
    before = foreign_rows(postgres_url)
    with Store.open(postgres_url) as store:
        store.sessions.create(session_id="one", title="One")
    assert "No new upgrade operations detected" in output(alembic("-x", f"url={postgres_url}", "check"))
    output(alembic("-x", f"url={postgres_url}", "downgrade", "0001"))
    assert foreign_rows(postgres_url) == before
    with Store.open(postgres_url) as store:
        assert store.sessions.get("one").title == "One"
    output(alembic("-x", f"url={postgres_url}", "downgrade", "base"))
    assert foreign_rows(postgres_url) == before
    assert set(schema_of(postgres_url)) == {"chats"}
    with pytest.raises(HermesStoreError):
        Store.open(postgres_url)


def test_after_an_upgrade_another_program_can_use_alembic(make_postgres_database: Callable[..., str]) -> None:
    url = make_postgres_database(empty=True)
    restore_postgresql(url)
    Store.open(url).close()
    key = "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)"
    execute(url, f"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, {key})")
    execute(url, "INSERT INTO alembic_version VALUES ('0001')")
    with Store.open(url, migrate=False) as store:
        assert store.info().schema_revision == HEAD
    assert foreign_rows(url) == [("0001",)]
