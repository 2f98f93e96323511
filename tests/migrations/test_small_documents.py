"""Revision 0002: small documents become members of one JSON object, byte for byte, and documents again."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hermes_store import DatabaseCorruptError, Store
from hermes_store.storage import migration_operations, migrations
from hermes_store.storage.types import escaped
from hermes_store.transcripts import json_codec
from tests.support.first_release import (
    canonical,
    content_digest,
    expected,
    make_large,
    restore_postgresql,
    restore_sqlite,
)
from tests.support.hostile_values import EVERYWHERE
from tests.support.json_values import AWKWARD_TEXTS
from tests.support.paths import ROOT
from tests.support.processes import alembic, output, run_function
from tests.support.schemas import schema_of
from tests.support.upgrading import engine_for, execute, rows


def the_migration() -> ModuleType:
    path = next((ROOT / "migrations" / "versions").glob("0002_*.py"))
    spec = importlib.util.spec_from_file_location("revision_0002", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REVISION = the_migration()
VALUES = "SELECT d.session_id, d.key, d.payload FROM session_documents AS d ORDER BY 1, 2"


@pytest.fixture(params=["sqlite", "postgresql"])
def old_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The first release's database with everything in it."""
    if request.param == "sqlite":
        return str(restore_sqlite(tmp_path / "old.db"))
    make_postgres_database: Callable[..., str] = request.getfixturevalue("make_postgres_database")
    url = make_postgres_database(empty=True)
    restore_postgresql(url)
    return url


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    return restore_sqlite(tmp_path / "old.db")


def test_small_documents_are_one_row_and_others_stay(old_database: str) -> None:
    before = {(row[0], row[1]): row[2] for row in rows(old_database, VALUES)}
    Store.open(old_database).close()
    after = {(row[0], row[1]): row[2] for row in rows(old_database, VALUES)}
    assert after.items() < before.items()
    for (_, key), payload in after.items():
        assert isinstance(payload, bytes)
        assert isinstance(key, str)
        assert len(payload) > 2048 or key in REVISION.COLUMNS
    [(extras,)] = rows(old_database, "SELECT count(*) FROM session_extras")
    assert isinstance(extras, int)
    assert extras > 5


def test_putting_the_same_values_again_changes_nothing(old_database: str) -> None:
    with Store.open(old_database) as store:
        sessions = [record.session_id for record in store.sessions.iterate(include_empty=True)]
        stored = rows(old_database, "SELECT * FROM session_extras ORDER BY session_id")
        for session_id in sessions:
            values = {
                key: value for key, value in store.documents.read(session_id).items() if key not in REVISION.COLUMNS
            }
            assert not store.documents.put(session_id, values).changed, session_id
    assert rows(old_database, "SELECT * FROM session_extras ORDER BY session_id") == stored


@pytest.mark.slow
def test_a_downgrade_brings_every_document_back(old_database: str) -> None:
    before = rows(old_database, VALUES.replace("d.payload", "d.digest, d.payload"))
    tables = ("projects", "sessions", "messages", "message_blobs", "retired_ids", "import_items")
    others = {table: rows(old_database, f"SELECT * FROM {table} ORDER BY 1") for table in tables}
    schema, version = schema_of(old_database), rows(old_database, "SELECT * FROM alembic_version")
    Store.open(old_database).close()
    output(alembic("-x", f"url={old_database}", "downgrade", "0001"))
    assert rows(old_database, VALUES.replace("d.payload", "d.digest, d.payload")) == before
    assert {table: rows(old_database, f"SELECT * FROM {table} ORDER BY 1") for table in tables} == others
    assert schema_of(old_database) == schema
    assert rows(old_database, "SELECT * FROM alembic_version") == version
    with engine_for(old_database).connect() as connection:
        assert not connection.dialect.has_table(connection, "hermes_store_version")
    with Store.open(old_database) as store:  # and up again
        for session_id, session in expected()["sessions"].items():
            if session["record"]["deleted_at"] is None:
                documents = store.documents.read(session_id)
                assert {key: canonical(value) for key, value in documents.items()} == session["documents"]


DAMAGED = {
    "not utf-8": b'"\xff"',
    "half": b'{"a": [1',
    "two values": b"1,2",
    "one more member": b'1,"x":2',
    "nothing": b"",
    "utf-16": '"a"'.encode("utf-16"),
    "deep and open": b"[" * 1500,
    "deep and wrong": b"[" * 600 + b"01" + b"]" * 600,
}


