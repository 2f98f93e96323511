"""Messages and documents that are damaged or missing are told from those that are as written, and can be rewritten."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseCorruptError, Store

MESSAGES = ["one", "two", "three"]
BODY = "(SELECT id FROM messages WHERE position = 1)"


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def _two_values() -> str:
    payload = b'"two","more"'
    digest = hashlib.blake2b(payload, digest_size=16).hexdigest()
    return f"UPDATE messages SET digest = x'{digest}' WHERE position = 1"


#: What happens to message 1 of three.
DAMAGE: dict[str, tuple[str, ...]] = {
    "another text": (f"UPDATE message_blobs SET payload = CAST('\"twO\"' AS BLOB) WHERE message_id = {BODY}",),
    "no JSON": (f"UPDATE message_blobs SET payload = x'7b' WHERE message_id = {BODY}",),
    "text for bytes": (f"UPDATE message_blobs SET payload = '\"two\"' WHERE message_id = {BODY}",),
    "two values": (
        f'UPDATE message_blobs SET payload = CAST(\'"two","more"\' AS BLOB) WHERE message_id = {BODY}',
        _two_values(),
    ),
    "another digest": ("UPDATE messages SET digest = x'00' WHERE position = 1",),
    "no body": (f"DELETE FROM message_blobs WHERE message_id = {BODY}",),
    "no row": ("DELETE FROM messages WHERE position = 1",),
    "moved away": ("UPDATE messages SET position = 9 WHERE position = 1",),
}


@pytest.fixture(params=DAMAGE)
def damaged(request: pytest.FixtureRequest, sqlite_path: Path, session_id: str) -> Path:
    """A database whose session has three messages, the second of which is damaged."""
    run(sqlite_path, *DAMAGE[request.param])
    return sqlite_path


def test_reading_names_the_damaged_message(damaged: Path, session_id: str) -> None:
    with Store.open(damaged) as store:
        for read in (
            lambda: store.messages.read(session_id),
            lambda: store.messages.tail(session_id, limit=3),
            lambda: store.messages.page(session_id, limit=2),
        ):
            with pytest.raises(DatabaseCorruptError, match=f"Message 1 of session '{session_id}' is (damaged|missing)"):
                read()


def test_the_messages_before_a_damaged_one_are_read(damaged: Path, session_id: str) -> None:
    with Store.open(damaged) as store:
        assert store.messages.page(session_id, limit=1).items == ["one"]


@pytest.mark.parametrize("text", ["two", "other"])
def test_an_update_rewrites_a_damaged_message(damaged: Path, session_id: str, text: str) -> None:
    with Store.open(damaged) as store:
        revision = store.sessions.get(session_id).revision
        assert store.messages.update(session_id, 1, text, expected_revision=revision).changed
        store.messages.truncate(session_id, keep=3, expected_revision=revision + 1)
        assert store.messages.page(session_id, limit=2).items == ["one", text]


def test_a_replacement_rewrites_damaged_messages(damaged: Path, session_id: str) -> None:
    with Store.open(damaged) as store:
        revision = store.sessions.get(session_id).revision
        store.messages.replace(session_id, MESSAGES, expected_revision=revision)
        assert store.messages.read(session_id) == MESSAGES
        assert store.messages.replace(session_id, MESSAGES, expected_revision=revision + 1).kept == 3


def test_a_truncation_removes_damaged_messages(damaged: Path, session_id: str) -> None:
    with Store.open(damaged) as store:
        revision = store.sessions.get(session_id).revision
        assert store.messages.truncate(session_id, keep=1, expected_revision=revision).message_count == 1
        assert store.messages.read(session_id) == ["one"]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_wrong_count_is_no_shorter_transcript(sqlite_path: Path, session_id: str, count: int) -> None:
    run(sqlite_path, f"UPDATE sessions SET message_count = {count}")
    with Store.open(sqlite_path) as store:
        for read in (store.messages.read, store.messages.tail):
            with pytest.raises(DatabaseCorruptError, match=session_id):
                read(session_id)
        if count < 3:
            with pytest.raises(DatabaseCorruptError, match="count of messages is damaged"):
                store.messages.append(session_id, "lost?")
        revision = store.sessions.get(session_id).revision
        store.messages.replace(session_id, MESSAGES, expected_revision=revision)
        assert store.messages.read(session_id) == MESSAGES


def test_a_write_that_changes_no_row_fails(sqlite_path: Path, session_id: str) -> None:
    run(
        sqlite_path,
        "CREATE TRIGGER lost BEFORE UPDATE ON sessions BEGIN SELECT RAISE(IGNORE); END",
        "CREATE TRIGGER lost_message BEFORE UPDATE ON messages BEGIN SELECT RAISE(IGNORE); END",
    )
    with Store.open(sqlite_path) as store:
        writes: list[Callable[[], Any]] = [
            lambda: store.messages.append(session_id, "more"),
            lambda: store.messages.update(session_id, 0, "new", expected_revision=2),
            lambda: store.sessions.update(session_id, title="new"),
        ]
        for write in writes:
            with pytest.raises(DatabaseCorruptError, match="was read and cannot be written"):
                write()
        assert store.messages.read(session_id) == MESSAGES


def test_putting_a_damaged_document_again_repairs_it(sqlite_path: Path, session_id: str) -> None:
    value = "x" * 5_000
    with Store.open(sqlite_path) as store:
        store.documents.put(session_id, {"large": value, "other": value})
    run(sqlite_path, "UPDATE session_documents SET payload = CAST('\"y\"' AS BLOB) WHERE key = 'large'")
    with Store.open(sqlite_path) as store:
        with pytest.raises(DatabaseCorruptError, match="Document 'large' of session"):
            store.documents.read(session_id)
        assert store.documents.read(session_id, "other") == {"other": value}
        assert store.documents.put(session_id, {"large": value}).changed
        assert not store.documents.put(session_id, {"large": value}).changed
        assert store.documents.read(session_id, "large") == {"large": value}
