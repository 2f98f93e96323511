"""Revision 0012: how many messages of the sessions that are there are the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.maintenance import verify
from hermes_store.webui import SessionStorage
from tests.support.first_release import restore_sqlite
from tests.support.message_columns import users, wrong_columns
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.upgrading import execute

USER = {"role": "user", "content": "hi"}
TRANSCRIPTS: dict[str, list[Any]] = {
    "asked": [USER, {"role": "assistant"}, USER, {"role": "tool"}],
    "other-roles": [{"role": "User"}, {"role": None}, {}, "user", None, {"role": "assistant"}],
    "deleted": [USER],
    "empty": [],
}
COUNTS = {"asked": 2, "other-roles": 0, "deleted": 1, "empty": 0}
COLUMN = "user_message_count"


def make(target: str) -> None:
    """Make a database of revision 0011, with values that an earlier program stored under the column's name."""
    with Store.open(target) as store:
        for session_id, messages in TRANSCRIPTS.items():
            store.sessions.create(session_id=session_id, title=session_id)
            store.messages.extend(session_id, messages)
            store.documents.put(session_id, {COLUMN: 7})
        store.sessions.delete("deleted")
    output(alembic("-x", f"url={target}", "downgrade", "0011"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        target = str(tmp_path / "old.db")
    else:
        make_database: Callable[..., str] = request.getfixturevalue("make_postgres_database")
        target = make_database(empty=True)
    make(target)
    return target


def counts(store: Store) -> dict[str, int]:
    found = [*store.sessions.iterate(include_empty=True), *store.sessions.list_deleted().items]
    return {one.session_id: one.user_message_count for one in found}


def test_the_users_messages_are_counted_by_the_upgrade(database: str) -> None:
    assert COLUMN not in schema_of(database)["sessions"]["columns"]
    with Store.open(database) as store:
        assert counts(store) == COUNTS
        assert verify(store).ok
        store.messages.extend("asked", [USER, {"role": "assistant"}, USER])
        assert store.sessions.get("asked").user_message_count == 4


def test_a_stored_count_is_never_read(database: str) -> None:
    with Store.open(database) as store:
        storage = SessionStorage(store)
        for session_id in TRANSCRIPTS.keys() - {"deleted"}:
            expected = COUNTS[session_id]
            (row,) = storage.rows([COLUMN], where={"session_id": session_id})
            shown = [row, storage.load(session_id)[0], storage.load_metadata(session_id)[0]]
            shown.append(store.sessions.as_json(session_id))
            assert [values[COLUMN] for values in shown] == [expected] * 4


@pytest.mark.slow
def test_a_script_of_the_upgrade_counts_the_same(tmp_path: Path) -> None:
    target = str(tmp_path / "old.db")
    make(target)
    script = output(alembic("-x", f"url={target}", "upgrade", "0011:0012", "--sql"))
    execute(target, *(one for one in script.split(";") if one.strip() and "BEGIN" not in one and "COMMIT" not in one))
    with Store.open(target) as store:
        assert counts(store) == COUNTS


def test_the_first_release_gets_the_counts(tmp_path: Path) -> None:
    with Store.open(restore_sqlite(tmp_path / "first.db")) as store:
        found = list(store.sessions.iterate(include_empty=True))
        assert any(one.user_message_count for one in found)
        assert {one.session_id: one.user_message_count for one in found} == {
            one.session_id: users(store.messages.read(one.session_id)) for one in found
        }


def test_the_upgrade_skips_a_damaged_role(tmp_path: Path) -> None:
    target = str(tmp_path / "old.db")
    make(target)
    execute(target, "UPDATE messages SET role = x'ff' WHERE position = 0")
    with Store.open(target) as store:
        assert store.sessions.get("asked").user_message_count == 1
        assert wrong_columns(store) == []