def test_damaged_documents_stay_rows_and_are_logged(old_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(sqlite3.connect(old_file)) as connection, connection:
        [(session, public_id)] = connection.execute(
            "SELECT id, session_id FROM sessions WHERE deleted_at IS NULL LIMIT 1"
        )
        connection.executemany(
            "INSERT INTO session_documents VALUES (?, ?, x'00', ?)",
            [(session, key, payload) for key, payload in DAMAGED.items()],
        )
        connection.execute("INSERT INTO session_documents VALUES (?, 'text', x'00', 'text')", (session,))
        connection.execute("INSERT INTO session_documents VALUES (?, CAST(x'ff41' AS TEXT), x'00', x'31')", (session,))
    with caplog.at_level(logging.WARNING, "hermes_store"), Store.open(old_file) as store:
        assert store.documents.read(public_id, "sound") == {}
        for key in DAMAGED.keys() - {"utf-16"}:  # which is read nevertheless
            with pytest.raises(DatabaseCorruptError, match=re.escape(repr(key))):
                store.documents.read(public_id, key)
    for key, payload in DAMAGED.items():
        assert f"Document {key!r} of session row {session} is damaged" in caplog.text
        found = rows(old_file, f"SELECT payload FROM session_documents WHERE session_id = {session} AND key = '{key}'")
        assert found == [(payload,)]


def test_keys_that_json_would_confuse_stay_apart(old_file: Path) -> None:
    pair, character = "\ud83d\ude00", "😀"
    with closing(sqlite3.connect(old_file)) as connection, connection:
        [(session, public_id)] = connection.execute(
            "SELECT id, session_id FROM sessions WHERE deleted_at IS NULL LIMIT 1"
        )
        for key, payload in ((pair, b'"pair"'), (character, b'"character"')):
            digest = hashlib.blake2b(payload, digest_size=16).digest()
            connection.execute(
                "INSERT INTO session_documents VALUES (?, ?, ?, ?)", (session, escaped(key), digest, payload)
            )
    with Store.open(old_file) as store:
        values = {pair: "pair", character: "character"}
        assert store.documents.read(public_id, pair, character) == values
        assert not store.documents.put(public_id, values).changed
        assert store.documents.put(public_id, {pair: 1}).changed
        assert store.documents.read(public_id, pair, character) == {pair: 1, character: "character"}


# ── The migration's own copies of rules ──


@given(st.text(st.characters(exclude_categories=[])))
@example("\ud83d\ude00")
def test_keys_are_written_as_the_library_writes_them(key: str) -> None:
    assert REVISION.stored_key(key) == escaped(key)
    if json_codec.decode(json_codec.encode(key)) == key:
        assert REVISION.json_key(key) == json_codec.encode(key)


@pytest.mark.parametrize("key", AWKWARD_TEXTS)
def test_awkward_keys_are_split_as_they_were_joined(key: str) -> None:
    payloads = [
        b'{"a":[1,{"b":"}"}]}',
        b'"\\\\\\"],"',
        b"-0.0",
        b"NaN",
        b"9" * 400,
        b"[" * 900 + b"]" * 900,
        b'"\\ud83d"',
    ]
    names = [key + str(number) for number in range(len(payloads))]
    members = {REVISION.json_key(name): payload for name, payload in zip(names, payloads, strict=True)}
    joined = b"{" + b",".join(name + b":" + payload for name, payload in members.items()) + b"}"
    assert list(REVISION.split_object(1, joined)) == list(zip(names, payloads, strict=True))
    assert list(REVISION.split_object(1, b"{}")) == []


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b'{"a"}',
        b'{"a":1',
        b'{"a":1}}',
        b'{"a":1}{"b":2}',
        b'{"a":1,}',
        b"{,}",
        b'{"a":1 2}',
        b"{1:2}",
    ],
)
def test_extras_that_are_no_object_end_a_downgrade(payload: bytes) -> None:
    with pytest.raises(Exception, match="session row 7 are damaged"):
        list(REVISION.split_object(7, payload))


JSON_PIECES = [
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    '"a"',
    '"\\"',
    "1",
    "-0.0",
    "01",
    "1e5",
    "NaN",
    "-Infinity",
    "true",
    "nul",
    " ",
    "\t",
    "x",
]


@pytest.mark.slow
@given(st.lists(st.sampled_from(JSON_PIECES), max_size=12).map("".join))
@example('{"a":[1,{"b":null}],"c":"\\ud83d"}')
@example('["\x00"]')
@example("],[")
def test_deep_payloads_are_judged_as_json_loads_does(text: str) -> None:
    def is_sound(text: str) -> bool:
        try:
            json.loads(text)
        except ValueError:
            return False
        return True

    depth = 3_000
    deep = ("[" * depth + text + "]" * depth).encode()
    assert REVISION.is_json(text.encode()) == is_sound(text)
    # The text may end some of the lists that it is in, at most one with each piece.
    assert REVISION.is_json(deep) == is_sound("[" * 20 + text + "]" * 20)


# ── Large databases ──


def test_a_long_upgrade_logs_how_far_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migration_operations, "LOG_EVERY", 0)
    path = make_large(tmp_path / "large.db", megabytes=3)
    [(small,)] = rows(path, "SELECT count(*) FROM session_documents WHERE length(payload) <= 2048")
    with caplog.at_level(logging.INFO, "hermes_store"):
        Store.open(path).close()
    assert f"Revision 0002: {small} of {small} documents are done." in caplog.text


def measure(path: str) -> None:
    """Print by how many bytes an upgrade makes this process larger than it is once everything is imported."""
    import resource

    import alembic.command  # noqa: F401

    small = Path(path).with_name("small.db")
    make_large(small, megabytes=1)
    Store.open(small).close()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Store.open(path).close()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)


@pytest.mark.slow
def test_a_large_upgrade_needs_little_memory(tmp_path: Path) -> None:
    path = make_large(tmp_path / "large.db", megabytes=300 if EVERYWHERE else 60)
    before = content_digest(path)
    grown = int(output(run_function(measure, path)))
    assert grown < 30_000_000
    assert content_digest(path) == before
    [copy] = tmp_path.glob("large.db.0001-*.bak")
    assert content_digest(copy) == before
    shutil.rmtree(tmp_path)


def test_many_sessions_are_moved_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration_operations, "BATCH_ROWS", 3)
    monkeypatch.setattr(migration_operations, "BATCH_BYTES", 5_000)
    path = make_large(tmp_path / "large.db", megabytes=4)
    before = content_digest(path)
    Store.open(path).close()
    assert content_digest(path) == before
    assert rows(path, "SELECT count(*) FROM session_extras") == rows(path, "SELECT count(*) FROM sessions")
    assert rows(path, "SELECT count(*) FROM sessions WHERE transcript_revision != 3 OR fields_revision != 3") == [(0,)]
    output(alembic("-x", f"url={path}", "downgrade", "0001"))
    assert content_digest(path) == before
    execute(path, "UPDATE sessions SET title = 'x'")
    assert migrations.HEAD > "0001"
