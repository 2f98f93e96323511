"""The time of a session's last activity, and lists in its order, on every backend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import (
    InvalidCursorError,
    InvalidInputError,
    Page,
    SessionRecord,
    Store,
)
from tests.support.examples import examples
from tests.support.message_columns import wrong_columns


def said(at: float | None, role: str | None = "user") -> dict[str, Any]:
    """Return a message of a role at a time."""
    return {name: value for name, value in (("role", role), ("timestamp", at)) if value is not None}


def titles(page: Page[SessionRecord]) -> list[str]:
    return [item.title for item in page.items]


def revision(store: Store, session_id: str) -> int:
    return store.sessions.get(session_id).revision


# ── the time ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("role", ["user", "assistant", "system", "developer", None, "Tool", "x" * 65, "half \ud83d"])
def test_every_role_but_a_tools_is_activity(store: Store, session_id: str, role: str | None) -> None:
    store.messages.extend(session_id, [said(5.0, role), said(9.0, "tool")])
    record = store.sessions.get(session_id)
    assert (record.last_activity_at, record.last_message_at) == (5.0, 9.0)


def test_the_last_activity_follows_every_write(store: Store, session_id: str) -> None:
    def last() -> float | None:
        record = store.sessions.get(session_id)
        assert store.sessions.list(order="activity").items == [record]
        return record.last_activity_at

    assert last() is None
    now = store.messages.extend(session_id, [said(9.0), said(5.0), said(20.0, "tool"), "no time"]).revision
    assert last() == 5.0  # the order is the transcript's, not the clock's
    now = store.messages.append(session_id, said(30.0, "tool")).revision
    assert last() == 5.0
    now = store.messages.update(session_id, 2, said(20.0), expected_revision=now).revision
    assert last() == 20.0
    now = store.messages.update(session_id, 2, said(20.0, "tool"), expected_revision=now).revision
    assert last() == 5.0
    now = store.messages.truncate(session_id, keep=1, expected_revision=now).revision
    assert last() == 9.0
    now = store.messages.update(session_id, 0, said(9.0, "tool"), expected_revision=now).revision
    assert last() is None
    now = store.messages.replace(session_id, [said(8.0, "tool"), said(None), said(7.0)], expected_revision=now).revision
    assert last() == 7.0
    store.messages.truncate(session_id, keep=2, expected_revision=now)
    assert last() is None


def test_checkpoints_of_a_stream_move_the_last_activity(store: Store, session_id: str) -> None:
    store.messages.append(session_id, said(1.0))
    with store.messages.stream(session_id, said(2.0, "assistant")) as stream:
        assert store.sessions.get(session_id).last_activity_at == 2.0
        stream.checkpoint(said(3.0, "assistant"))
        assert store.sessions.get(session_id).last_activity_at == 3.0
        stream.checkpoint(said(3.0, "tool"))
        assert store.sessions.get(session_id).last_activity_at == 1.0
        stream.checkpoint(said(None, "assistant"))
    assert store.sessions.get(session_id).last_activity_at == 1.0


def test_other_writes_leave_the_last_activity(store: Store, session_id: str) -> None:
    store.messages.append(session_id, said(5.0))
    store.sessions.update(session_id, title="Rome", pinned=True, updated_at=99.0)
    store.documents.put(session_id, {"draft": 1})
    store.sessions.delete(session_id)
    store.sessions.restore(session_id)
    renamed = store.sessions.change_id(session_id, "renamed")
    assert (renamed.last_activity_at, wrong_columns(store)) == (5.0, [])


messages = st.lists(
    st.builds(said, st.none() | st.integers(1, 50).map(float), st.sampled_from(["user", "tool", "assistant", None])),
    max_size=6,
)
writes = st.lists(
    st.tuples(st.sampled_from(["extend", "replace", "truncate", "update"]), messages, st.integers(0, 9)), max_size=6
)


@settings(max_examples=examples(20))
@given(steps=writes)
def test_the_last_activity_is_that_of_the_transcript(
    sqlite_store: Store, steps: list[tuple[str, list[dict[str, Any]], int]]
) -> None:
    store = sqlite_store
    session_id = store.sessions.create(title="Trip").session_id
    for verb, written, number in steps:
        count = store.messages.count(session_id)
        now = revision(store, session_id)
        if verb == "extend":
            store.messages.extend(session_id, written)
        elif verb == "replace":
            store.messages.replace(session_id, written, expected_revision=now)
        elif verb == "truncate":
            store.messages.truncate(session_id, keep=number % (count + 1), expected_revision=now)
        elif count and written:
            store.messages.update(session_id, number % count, written[0], expected_revision=now)
        times = [one["timestamp"] for one in store.messages.read(session_id) if "timestamp" in one]
        active = [
            one["timestamp"]
            for one in store.messages.read(session_id)
            if "timestamp" in one and one.get("role") != "tool"
        ]
        record = store.sessions.get(session_id)
        assert record.last_message_at == (times[-1] if times else None)
        assert record.last_activity_at == (active[-1] if active else None)


# ── the order ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def mixed(store: Store) -> Store:
    """Sessions whose last activity, last write and creation are in three different orders."""
    for title, active, updated, how in (
        ("pinned", 10.0, 40.0, {"pinned": True}),
        ("newest", 90.0, 30.0, {}),
        ("by its last write", None, 70.0, {}),
        ("archived", 60.0, 80.0, {"archived": True, "source": "cli"}),
        ("tie one", 50.0, 90.0, {"source": "cli"}),
        ("tie two", 50.0, 10.0, {"profile": "work"}),
        ("oldest", 20.0, 99.0, {"profile": "work"}),
    ):
        made = store.sessions.create(title=title, **how)
        store.messages.append(made.session_id, said(active))
        store.messages.append(made.session_id, said(1000.0, "tool") if active else said(None))
        store.sessions.update(made.session_id, updated_at=updated)
    store.sessions.create(updated_at=55.0, session_id="blank")
    return store


ACTIVITY = ["pinned", "newest", "by its last write", "archived", "tie two", "tie one", "oldest"]
UPDATED = ["pinned", "oldest", "tie one", "archived", "by its last write", "newest", "tie two"]


def test_lists_sort_by_pinned_then_the_chosen_time(mixed: Store) -> None:
    assert titles(mixed.sessions.list(order="activity")) == ACTIVITY
    assert titles(mixed.sessions.list(order="updated")) == titles(mixed.sessions.list()) == UPDATED
    assert [one.title for one in mixed.sessions.iterate(order="activity")] == ACTIVITY
    with_blank = titles(mixed.sessions.list(order="activity", include_empty=True))
    assert with_blank == [*ACTIVITY[:4], "Untitled", *ACTIVITY[4:]]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_pages_by_activity_have_every_session_once(mixed: Store, limit: int) -> None:
    expected = [*ACTIVITY[:4], "Untitled", *ACTIVITY[4:]]
    found: list[str] = []
    after = None
    while True:
        page = mixed.sessions.list(order="activity", include_empty=True, limit=limit, after=after, total=True)
        assert page.total == len(expected)
        found += titles(page)
        after = page.next
        if after is None:
            break
    assert found == expected


def filtered(store: Store, **how: Any) -> list[str]:
    page = store.sessions.list(order="activity", **how)
    assert store.sessions.count(order="activity", **how) == len(page.items)
    return titles(page)


def test_filters_narrow_the_list_by_activity(mixed: Store) -> None:
    assert filtered(mixed, profile="work") == ["tie two", "oldest"]
    assert filtered(mixed, source="cli") == ["archived", "tie one"]
    assert filtered(mixed, archived=False, pinned=False) == [*ACTIVITY[1:3], *ACTIVITY[4:]]
    # Of the time that the list is sorted by.
    assert filtered(mixed, since=50.0, until=90.0) == ACTIVITY[2:6]
    assert filtered(mixed, since=50.0, profile="default") == ["newest", "by its last write", "archived", "tie one"]
    assert titles(mixed.sessions.list(since=50.0, until=90.0)) == ["archived", "by its last write"]


def test_renames_and_drafts_keep_the_order_by_activity(mixed: Store) -> None:
    session_id = mixed.sessions.list(order="activity", limit=7).items[-1].session_id
    mixed.sessions.update(session_id, title="renamed")
    mixed.documents.put(session_id, {"composer_draft": {"text": "a"}})
    mixed.messages.append(session_id, said(2000.0, "tool"))
    assert titles(mixed.sessions.list(order="activity"))[-1] == "renamed"
    mixed.messages.append(session_id, said(2000.0))
    assert titles(mixed.sessions.list(order="activity"))[:2] == ["pinned", "renamed"]


def test_a_session_without_times_moves_with_every_write(store: Store) -> None:
    first = store.sessions.create(title="first").session_id
    store.sessions.create(title="second")
    assert titles(store.sessions.list(order="activity")) == ["second", "first"]
    store.messages.append(first, "hi")
    assert titles(store.sessions.list(order="activity")) == ["first", "second"]


def test_a_cursor_belongs_to_its_order(mixed: Store) -> None:
    by_activity = mixed.sessions.list(order="activity", limit=2).next
    by_update = mixed.sessions.list(limit=2).next
    with pytest.raises(InvalidCursorError):
        mixed.sessions.list(after=by_activity)
    with pytest.raises(InvalidCursorError):
        mixed.sessions.list(order="activity", after=by_update)


@pytest.mark.parametrize("order", ["created", "", None, "UPDATED", 1, ["updated"]], ids=repr)
def test_another_order_is_refused(sqlite_store: Store, order: Any) -> None:
    sessions = sqlite_store.sessions
    verbs: list[Callable[..., object]] = [
        sessions.list,
        sessions.count,
        lambda order: list(sessions.iterate(order=order)),
    ]
    for verb in verbs:
        with pytest.raises(InvalidInputError, match="order is 'updated' or 'activity'"):
            verb(order=order)


def test_views_transactions_and_snapshots_list_by_activity(mixed: Store) -> None:
    view = mixed.profile("work")
    assert titles(view.sessions.list(order="activity")) == ["tie two", "oldest"]
    with mixed.snapshot() as snapshot:
        assert titles(snapshot.sessions.list(order="activity")) == ACTIVITY
    with mixed.transaction() as tx:
        oldest = tx.sessions.list(order="activity", profile="work").items[-1]
        tx.messages.append(oldest.session_id, said(95.0, "assistant"))
        assert titles(tx.sessions.list(order="activity", profile="work")) == ["oldest", "tie two"]
