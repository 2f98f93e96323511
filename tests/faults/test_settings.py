"""What a store asks of its database is really in force, in every connection; and what it tells is so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hermes_store import InvalidInputError, Store, UnsupportedDatabaseError
from hermes_store.storage import migrations
from tests.support.internals import reading, writing


@pytest.fixture
def quick_disk() -> None:
    """Durability is the subject here."""


def _ask(store: Store, question: str) -> set[Any]:
    """Ask two connections that read at once, and then one that writes."""
    with reading(store) as one, reading(store) as two:
        answers = {connection.exec_driver_sql(question).scalar() for connection in (one, two)}
    with writing(store) as connection:
        return answers | {connection.exec_driver_sql(question).scalar()}


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("trusted_schema", 0), ("temp_store", 2), ("busy_timeout", 7_500)],
)
def test_a_pragma_is_on_in_every_connection(sqlite_path: Path, pragma: str, value: Any) -> None:
    with Store.open(sqlite_path, busy_timeout=7.5) as store:
        assert _ask(store, f"PRAGMA {pragma}") == {value}


@pytest.mark.parametrize(("durability", "sqlite", "postgres"), [("full", 2, "on"), ("normal", 1, "off")])
def test_the_durability_is_what_was_asked_for(
    sqlite_path: Path, postgres_url: str, durability: Any, sqlite: int, postgres: str
) -> None:
    with Store.open(sqlite_path, durability=durability) as store:
        assert _ask(store, "PRAGMA synchronous") == {sqlite}
        assert store.info().durability == durability
    with Store.open(postgres_url, durability=durability) as store:
        assert _ask(store, "SHOW synchronous_commit") == {postgres}
        assert store.info().durability == durability


def test_full_durability_is_the_default(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        assert _ask(store, "PRAGMA synchronous") == {2}


def test_foreign_keys_take_the_children_with_them(sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        session_id = store.sessions.create().session_id
        store.messages.extend(session_id, ["one", "two"])
        store.documents.put(session_id, {"draft": 1})
        store.sessions.purge(session_id)
        for table in ("messages", "message_blobs", "session_documents", "session_extras"):
            assert _ask(store, f"SELECT count(*) FROM {table}") == {0}


def test_without_shared_memory_the_journal_falls_back(sqlite_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The locking of unix-dotfile is what network file systems are left with."""
    new = sqlite_path.with_name("new.db")
    with caplog.at_level(logging.WARNING, "hermes_store"), Store.open(f"sqlite:///{new}?vfs=unix-dotfile") as store:
        session_id = store.sessions.create().session_id
        store.messages.extend(session_id, ["one", "two"])
        assert store.messages.read(session_id) == ["one", "two"]
        assert store.info().journal_mode == "delete"
        assert _ask(store, "PRAGMA synchronous") == {2}
    (warning,) = caplog.records
    assert str(new) in warning.getMessage()
    assert "stays in journal mode 'delete'" in warning.getMessage()
    assert "file system" in warning.getMessage()
    assert {path.name for path in new.parent.iterdir()} == {sqlite_path.name, new.name}
    caplog.clear()
    with Store.open(new) as store:  # it has data in it, and stays as it is
        assert store.info().journal_mode == "delete"
    with Store.open(new, journal_mode="wal") as store:
        assert store.info().journal_mode == "wal"
        assert store.messages.read(session_id) == ["one", "two"]
    assert caplog.records == []


def test_info_tells_what_is_open(sqlite_path: Path, postgres_url: str) -> None:
    with Store.open(sqlite_path) as store:
        info = store.info()
        assert (info.target, info.path, info.dialect) == (str(sqlite_path), str(sqlite_path), "sqlite")
        assert (info.journal_mode, info.schema_revision) == ("wal", migrations.HEAD)
        assert {info.server_version} == _ask(store, "SELECT sqlite_version()")
        assert info.size_bytes == sqlite_path.stat().st_size
    with Store.open(postgres_url) as store:
        info = store.info()
        assert (info.dialect, info.path, info.journal_mode) == ("postgresql", None, None)
        assert sa.make_url(info.target).database == sa.make_url(postgres_url).database
        assert {info.server_version} == _ask(store, "SHOW server_version")
        assert info.size_bytes > 1_000_000
    with Store.open(":memory:") as store:
        assert (store.info().target, store.info().path) == (":memory:", None)


@pytest.mark.parametrize(
    "options", [{"durability": "none"}, {"busy_timeout": 0}, {"busy_timeout": -1}, {"busy_timeout": float("nan")}]
)
def test_a_setting_that_makes_no_sense_is_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Store.open(tmp_path / "new.db", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["mysql://localhost/x", "http://example.org/x.db", "nonsense://", "://"])
def test_a_url_of_another_database_is_refused(url: str) -> None:
    with pytest.raises(UnsupportedDatabaseError):
        Store.open(url)
