"""What is done with a session file follows from the file, the store's session and the import log alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_store.files.decision import Action, Decision, StoredSession, decide
from hermes_store.files.directory import Entry
from hermes_store.files.parsing import ParsedFile
from hermes_store.outcomes import Outcome
from hermes_store.storage.import_log import Entry as LogEntry
from hermes_store.transcripts import encoding
from hermes_store.webui_format.session_json import SessionContent

NOW = 1.7e9


def _content(*messages: str) -> SessionContent:
    return SessionContent({"title": "t"}, None, {"draft": b"{}"}, encoding.encode(messages))


def _file(*messages: str, digest: bytes = b"new", damage: str | None = None) -> ParsedFile:
    entry = Entry(Path("sessions/a.json"), size=1, mtime_ns=1, not_a_session=None, changed_ns=1)
    return ParsedFile(
        entry=entry, session_id="a", digest=digest, read_at=NOW, damage=damage, content=_content(*messages)
    )


def _stored(*messages: str, revision: int = 1, is_deleted: bool = False) -> StoredSession:
    return StoredSession(session_id="a", revision=revision, is_deleted=is_deleted, content=_content(*messages))


def _logged(revision: int = 1, digest: bytes = b"old") -> LogEntry:
    return LogEntry("a.json", 7, digest, 1, 1, revision, NOW, None, "a", None)


def test_a_new_file_is_added() -> None:
    assert decide(_file("hi"), None, None, "store") == Decision(Action.ADD, Outcome.IMPORTED)
    assert decide(_file(damage="torn"), None, None, "store") == Decision(Action.ADD, Outcome.RECOVERED, "torn")


@pytest.mark.parametrize("prefer", ["store", "files"])
@pytest.mark.parametrize("damage", [None, "torn"])
def test_a_deleted_session_is_left_alone(prefer: str, damage: str | None) -> None:
    decision = decide(_file("hi", damage=damage), _stored(is_deleted=True), _logged(), prefer)  # type: ignore[arg-type]
    assert decision == Decision(Action.NOTHING, Outcome.SKIPPED, "it is deleted in the store")


@pytest.mark.parametrize("prefer", ["store", "files"])
def test_a_file_with_the_imported_bytes_is_recorded(prefer: str) -> None:
    stored = StoredSession(session_id="a", revision=5, is_deleted=False, content=None)
    decision = decide(_file("hi", digest=b"old"), stored, _logged(revision=3), prefer)  # type: ignore[arg-type]
    assert decision == Decision(Action.RECORD, Outcome.UNCHANGED, revision=3)


@pytest.mark.parametrize("entry", [None, _logged(revision=2)])
@pytest.mark.parametrize("damage", [None, "torn"])
def test_the_same_content_is_recorded_at_its_revision(entry: LogEntry | None, damage: str | None) -> None:
    decision = decide(_file("hi", damage=damage), _stored("hi", revision=5), entry, "store")
    assert decision == Decision(Action.RECORD, Outcome.UNCHANGED, revision=5)


def test_a_change_in_only_the_file_is_imported() -> None:
    decision = decide(_file("hi", "more"), _stored("hi", revision=5), _logged(revision=5), "store")
    assert decision == Decision(Action.OVERWRITE, Outcome.UPDATED)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [(None, "the store's session is not from this file"), (_logged(4), "both were changed since the last import")],
)
def test_changes_on_both_sides_are_a_conflict(entry: LogEntry | None, reason: str) -> None:
    file, stored = _file("hi", "file"), _stored("hi", "store", revision=5)
    assert decide(file, stored, entry, "store") == Decision(
        Action.NOTHING, Outcome.CONFLICT, f"{reason}; the store's copy was kept"
    )
    assert decide(file, stored, entry, "files") == Decision(Action.OVERWRITE, Outcome.UPDATED)


@pytest.mark.parametrize("prefer", ["store", "files"])
@pytest.mark.parametrize("entry", [None, _logged(revision=5)])
def test_a_damaged_file_never_overwrites(prefer: str, entry: LogEntry | None) -> None:
    decision = decide(_file(damage="torn"), _stored("hi", revision=5), entry, prefer)  # type: ignore[arg-type]
    assert decision == Decision(Action.NOTHING, Outcome.CONFLICT, "torn; the store's copy was kept")
