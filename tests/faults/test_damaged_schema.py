"""One byte of the schema is damaged: everything is listed and exported, as it is or after what the error names."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from pathlib import Path

import pytest

from hermes_store import DatabaseCorruptError, DatabaseReadOnlyError, Store
from hermes_store.files import export_directory
from hermes_store.maintenance import FindingKind, repair, salvage, verify
from tests.support.damaged_schema import example, fuzz
from tests.support.other_process import forked


@pytest.mark.slow
def test_a_damaged_schema_costs_nothing(tmp_path: Path) -> None:
    data, expected, places = example(tmp_path)
    ways, failures = fuzz(places[::331], data, expected, seed=2)
    assert failures == {}
    assert ways["read"] > 9 * ways["salvage"] > 0


@pytest.fixture
def damaged(sqlite_path: Path, request: pytest.FixtureRequest) -> Path:
    """A database with a session and a message, and one letter of its schema's text damaged: in the middle of a name."""
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Title")
        store.messages.append("a", {"role": "user", "content": "hello"})
    name: bytes = request.param
    content = bytearray(sqlite_path.read_bytes())
    assert name in content
    content[content.index(name) + len(name) // 2] ^= 4
    sqlite_path.write_bytes(content)
    return sqlite_path


NAMES = [
    b"\ttitle TEXT",
    b"CREATE TABLE sessions",
    b"CREATE TABLE messages",
    b"tablemessages",
    b"ON sessions (archived, pinned, updated_at",
    b"WHERE deleted_at IS NULL",
    b"indexsqlite_autoindex_sessions_1sessions",
    b"tablehermes_store_version",
    b"version_num VARCHAR",
    b"tablesqlite_sequence",
]


@pytest.mark.parametrize("damaged", NAMES, indirect=True)
def test_a_damaged_schema_is_read_from_a_copy(damaged: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = damaged.read_bytes()
    with Store.open(damaged, read_only=True) as store:
        assert [record.title for record in store.sessions.list().items] == ["Title"]
        assert [hit.session.session_id for hit in store.search("hello").items] == ["a"]
        report = export_directory(store, tmp_path / "out")
        assert (report.sessions, report.problems) == (1, [])
        assert store.info().path == str(damaged)
        assert {finding.kind for finding in verify(store).findings} == {FindingKind.SCHEMA}
        with pytest.raises(DatabaseReadOnlyError):
            store.sessions.create(title="New")
    assert json.loads((tmp_path / "out" / "sessions" / "a.json").read_text())["messages"][0]["content"] == "hello"
    assert ["`hermes-store repair` puts it right in the file" in text for text in caplog.messages] == [True]
    assert damaged.read_bytes() == content
    assert {one.name for one in tmp_path.iterdir()} == {damaged.name, "out"}


@pytest.mark.parametrize("damaged", NAMES[:4], indirect=True)
def test_a_damaged_schema_is_not_written_to(damaged: Path) -> None:
    content = damaged.read_bytes()
    with pytest.raises(DatabaseCorruptError, match="hermes-store repair"), Store.open(damaged) as store:
        store.sessions.create(title="New")
    assert repair(damaged).ok
    assert damaged.read_bytes() != content
    with Store.open(damaged) as store:
        store.sessions.create(title="New")


@pytest.mark.parametrize("damaged", NAMES[:1], indirect=True)
@pytest.mark.parametrize("root", [0, 1, 3, 99_999])
def test_a_wrong_first_page_leads_to_salvage(damaged: Path, tmp_path: Path, root: int) -> None:
    with contextlib.closing(sqlite3.connect(damaged, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = 'sessions'", [root])
    with pytest.raises(DatabaseCorruptError, match="hermes-store salvage"):
        Store.open(damaged, read_only=True)
    salvage(damaged, tmp_path / "new.db")
    with Store.open(tmp_path / "new.db", read_only=True) as store:
        assert store.messages.read("a") == [{"role": "user", "content": "hello"}]


def test_an_index_of_others_is_no_damage(sqlite_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(sqlite3.connect(sqlite_path)) as connection:
        connection.execute("CREATE INDEX other ON sessions (title)")
        connection.execute("ANALYZE")
        connection.commit()
    with Store.open(sqlite_path, read_only=True) as store:
        assert store.sessions.list().items == []
        assert store.database.dialect.path == sqlite_path
    assert caplog.messages == []


@pytest.mark.parametrize("default", ["0", "(0)"])
def test_the_text_of_any_sqlalchemy_is_no_damage(
    sqlite_path: Path, caplog: pytest.LogCaptureFixture, default: str
) -> None:
    """SQLAlchemy 2.0 writes ``DEFAULT (0)`` for a flag, and 2.1 ``DEFAULT 0``."""
    with Store.open(sqlite_path) as store:
        store.sessions.create(session_id="a", title="Title")
    with contextlib.closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'sessions'").fetchone()
        changed = re.sub(r"BOOLEAN DEFAULT \(?0\)?", f"BOOLEAN DEFAULT {default}", text)
        assert changed.count(f"DEFAULT {default} NOT NULL") >= 4
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'sessions'", [changed])
    with Store.open(sqlite_path, read_only=True) as store:
        assert [record.title for record in store.sessions.list().items] == ["Title"]
        assert verify(store).findings == []
    with Store.open(sqlite_path) as store:
        store.sessions.create(title="New")
    assert caplog.messages == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("damaged", NAMES[:1], indirect=True)
def test_a_forked_child_cannot_read_the_parents_copy(damaged: Path) -> None:
    with Store.open(damaged, read_only=True) as store:
        with forked(lambda _: store.sessions.count()) as child:
            assert child.said().startswith("StoreClosedError: The schema of the database is damaged")
        assert store.sessions.count() == 1
