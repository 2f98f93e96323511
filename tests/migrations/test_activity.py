"""Revision 0004: the last activity of the sessions that are there, and indexes for its order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from tests.support.first_release import restore_sqlite
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.upgrading import execute


def said(at: object, role: str | None = "user") -> dict[str, object]:
    return {"role": role, "timestamp": at}


TRANSCRIPTS: dict[str, list[Any]] = {
    "answered": [said(1.0), said(5.0, "assistant"), said(9.0, "tool")],
    "untimed": [{"role": "user"}, {"role": "tool"}],
    "tools": [said(9.0, "tool")],
    "without a role": [said(3.0, None), said(7.0, "tool"), said(None)],
    "empty": [],
}
LAST = {"answered": 5.0, "untimed": None, "tools": None, "without a role": 3.0, "empty": None}


def make(target: str) -> None:
    """Make a database of revision 0003."""
    with Store.open(target) as store:
        for number, (name, messages) in enumerate(TRANSCRIPTS.items()):
            store.sessions.create(session_id=name.replace(" ", "-"), title=name)
            store.messages.extend(name.replace(" ", "-"), messages)
            store.sessions.update(name.replace(" ", "-"), updated_at=4.0 + number)
    output(alembic("-x", f"url={target}", "downgrade", "0003"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        target = str(tmp_path / "old.db")
    else:
        make_database: Callable[..., str] = request.getfixturevalue("make_postgres_database")
        target = make_database(empty=True)
    make(target)
    return target


def test_the_last_activity_is_found_by_the_upgrade(database: str) -> None:
    assert not {"last_activity_at", "activity_at"} & schema_of(database)["sessions"]["columns"].keys()
    assert "ix_sessions_list_profile" in schema_of(database)["sessions"]["indexes"]
    with Store.open(database) as store:
        assert {one.title: one.last_activity_at for one in store.sessions.iterate()} == LAST
        by_activity = [one.title for one in store.sessions.list(order="activity").items]
        assert by_activity == ["empty", "tools", "untimed", "answered", "without a role"]
        assert [one.title for one in store.sessions.list().items] == [*reversed(TRANSCRIPTS)]
        assert {one.title: store.messages.read(one.session_id) for one in store.sessions.iterate()} == TRANSCRIPTS
        # What was filled in is what a write would find.
        revision = store.sessions.get("answered").revision
        store.messages.truncate("answered", keep=1, expected_revision=revision)
        assert store.sessions.get("answered").last_activity_at == 1.0


@pytest.mark.slow
def test_a_script_of_the_upgrade_fills_the_same(tmp_path: Path) -> None:
    target = str(tmp_path / "old.db")
    make(target)
    script = output(alembic("-x", f"url={target}", "upgrade", "0003:0004", "--sql"))
    execute(target, *(one for one in script.split(";") if one.strip() and "BEGIN" not in one and "COMMIT" not in one))
    with Store.open(target) as store:
        assert {one.title: one.last_activity_at for one in store.sessions.iterate()} == LAST
        assert store.sessions.list(order="activity", limit=1).items[0].title == "empty"


def test_the_first_release_is_brought_to_the_order(tmp_path: Path) -> None:
    with Store.open(restore_sqlite(tmp_path / "first.db")) as store:
        found = list(store.sessions.iterate(order="activity", include_empty=True))
        assert len(found) == store.sessions.count(include_empty=True)
        assert any(one.last_activity_at is not None for one in found)
        for one in found:
            messages = store.messages.count(one.session_id)
            assert messages or one.last_activity_at is None


def test_the_upgrade_skips_a_damaged_time(tmp_path: Path) -> None:
    target = str(tmp_path / "old.db")
    make(target)
    execute(target, "UPDATE messages SET timestamp = CAST(x'ff' AS TEXT) WHERE timestamp = 5.0")
    with Store.open(target) as store:
        assert store.sessions.get("answered").last_activity_at == 1.0
