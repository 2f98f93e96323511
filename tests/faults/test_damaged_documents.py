"""Documents that are damaged are named, are in the way of nothing else, and are repaired by writing them again."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseCorruptError, Store
from hermes_store.files import export_directory
from hermes_store.webui import WebUIModels

LARGE = "x" * 5_000
SMALL = {"draft": "hi", "personality_note": "calm"}

#: What happens to the row of the small documents.
DAMAGE = {
    "no JSON": "UPDATE session_extras SET payload = x'7b'",
    "no UTF-8": "UPDATE session_extras SET payload = CAST('{\"draft\":\"' AS BLOB) || x'ff' || CAST('\"}' AS BLOB)",
    "a list": "UPDATE session_extras SET payload = CAST('[1]' AS BLOB)",
    "text for bytes": "UPDATE session_extras SET payload = '{}'",
    "nothing": "UPDATE session_extras SET payload = x''",
}


def run(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement).rowcount > 0
        connection.commit()


@pytest.fixture(params=DAMAGE)
def damaged(request: pytest.FixtureRequest, sqlite_path: Path, session_id: str) -> Path:
    """A database whose session has small documents that are damaged, and large ones that are not."""
    with Store.open(sqlite_path) as store:
        store.documents.put(session_id, {**SMALL, "large": LARGE, "tool_calls": [LARGE]})
        store.sessions.create(session_id="other", title="Other")
        store.messages.append("other", "hi")
    run(sqlite_path, DAMAGE[request.param])
    return sqlite_path


def test_damaged_documents_are_named_and_others_are_read(damaged: Path, session_id: str) -> None:
    with Store.open(damaged) as store:
        for keys in ((), ("draft",), ("large", "draft")):
            with pytest.raises(DatabaseCorruptError, match=f"small documents of session '{session_id}'"):
                store.documents.read(session_id, *keys)
        assert store.documents.read(session_id, "large", "tool_calls") == {"large": LARGE, "tool_calls": [LARGE]}


def test_other_writes_leave_them_as_they_are(damaged: Path, session_id: str) -> None:
    with Store.open(damaged) as store:
        store.sessions.update(session_id, title="Rome", project_id=None)
        store.messages.append(session_id, "four")
        assert store.documents.put(session_id, {"large": LARGE * 2}).changed
        assert store.documents.remove(session_id, "tool_calls").changed
        with pytest.raises(DatabaseCorruptError):
            store.documents.remove(session_id, "draft")
        with pytest.raises(DatabaseCorruptError):
            store.documents.read(session_id)


def test_small_documents_that_are_put_replace_them(
    damaged: Path, session_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Store.open(damaged) as store:
        assert store.documents.put(session_id, SMALL).changed
        assert "are replaced by 'draft', 'personality_note'" in caplog.text
        assert not store.documents.put(session_id, SMALL).changed
        assert store.documents.read(session_id) == {**SMALL, "large": LARGE, "tool_calls": [LARGE]}


def test_lists_and_exports_go_on(damaged: Path, session_id: str, tmp_path: Path) -> None:
    with Store.open(damaged) as store:
        assert {record.session_id for record in store.sessions.iterate()} == {session_id, "other"}
        assert {row["session_id"] for row in WebUIModels(store).all_sessions()} == {session_id, "other"}
        report = export_directory(store, tmp_path / "out")
        assert [(one.session_id, "small documents" in one.reason) for one in report.problems] == [(session_id, True)]
        written = json.loads((tmp_path / "out" / "sessions" / f"{session_id}.json").read_text())
        assert (written["messages"], written["large"]) == (["one", "two", "three"], LARGE)


@pytest.mark.parametrize("metadata_only", [True, False])
def test_the_webui_goes_on_without_them(damaged: Path, session_id: str, metadata_only: bool) -> None:
    with Store.open(damaged) as store:
        live: Any = WebUIModels(store).get_session(session_id, metadata_only=metadata_only)
        assert (live.messages, live.tool_calls, live.pending_user_message) == (["one", "two", "three"], [LARGE], None)
        live.title = "Rome"
        live.save()
        with pytest.raises(DatabaseCorruptError):
            store.documents.read(session_id, "draft")
        live.pending_user_message = "soon"
        live.save()
        assert store.documents.read(session_id, "pending_user_message", "draft") == {"pending_user_message": "soon"}


@pytest.fixture
def with_large(sqlite_path: Path, session_id: str) -> Path:
    """A database whose session has two large documents, one of which is damaged."""
    with Store.open(sqlite_path) as store:
        store.documents.put(session_id, {**SMALL, "tool_calls": [LARGE], "large": LARGE})
    run(sqlite_path, "UPDATE session_documents SET payload = x'5b5d' WHERE key = 'tool_calls'")
    return sqlite_path


def test_a_damaged_large_document_blocks_no_other(with_large: Path, session_id: str, tmp_path: Path) -> None:
    with Store.open(with_large) as store:
        with pytest.raises(DatabaseCorruptError, match="Document 'tool_calls' of session"):
            store.documents.read(session_id)
        assert store.documents.read(session_id, "large", "draft") == {"large": LARGE, "draft": "hi"}
        [problem] = export_directory(store, tmp_path / "out").problems
        assert "'tool_calls'" in problem.reason


@pytest.mark.parametrize("metadata_only", [True, False])
def test_the_webui_replaces_a_damaged_large_document(
    with_large: Path, session_id: str, metadata_only: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with Store.open(with_large) as store:
        live: Any = WebUIModels(store).get_session(session_id, metadata_only=metadata_only)
        assert (live.tool_calls, live.large, live.draft) == ([], LARGE, "hi")
        assert "Document 'tool_calls'" in caplog.text
        live.tool_calls = [{"name": "terminal"}]
        live.save()
        assert store.documents.read(session_id, "tool_calls") == {"tool_calls": [{"name": "terminal"}]}
