"""Forks and duplicates of sessions, and how sessions are related."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from hermes_store import (
    InvalidInputError,
    RelatedSession,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    SessionRecord,
    Store,
)
from hermes_store.storage import session_rows
from hermes_store.storage.schema import session_table
from hermes_store.validation import TITLE_LIMIT
from hermes_store.webui_format import copied_keys
from tests.support.internals import writing

LONG = "x" * 5_000
MESSAGES: list[Any] = [
    {"role": "user", "content": "hi \ud83d", "timestamp": 5.0},
    {"role": "assistant", "content": LONG, "timestamp": 6.0},
    {"role": "tool", "content": None, "timestamp": 7.0},
    [1, 2**70, float("nan")],
]
KEPT = {"model_provider": "p", "enabled_toolsets": ["terminal"], "x_future": {"nested": [1]}, "large": LONG}
#: What hermes-webui's branches do not keep, and its duplicates do.
SPENT = {"tool_calls": [LONG], "composer_draft": {"text": "and then"}, "last_usage": {"input_tokens": 5}}
OWN = {"pending_user_message": "now", "worktree_path": "/w", "share_token": "t", "compression_anchor_summary": "s"}
OF_ALL = {"context_messages": [LONG], "context_engine_state": {"s": 2}}


@pytest.fixture
def trip(store: Store) -> SessionRecord:
    """A session with something in every corner."""
    with store.transaction() as tx:
        tx.projects.create(name="Travel", project_id="travel")
        tx.sessions.create(
            session_id="trip",
            title="Trip",
            project_id="travel",
            model="m",
            personality="dry",
            pinned=True,
            archived=True,
            input_tokens=7,
            estimated_cost=0.5,
            active_stream_id="s",
            source="telegram",
            compression_anchor_message_key={"role": "user"},
        )
        tx.messages.extend("trip", MESSAGES)
        tx.documents.put("trip", {**KEPT, **SPENT, **OWN, **OF_ALL, "source_tag": "telegram"})
        return tx.sessions.get("trip")


def equal(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # in which NaN is equal to itself


def test_a_fork_has_the_first_messages(store: Store, trip: SessionRecord) -> None:
    fork = store.sessions.fork("trip", at=2)
    assert equal(store.messages.read(fork.session_id), MESSAGES[:2])
    assert (fork.parent_id, fork.parent_kind, fork.forked_at) == ("trip", "fork", 2)
    assert (fork.message_count, fork.last_message_at, fork.last_activity_at) == (2, 6.0, 6.0)
    assert (fork.title, fork.project_id, fork.model, fork.personality) == ("Trip (fork)", "travel", "m", "dry")
    assert (fork.pinned, fork.archived, fork.active_stream_id, fork.compression_anchor_message_key) == (
        *(False, False),
        *(None, None),
    )
    assert (fork.input_tokens, fork.estimated_cost, fork.source, fork.revision) == (0, None, "fork", 1)
    assert store.documents.read(fork.session_id) == {**KEPT, "session_source": "fork"}
    assert store.sessions.list(order="activity", archived=False).items == [fork]
    assert store.sessions.get("trip") == trip
    assert equal(store.messages.read("trip"), MESSAGES)
    revision = store.messages.append(fork.session_id, "on its own").revision
    store.messages.update(fork.session_id, 0, "changed", expected_revision=revision)
    assert equal(store.messages.read("trip"), MESSAGES)


def test_a_fork_of_everything_keeps_the_context(store: Store, trip: SessionRecord) -> None:
    fork = store.sessions.fork("trip", title="Rome", new_id="rome")
    assert (fork.session_id, fork.title, fork.forked_at) == ("rome", "Rome", 4)
    assert equal(store.messages.read("rome"), MESSAGES)
    assert store.documents.read("rome") == {**KEPT, **OF_ALL, "session_source": "fork"}
    assert (fork.last_message_at, fork.last_activity_at) == (7.0, 6.0)
    nothing = store.sessions.fork("trip", at=0, title="")
    assert (nothing.message_count, nothing.last_message_at, nothing.title) == (0, None, "")
    assert store.messages.read(nothing.session_id) == []


def test_a_duplicate_has_no_link(store: Store, trip: SessionRecord) -> None:
    store.sessions.update("trip", parent_id=store.sessions.create().session_id)
    copy = store.sessions.duplicate("trip")
    assert equal(store.messages.read(copy.session_id), MESSAGES)
    assert store.documents.read(copy.session_id) == {**KEPT, **SPENT, **OF_ALL, "source_tag": "telegram"}
    assert (copy.title, copy.parent_id, copy.parent_kind, copy.forked_at) == ("Trip (copy)", None, None, None)
    assert (copy.input_tokens, copy.estimated_cost, copy.source, copy.pinned) == (7, 0.5, "telegram", False)
    assert store.sessions.children("trip") == []


def test_a_fork_is_refused_with_a_typed_error(store: Store, trip: SessionRecord) -> None:
    store.sessions.create(session_id="taken")
    store.sessions.create(session_id="before")
    store.sessions.change_id("before", "after")
    store.sessions.create(session_id="gone")
    store.sessions.delete("gone")
    store.sessions.create(session_id="purged")
    store.sessions.purge("purged")
    for at in (-1, 5, True, 1.0, "2", 10**5000):
        with pytest.raises(InvalidInputError, match="from 0 to 4"):
            store.sessions.fork("trip", at=at)  # type: ignore[arg-type]
    for new_id in ("taken", "before", "trip"):
        with pytest.raises(SessionExistsError):
            store.sessions.fork("trip", new_id=new_id)
    for new_id in ("gone", "purged"):
        with pytest.raises(SessionDeletedError):
            store.sessions.duplicate("trip", new_id=new_id)
    with pytest.raises(SessionDeletedError):
        store.sessions.fork("gone")
    for session_id in ("nobody", "purged", "before"):
        with pytest.raises(SessionNotFoundError):
            store.sessions.fork(session_id)
    with pytest.raises(InvalidInputError, match="title"):
        store.sessions.fork("trip", title="x" * (TITLE_LIMIT + 1))
    assert store.sessions.children("trip") == []


def test_the_title_of_a_fork_fits(store: Store) -> None:
    store.sessions.create(session_id="long", title="x" * TITLE_LIMIT)
    assert len(store.sessions.fork("long").title) == TITLE_LIMIT


def test_a_fork_of_a_blank_session_is_blank(store: Store, session_id: str) -> None:
    store.documents.put(session_id, {"composer_draft": {"text": "a"}})
    fork = store.sessions.fork(session_id, title="Untitled")
    store.sessions.update(fork.session_id, updated_at=1000.0)
    assert fork.session_id in store.sessions.delete_empty()
    copy = store.sessions.duplicate(session_id, title="Untitled")
    store.sessions.update(copy.session_id, updated_at=1000.0)
    assert store.sessions.delete_empty() == []


def test_each_column_of_a_copy_has_a_rule() -> None:
    columns = {column.key for column in session_table.columns}
    of_messages = {"message_count", "user_message_count", "last_message_at", "last_activity_at", "activity_at"}
    same = {"profile", "project_id", "workspace", "model", "personality"}
    new = {"title", "created_at", "updated_at", "has_draft", "parent_id", "parent_kind", "forked_at"}
    assert set(copied_keys.FORK_COLUMNS) | of_messages | same | new == session_rows.COPIED
    assert columns - session_rows.COPIED == {
        *("id", "session_id", "revision", "transcript_revision", "fields_revision", "deleted_at"),
        "change_number",
    }


def test_a_link_has_a_kind(store: Store, session_id: str) -> None:
    assert store.sessions.get(session_id).parent_kind is None
    child = store.sessions.create(parent_id=session_id)
    assert child.parent_kind == "fork"
    worker = store.sessions.create(parent_id=session_id, parent_kind="subagent")
    assert worker.parent_kind == "subagent"
    assert store.sessions.update(child.session_id, parent_id=None).parent_kind is None
    moved = store.sessions.update(worker.session_id, profile="work")
    assert (moved.parent_id, moved.parent_kind) == (None, None)
    last = store.sessions.create(parent_id=session_id, parent_kind="compression", forked_at=3)
    store.sessions.purge(session_id)
    last = store.sessions.get(last.session_id)
    assert (last.parent_id, last.parent_kind, last.forked_at) == (None, "compression", 3)


def test_a_session_json_tells_the_kind(store: Store) -> None:
    def kind(**values: Any) -> str | None:
        name = f"c{store.sessions.count(include_empty=True)}"
        return store.sessions.create_from_json({"session_id": name, **values}).parent_kind

    store.sessions.create(session_id="p")
    store.sessions.create_from_json({"session_id": "snapshot", "pre_compression_snapshot": True})
    assert kind(parent_session_id="p") == "import"
    assert kind(parent_session_id="snapshot") == "compression"
    assert kind(parent_session_id="snapshot", session_source="fork") == "fork"
    assert kind(parent_session_id="p", source_tag="subagent") == "subagent"
    assert kind(parent_session_id="nobody") is None
    assert kind() is None


def place(one: RelatedSession) -> tuple[str, int]:
    return one.session_id, one.distance


def test_the_lineage_is_a_line_and_a_tree(store: Store, session_id: str) -> None:
    store.messages.extend(session_id, ["a", "b", "c"])
    for parent, name, at in [
        (session_id, "a", 1),
        ("a", "a1", 0),
        (session_id, "b", 2),
        ("a", "a2", 1),
        ("a1", "deep", None),
    ]:
        store.sessions.fork(parent, at=at, new_id=name)
    store.sessions.delete("a1")
    found = store.sessions.lineage(session_id)
    assert [place(one) for one in found.descendants] == [("a", 1), ("a1", 2), ("deep", 3), ("a2", 2), ("b", 1)]
    assert [(one.parent_id, one.forked_at, one.kind) for one in found.descendants[-2:]] == [
        ("a", 1, "fork"),
        (session_id, 2, "fork"),
    ]
    assert found.ancestors == []
    deep = store.sessions.lineage("deep")
    assert [place(one) for one in deep.ancestors] == [("a1", 1), ("a", 2), (session_id, 3)]
    assert [one.deleted_at is None for one in deep.ancestors] == [False, True, True]
    assert deep.descendants == []
    assert [one.session_id for one in store.sessions.children("a")] == ["a2"]
    assert [one.session_id for one in store.sessions.children(session_id)] == ["a", "b"]
    with pytest.raises(SessionDeletedError):
        store.sessions.lineage("a1")


def test_a_chain_of_any_depth_is_followed(store: Store) -> None:
    depth = 2_000  # deeper than the stack
    store.sessions.create(session_id="s0")
    with writing(store) as connection:
        add_chain(connection, depth)
    assert [one.distance for one in store.sessions.lineage("s0").descendants] == [*range(1, depth)]
    middle = store.sessions.lineage(f"s{depth // 2}")
    assert (len(middle.ancestors), len(middle.descendants)) == (depth // 2, depth // 2 - 1)
    assert middle.ancestors[-1].session_id == "s0"


def add_chain(connection: Any, depth: int) -> None:
    """Add sessions to "s0", each the child of the one before."""
    [first] = connection.execute(text("SELECT id FROM sessions")).scalars()
    names = [{"name": f"s{n}", "id": first + n, "parent": first + n - 1} for n in range(1, depth)]
    insert = (
        "INSERT INTO sessions (id, session_id, created_at, updated_at, parent_id) VALUES (:id, :name, 0, 0, :parent)"
    )
    connection.execute(text(insert), names)


def test_a_ring_of_links_ends(store: Store) -> None:
    with store.transaction() as tx:
        for name, parent in [("a", None), ("b", "a"), ("c", "b"), ("side", "b"), ("self", None)]:
            tx.sessions.create(session_id=name, parent_id=parent)
    with writing(store) as connection:
        for name, parent in [("a", "c"), ("self", "self")]:
            link = "UPDATE sessions SET parent_id = (SELECT p.id FROM sessions AS p WHERE p.session_id = :p)"
            connection.execute(text(f"{link} WHERE session_id = :s"), {"s": name, "p": parent})
    assert [one.session_id for one in store.sessions.lineage("a").ancestors] == ["c", "b"]
    assert [place(one) for one in store.sessions.lineage("a").descendants] == [("b", 1), ("c", 2), ("side", 2)]
    assert store.sessions.lineage("self").ancestors == store.sessions.lineage("self").descendants == []
    assert store.sessions.fork("a").parent_id == "a"


def test_links_of_other_profiles_are_not_followed(store: Store) -> None:
    store.sessions.create(session_id="mine", profile="work")
    store.sessions.create(session_id="theirs")
    with writing(store) as connection:
        connection.execute(text("UPDATE sessions SET parent_id = (SELECT id FROM sessions WHERE session_id = 'mine')"))
        connection.execute(text("UPDATE sessions SET parent_id = NULL WHERE session_id = 'mine'"))
    assert store.sessions.lineage("mine").descendants == []
    assert store.sessions.children("mine") == []
    assert store.sessions.lineage("theirs").ancestors == []
