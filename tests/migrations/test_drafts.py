"""Revision 0003: the sessions that have a draft already are listed, and the recovered ones are marked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.transcripts.json_codec import digest
from tests.support.first_release import restore_sqlite
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.state_dir import StateDir
from tests.support.upgrading import execute

pytestmark = pytest.mark.slow

VALUES: dict[str, dict[str, Any]] = {
    "small": {"composer_draft": {"text": "a letter"}},
    "large": {"composer_draft": {"text": "x" * 5000}},
    "pending": {"pending_user_message": "a", "other": 1},
    "blank": {"composer_draft": {"text": "", "files": []}, "tool_calls": []},
    "without": {"other": "about a composer_draft"},
}
FOUND = {"small", "large", "pending"}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of revision 0002 with drafts."""
    if request.param == "sqlite":
        target = str(tmp_path / "old.db")
    else:
        make: Callable[..., str] = request.getfixturevalue("make_postgres_database")
        target = make(empty=True)
    with Store.open(target) as store:
        for name, values in VALUES.items():
            store.sessions.create(session_id=name, updated_at=1000.0)
            store.documents.put(name, values, touch=False)
        # Its messages go later.
        store.sessions.create(session_id="said", updated_at=1000.0)
        store.documents.put("said", VALUES["small"], touch=False)
        store.messages.append("said", "hi")
    output(alembic("-x", f"url={target}", "downgrade", "0002"))
    return target


def test_drafts_are_found_by_the_upgrade(database: str) -> None:
    assert "has_draft" not in schema_of(database)["sessions"]["columns"]
    with Store.open(database) as store:
        assert {one.session_id for one in store.sessions.list().items} == {*FOUND, "said"}
        store.messages.truncate("said", keep=0, expected_revision=store.sessions.get("said").revision)
        assert set(store.sessions.delete_empty(untitled_only=False)) == VALUES.keys() - FOUND


def test_a_draft_of_the_first_release_is_found(tmp_path: Path) -> None:
    target = restore_sqlite(tmp_path / "first.db")
    payload = b'"a question"'
    execute(
        target,
        "INSERT INTO sessions (session_id, created_at, updated_at) VALUES ('drafted', 1, 1)",
        "INSERT INTO session_documents (session_id, key, digest, payload) SELECT id, 'pending_user_message', "
        f"X'{digest(payload).hex()}', X'{payload.hex()}' FROM sessions WHERE session_id = 'drafted'",
    )
    with Store.open(target) as store:
        assert "drafted" in {one.session_id for one in store.sessions.iterate()}
        assert store.documents.read("drafted") == {"pending_user_message": "a question"}


def test_damaged_extras_count_as_a_draft(tmp_path: Path) -> None:
    target = tmp_path / "old.db"
    with Store.open(target) as store:
        store.sessions.create(session_id="damaged", updated_at=1000.0)
        store.documents.put("damaged", {"pending_user_message": "a"}, touch=False)
    output(alembic("-x", f"url={target}", "downgrade", "0002"))
    execute(target, "UPDATE session_extras SET payload = CAST('{\"pending_user_message' AS BLOB)")
    with Store.open(target) as store:
        assert store.sessions.count() == 1


def test_recovered_sessions_are_marked_by_the_upgrade(database: str, tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.write("torn.json", b'{"session_id": "torn", "messages": [{"role": "user"}, {"ro')
    state.session("whole", {"role": "user", "content": 'about {"outcome":"recovered"}'})
    with Store.open(database) as store:
        import_directory(store, state.root)
    output(alembic("-x", f"url={database}", "downgrade", "0002"))
    with Store.open(database) as store:
        assert (store.sessions.get("torn").recovered, store.sessions.get("whole").recovered) == (True, False)
