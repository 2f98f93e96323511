"""Deleting sessions by their last activity, on every backend."""

from __future__ import annotations

import time

import pytest

from hermes_store import InvalidInputError, Store
from tests.support.internals import writing

DAY = 86_400.0


def made(store: Store, days: float, **fields: object) -> str:
    """Create a session whose last message was some days ago, and that was renamed now; return its id."""
    session_id = store.sessions.create(title="Trip", **fields).session_id  # type: ignore[arg-type]
    store.messages.append(session_id, {"role": "user", "content": "hi", "timestamp": time.time() - days * DAY})
    store.sessions.update(session_id, title="Renamed")
    return session_id


def live(store: Store) -> set[str]:
    return {session.session_id for session in store.sessions.iterate(include_empty=True)}


def test_sessions_without_activity_go_to_the_trash(store: Store) -> None:
    old, older, young = made(store, 91), made(store, 200), made(store, 89)
    before = store.sessions.get(old)
    assert sorted(store.sessions.delete_inactive(older_than=90 * DAY)) == sorted([old, older])
    assert live(store) == {young}
    assert store.sessions.delete_inactive(older_than=90 * DAY) == []
    after = store.sessions.restore(old)
    assert (after.updated_at, after.message_count) == (before.updated_at, 1)


def test_pinned_sessions_are_kept_if_wanted(store: Store) -> None:
    pinned, archived = made(store, 91, pinned=True), made(store, 91, archived=True)
    assert store.sessions.delete_inactive(older_than=90 * DAY, keep_pinned=True) == [archived]
    assert store.sessions.delete_inactive(older_than=90 * DAY) == [pinned]


def test_only_one_profiles_sessions_are_deleted(store: Store) -> None:
    home, work = made(store, 91, profile="home"), made(store, 91, profile="work")
    assert store.sessions.delete_inactive(older_than=90 * DAY, profile="work") == [work]
    assert store.profile("home").sessions.delete_inactive(older_than=90 * DAY) == [home]


def test_without_timestamps_the_last_write_counts(store: Store) -> None:
    written, blank = store.sessions.create(title="Trip").session_id, store.sessions.create().session_id
    store.messages.append(written, "no time")
    assert store.sessions.delete_inactive(older_than=DAY) == []
    with writing(store) as connection:
        connection.exec_driver_sql(
            f"UPDATE sessions SET updated_at = updated_at - {2 * DAY}, activity_at = updated_at - {2 * DAY}"
        )
    assert set(store.sessions.delete_inactive(older_than=DAY)) == {written, blank}


def test_a_running_stream_keeps_its_session(store: Store) -> None:
    session_id = made(store, 91)
    store.sessions.update(session_id, active_stream_id="stream")
    assert store.sessions.delete_inactive(older_than=90 * DAY) == []
    assert store.sessions.delete_inactive(older_than=-1) == [session_id]


def test_more_sessions_than_a_transaction_deletes(store: Store) -> None:
    ids = {store.sessions.create(title="Trip").session_id for _ in range(205)}
    with store.transaction() as tx:
        assert len(tx.sessions.delete_inactive(older_than=-1, profile="nobody")) == 0
    assert set(store.sessions.delete_inactive(older_than=-1)) == ids
    assert live(store) == set()


@pytest.mark.parametrize("arguments", [{"older_than": "90d"}, {"older_than": 1, "keep_pinned": None}])
def test_wrong_arguments_delete_nothing(store: Store, arguments: dict[str, object]) -> None:
    session_id = made(store, 91)
    with pytest.raises(InvalidInputError):
        store.sessions.delete_inactive(**arguments)  # type: ignore[arg-type]
    assert live(store) == {session_id}
