"""Finding sessions otherwise than by a list, on every backend: by prefix, several at once, and how many there are."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidIdError, InvalidInputError, Store, StoreStats

IDS = ["abc", "abd", "ab_1", "ab-2", "ABC", "abcd", "b", "zz", "a" * 128]


@pytest.fixture
def named(store: Store) -> Store:
    """Sessions of two profiles, one of them deleted."""
    for session_id in IDS:
        store.sessions.create(session_id=session_id, title="Trip")
    store.sessions.create(session_id="ab-elsewhere", profile="work", title="Trip")
    store.sessions.create(session_id="ab-deleted", title="Trip")
    store.sessions.delete("ab-deleted")
    return store


def test_ids_are_found_by_their_beginning_in_order(named: Store) -> None:
    assert named.sessions.find("ab") == ["ab-2", "ab-elsewhere", "ab_1", "abc", "abcd", "abd"]
    assert named.sessions.find("abc") == ["abc", "abcd"]
    assert named.sessions.find("ab_") == ["ab_1"]
    assert named.sessions.find("AB") == ["ABC"]
    assert named.sessions.find("a" * 128) == ["a" * 128]
    assert named.sessions.find("nobody") == []
    assert named.profile("work").sessions.find("ab") == ["ab-elsewhere"]


def test_a_limit_of_found_ids_is_kept(named: Store) -> None:
    assert named.sessions.find("ab", limit=2) == ["ab-2", "ab-elsewhere"]
    with pytest.raises(InvalidInputError, match="limit must be"):
        named.sessions.find("ab", limit=0)


def test_deleted_sessions_are_found_if_wanted(named: Store) -> None:
    named.profile("work").sessions.delete("ab-elsewhere")
    assert named.sessions.find("ab-", deleted=True) == ["ab-deleted", "ab-elsewhere"]
    assert named.sessions.find("ab-", deleted=None) == ["ab-2", "ab-deleted", "ab-elsewhere"]
    assert named.profile("work").sessions.find("ab-", deleted=True) == ["ab-elsewhere"]
    with pytest.raises(InvalidInputError, match="deleted is True or False"):
        named.sessions.find("ab-", deleted="yes")  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["", "%", "ab*", "a b", "../", "half \ud83d", "nul\x00", "a" * 129, 5, None, b"ab"])
def test_nothing_begins_with_what_no_id_can_have(named: Store, prefix: Any) -> None:
    assert named.sessions.find(prefix) == []


def test_several_sessions_are_got_at_once(named: Store) -> None:
    wanted = ["zz", "abc", "nobody", "ab-deleted", "abc", "ab-elsewhere"]
    found = named.sessions.get_many(iter(wanted))
    assert found == {session_id: named.sessions.get(session_id) for session_id in ("zz", "abc", "ab-elsewhere")}
    assert set(named.profile("work").sessions.get_many(wanted)) == {"ab-elsewhere"}
    assert named.sessions.get_many([]) == {}
    assert len(named.sessions.get_many([*IDS, *(f"none{number}" for number in range(2000))])) == len(IDS)


def test_deleted_sessions_are_got_if_wanted(named: Store) -> None:
    named.profile("work").sessions.delete("ab-elsewhere")
    wanted = ["abc", "ab-deleted", "ab-elsewhere", "nobody"]
    assert set(named.sessions.get_many(wanted, deleted=True)) == {"ab-deleted", "ab-elsewhere"}
    assert set(named.sessions.get_many(wanted, deleted=None)) == {"abc", "ab-deleted", "ab-elsewhere"}
    assert set(named.profile("work").sessions.get_many(wanted, deleted=None)) == {"ab-elsewhere"}
    assert named.sessions.get_many(wanted, deleted=True)["ab-deleted"] == named.sessions.list_deleted().items[-1]
    with pytest.raises(InvalidInputError, match="deleted is True or False"):
        named.sessions.get_many(wanted, deleted=1)  # type: ignore[arg-type]


def test_one_bad_id_refuses_all_of_them(named: Store) -> None:
    bad: Any
    for bad in ("../evil", "", None, 5, "half \ud83d"):
        with pytest.raises(InvalidIdError):
            named.sessions.get_many(["abc", bad])
    for single in ("abc", b"abc", None, 5):
        with pytest.raises(InvalidInputError, match="list of session ids"):
            named.sessions.get_many(single)  # type: ignore[arg-type]


def test_the_statistics_count_what_there_is(store: Store) -> None:
    kept = {"cuts": 0, "kept_messages": 0, "kept_bytes": 0}
    nothing = StoreStats(sessions=0, messages=0, deleted=0, projects=0, **kept)
    assert store.stats() == store.profile("work").stats() == nothing
    store.projects.create(name="Work", profile="work")
    for number, profile in enumerate(["work", "work", "default", "default"]):
        made = store.sessions.create(profile=profile)  # blank ones count, too
        store.messages.extend(made.session_id, range(number))
    store.sessions.delete(made.session_id)
    assert store.stats() == StoreStats(sessions=3, messages=0 + 1 + 2, deleted=1, projects=1, **kept)
    assert store.profile("work").stats() == StoreStats(sessions=2, messages=0 + 1, deleted=0, projects=1, **kept)
    assert store.profile("default").stats() == StoreStats(sessions=1, messages=2, deleted=1, projects=0, **kept)
    assert store.profile("nobody's").stats() == nothing
    with store.transaction() as tx:
        tx.sessions.create()
        assert tx.stats().sessions == 4
    with store.snapshot() as snapshot:
        assert snapshot.stats().sessions == 4
