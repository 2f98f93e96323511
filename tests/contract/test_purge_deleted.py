"""Purging what was deleted some time ago, on every backend."""

from __future__ import annotations

import pytest

from hermes_store import InvalidInputError, SessionNotFoundError, Store
from tests.support.internals import writing

DAY = 86_400.0


def deleted(store: Store, days: float, profile: str = "default", messages: int = 1) -> str:
    """Create a session, delete it, and let that be some days ago; return its id."""
    session_id = store.sessions.create(profile=profile).session_id
    store.messages.extend(session_id, range(messages))
    store.sessions.delete(session_id)
    with writing(store) as connection:
        connection.exec_driver_sql(
            f"UPDATE sessions SET deleted_at = deleted_at - {days * DAY} WHERE session_id = '{session_id}'"
        )
    return session_id


def left(store: Store) -> list[str]:
    return [session.session_id for session in store.sessions.list_deleted(limit=1000).items]


def test_what_was_deleted_long_ago_is_purged(store: Store) -> None:
    old, older, young = deleted(store, 31, messages=3), deleted(store, 40), deleted(store, 29)
    live = store.sessions.create(title="Trip").session_id
    result = store.sessions.purge_deleted(older_than=30 * DAY)
    assert (result.session_ids, result.messages) == ([older, old], 4)  # the first deleted first
    assert result.erased == (store.info().dialect == "sqlite")
    assert left(store) == [young]
    assert store.sessions.exists(live)
    with pytest.raises(SessionNotFoundError):
        store.sessions.restore(old)


def test_nothing_to_purge_changes_nothing(store: Store) -> None:
    young = deleted(store, 1)
    assert store.sessions.purge_deleted(older_than=2 * DAY).session_ids == []
    assert left(store) == [young]


def test_zero_seconds_purges_all_that_are_deleted(store: Store) -> None:
    ids = [deleted(store, days) for days in (2, 1, 0)]
    assert store.sessions.purge_deleted(older_than=0).session_ids == ids
    assert left(store) == []


def test_a_limit_leaves_the_last_deleted(store: Store) -> None:
    ids = [deleted(store, days) for days in (5, 4, 3)]
    assert store.sessions.purge_deleted(older_than=0, limit=2).session_ids == ids[:2]
    assert left(store) == ids[2:]


def test_only_one_profile_is_purged(store: Store) -> None:
    home, work = deleted(store, 3, "home"), deleted(store, 3, "work")
    assert store.sessions.purge_deleted(older_than=DAY, profile="work").session_ids == [work]
    assert store.profile("home").sessions.purge_deleted(older_than=DAY).session_ids == [home]
    with pytest.raises(InvalidInputError):
        store.profile("home").sessions.purge_deleted(older_than=DAY, profile="work")


def test_many_and_large_sessions_are_purged(store: Store) -> None:
    with store.transaction() as tx:
        ids = [tx.sessions.create().session_id for _ in range(230)]
        tx.messages.extend(ids[0], range(2_500))
        for session_id in ids:
            tx.sessions.delete(session_id)
    result = store.sessions.purge_deleted(older_than=0)
    assert (sorted(result.session_ids), result.messages) == (sorted(ids), 2_500)
    assert left(store) == []


def test_a_transaction_undoes_what_it_purged(store: Store) -> None:
    ids = [deleted(store, days) for days in (2, 1)]

    def purge_and_fail() -> None:
        with store.transaction() as tx:
            assert tx.sessions.purge_deleted(older_than=0).session_ids == ids
            raise LookupError

    with pytest.raises(LookupError):
        purge_and_fail()
    assert left(store) == ids[::-1]


@pytest.mark.parametrize("arguments", [{"older_than": "a day"}, {"older_than": 0, "limit": 0}, {"older_than": None}])
def test_wrong_arguments_purge_nothing(store: Store, arguments: dict[str, object]) -> None:
    session_id = deleted(store, 1)
    with pytest.raises(InvalidInputError):
        store.sessions.purge_deleted(**arguments)  # type: ignore[arg-type]
    assert left(store) == [session_id]
