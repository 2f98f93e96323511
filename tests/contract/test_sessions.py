"""Sessions, on every backend: create, get, update, delete, restore, purge, and every refusal of each."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from hermes_store import (
    InvalidIdError,
    InvalidInputError,
    ProjectNotFoundError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    SessionRecord,
    StaleSessionError,
    Store,
)
from tests.support.internals import reading

#: Too large for the row in which a session's small values are.
LARGE = "x" * 5000
BAD_IDS = ["", "../evil", "a b", "a" * 129, "naïve", "half \ud83d", "nul\x00", "line\n", 5, None]

EVERY_FIELD: dict[str, Any] = {
    "title": "Trip",
    "workspace": "~/code",
    "model": "claude",
    "personality": "dry",
    "created_at": 0.0,
    "updated_at": 12.5,
    "pinned": True,
    "archived": True,
    "input_tokens": 2**63 - 1,
    "output_tokens": -(2**63),
    "estimated_cost": 0.125,
    "compression_anchor_visible_idx": 7,
    "compression_anchor_message_key": {"role": "user", "ts": 1, "half": "\ud83d"},
    "active_stream_id": "stream-1",
    "pending_started_at": 3.5,
    "source": "telegram",
    "forked_at": 4,
    "parent_kind": "subagent",
}


@pytest.fixture
def session(store: Store) -> SessionRecord:
    """A session with two messages and a document, last written to long ago."""
    made = store.sessions.create(title="Trip", source="cli")
    store.messages.extend(made.session_id, ["one", "two"])
    store.documents.put(made.session_id, {"draft": "three", "large": LARGE})
    return store.sessions.update(made.session_id, updated_at=1000.0)


def everything(store: Store, session_id: str) -> tuple[SessionRecord, list[Any], dict[str, Any]]:
    """Whatever can be read of a session."""
    messages = store.messages.read(session_id)
    return store.sessions.get(session_id), list(messages), store.documents.read(session_id)


# ── create, get, exists ───────────────────────────────────────────────────────────────────────────


def test_a_created_session_is_found(store: Store) -> None:
    made = store.sessions.create(title="Trip", workspace="~/code", model="claude")
    assert store.sessions.get(made.session_id) == made
    assert store.sessions.exists(made.session_id)


def test_what_is_left_out_has_its_default(store: Store) -> None:
    before = time.time()
    made = store.sessions.create()
    assert before <= made.created_at == made.updated_at <= time.time()
    assert re.fullmatch("[0-9a-f]{12}", made.session_id)
    assert (made.title, made.profile, made.message_count) == ("Untitled", "default", 0)
    assert (made.revision, made.transcript_revision, made.fields_revision) == (1, 1, 1)
    assert (made.input_tokens, made.output_tokens) == (0, 0)
    assert (made.pinned, made.archived, made.recovered) == (False, False, False)
    empty = set(SessionRecord.model_fields) - {
        *("session_id", "created_at", "updated_at", "title", "profile"),
        *("message_count", "user_message_count"),
        *("revision", "transcript_revision", "fields_revision"),
        *("input_tokens", "output_tokens", "pinned", "archived", "recovered"),
    }
    assert {name: getattr(made, name) for name in empty} == dict.fromkeys(empty)


@pytest.mark.parametrize("verb", ["create", "update"])
def test_every_field_comes_back_as_it_was_given(store: Store, verb: str) -> None:
    project = store.projects.create(name="Work", profile="home")
    parent = store.sessions.create(profile="home")
    links: dict[str, Any] = {"profile": "home", "project_id": project.project_id, "parent_id": parent.session_id}
    if verb == "create":
        made = store.sessions.create(**EVERY_FIELD, **links)
    else:
        made = store.sessions.update(store.sessions.create().session_id, **EVERY_FIELD, **links)
    assert made == store.sessions.get(made.session_id)
    wanted = {**EVERY_FIELD, **links}
    got = {name: getattr(made, name) for name in wanted}
    assert got == wanted
    assert {name: type(value) for name, value in got.items()} == {name: type(v) for name, v in wanted.items()}


def test_a_session_may_bring_its_own_id(store: Store) -> None:
    longest = "Az09_-" + "x" * 122
    assert store.sessions.create(session_id=longest).session_id == longest
    with pytest.raises(SessionExistsError) as refused:
        store.sessions.create(session_id=longest, title="Another")
    assert refused.value.session_id == longest
    assert store.sessions.get(longest).title == "Untitled"


def test_ids_differ_by_case(store: Store) -> None:
    store.sessions.create(session_id="Trip", title="Upper")
    store.sessions.create(session_id="trip", title="lower")
    assert (store.sessions.get("Trip").title, store.sessions.get("trip").title) == ("Upper", "lower")


@pytest.mark.parametrize(
    "verb", ["create", "get", "exists", "update", "delete", "restore", "purge", "change_id", "change_id to", "parent"]
)
def test_invalid_session_ids_are_refused_by_every_verb(store: Store, verb: str) -> None:
    made = store.sessions.create().session_id
    calls = {
        "create": lambda bad: store.sessions.create(session_id=bad),
        "update": lambda bad: store.sessions.update(bad, title="x"),
        "change_id": lambda bad: store.sessions.change_id(bad, "fresh"),
        "change_id to": lambda bad: store.sessions.change_id(made, bad),
        "parent": lambda bad: store.sessions.create(parent_id=bad),
    }
    optional = verb in ("create", "parent")
    for bad in BAD_IDS:
        if optional and bad is None:
            continue
        wrong_type = verb == "parent" and not isinstance(bad, str)
        with pytest.raises(InvalidInputError if wrong_type else InvalidIdError):
            calls.get(verb, getattr(store.sessions, verb, None))(bad)
    assert store.sessions.count(include_empty=True) == 1


@pytest.mark.parametrize("verb", ["get", "update", "delete", "restore", "purge", "change_id"])
def test_no_verb_finds_an_unknown_session(store: Store, verb: str) -> None:
    arguments = {"update": {"title": "x"}, "change_id": {"new_id": "fresh"}}.get(verb, {})
    with pytest.raises(SessionNotFoundError) as refused:
        getattr(store.sessions, verb)("nobody", **arguments)
    assert refused.value.session_id == "nobody"
    assert not store.sessions.exists("nobody")
    assert store.sessions.count(include_empty=True) == 0


# ── update ────────────────────────────────────────────────────────────────────────────────────────


def test_an_update_changes_only_the_named_fields(store: Store, session: SessionRecord) -> None:
    before = time.time()
    changed = store.sessions.update(session.session_id, title="Rome")
    assert changed.updated_at >= before
    revision = session.revision + 1
    new = {"title": "Rome", "updated_at": changed.updated_at, "revision": revision, "fields_revision": revision}
    expected = session.model_copy(update=new)
    assert everything(store, session.session_id) == (expected, ["one", "two"], {"draft": "three", "large": LARGE})


BAD_FIELDS: list[dict[str, Any]] = [
    {"title": None},
    {"title": 5},
    {"title": "x" * 501},
    {"workspace": "x" * 4097},
    {"model": b"claude"},
    {"profile": ""},
    {"profile": "x" * 256},
    {"profile": None},
    {"pinned": 1},
    {"archived": None},
    {"input_tokens": 2**63},
    {"output_tokens": 1.5},
    {"input_tokens": True},
    {"created_at": float("nan")},
    {"updated_at": float("inf")},
    {"created_at": 10**400},
    {"created_at": "yesterday"},
    {"estimated_cost": float("-inf")},
    {"compression_anchor_message_key": {1, 2}},
    {"compression_anchor_message_key": {"a": b"bytes"}},
    {"forked_at": "4"},
    {"parent_kind": "cousin"},
    {"message_count": 5},
    {"revision": 9},
    {"deleted_at": 1.0},
    {"messages": []},
    {"colour": "red"},
]


def test_value_that_does_not_fit_names_its_field(store: Store, session: SessionRecord) -> None:
    for bad in BAD_FIELDS:
        with pytest.raises(InvalidInputError, match=r"Nothing was written\.") as refused:
            store.sessions.update(session.session_id, personality="lost", **bad)
        (name,) = bad
        assert name in str(refused.value) or name == "profile"
        with pytest.raises(InvalidInputError, match=r"Nothing was written\."):
            store.sessions.create(session_id="fresh", **bad)
    assert everything(store, session.session_id) == (session, ["one", "two"], {"draft": "three", "large": LARGE})
    assert not store.sessions.exists("fresh")


def test_an_update_of_nothing_is_refused(store: Store, session: SessionRecord) -> None:
    with pytest.raises(InvalidInputError):
        store.sessions.update(session.session_id)
    assert store.sessions.get(session.session_id) == session


def test_an_update_of_another_revision_is_stale(store: Store, session: SessionRecord) -> None:
    store.sessions.update(session.session_id, model="claude")
    with pytest.raises(StaleSessionError) as refused:
        store.sessions.update(session.session_id, title="Rome", expected_revision=session.revision)
    assert (refused.value.expected_revision, refused.value.actual_revision) == (session.revision, session.revision + 1)
    assert store.sessions.get(session.session_id).title == "Trip"
    assert store.sessions.update(
        session.session_id, title="Rome", expected_revision=refused.value.actual_revision
    ).title == ("Rome")


def test_a_link_to_another_profile_is_not_found(store: Store, session: SessionRecord) -> None:
    project = store.projects.create(name="Home", profile="home").project_id
    other = store.sessions.create(profile="home").session_id
    for missing in (project, "nobody"):
        with pytest.raises(ProjectNotFoundError):
            store.sessions.update(session.session_id, project_id=missing)
        with pytest.raises(ProjectNotFoundError):
            store.sessions.create(session_id="fresh", project_id=missing)
    for missing in (other, "nobody"):
        with pytest.raises(SessionNotFoundError):
            store.sessions.update(session.session_id, parent_id=missing)
        with pytest.raises(SessionNotFoundError):
            store.sessions.create(session_id="fresh", parent_id=missing)
    assert store.sessions.get(session.session_id) == session
    assert not store.sessions.exists("fresh")


def test_nobody_becomes_his_own_ancestor(store: Store) -> None:
    first = store.sessions.create().session_id
    second = store.sessions.create(parent_id=first).session_id
    third = store.sessions.create(parent_id=second).session_id
    for parent in (first, second, third):
        with pytest.raises(InvalidInputError, match="cannot be its parent"):
            store.sessions.update(first, parent_id=parent)
    assert store.sessions.get(first).parent_id is None
    assert store.sessions.update(third, parent_id=first).parent_id == first


def test_moving_to_another_profile_removes_old_links(store: Store) -> None:
    project = store.projects.create(name="Work").project_id
    parent = store.sessions.create().session_id
    moving = store.sessions.create(project_id=project, parent_id=parent).session_id
    child = store.sessions.create(parent_id=moving).session_id
    moved = store.sessions.update(moving, profile="home")
    assert (moved.profile, moved.project_id, moved.parent_id) == ("home", None, None)
    assert store.sessions.get(child).parent_id is None
    there = store.projects.create(name="There", profile="away").project_id
    moved = store.sessions.update(moving, profile="away", project_id=there)
    assert (moved.profile, moved.project_id) == ("away", there)


# ── delete, restore, purge ────────────────────────────────────────────────────────────────────────


def test_a_deleted_session_is_only_in_list_deleted(store: Store, session: SessionRecord) -> None:
    record = store.sessions.delete(session.session_id)
    assert not store.sessions.exists(session.session_id)
    assert store.sessions.list(include_empty=True).items == []
    assert store.sessions.count(include_empty=True) == 0
    (deleted,) = store.sessions.list_deleted().items
    assert record == deleted
    assert deleted.session_id == session.session_id
    assert deleted.updated_at == session.updated_at


def test_a_restored_session_is_as_it_was(store: Store, session: SessionRecord) -> None:
    store.sessions.delete(session.session_id)
    restored = store.sessions.restore(session.session_id)
    revisions = {"revision": restored.revision, "fields_revision": restored.revision}
    assert restored == session.model_copy(update=revisions)
    assert restored.revision > session.revision
    assert everything(store, session.session_id) == (restored, ["one", "two"], {"draft": "three", "large": LARGE})
    assert store.sessions.list_deleted().items == []
    assert store.sessions.restore(session.session_id) == restored  # again: it stays as it is


def test_deleting_twice_is_refused(store: Store, session: SessionRecord) -> None:
    store.sessions.delete(session.session_id)
    with pytest.raises(SessionDeletedError):
        store.sessions.delete(session.session_id)


@pytest.mark.parametrize("deleted", [False, True])
def test_a_purged_session_is_gone_for_good(store: Store, session: SessionRecord, deleted: bool) -> None:
    child = store.sessions.create(parent_id=session.session_id).session_id
    if deleted:
        store.sessions.delete(session.session_id)
    result = store.sessions.purge(session.session_id)
    assert (result.session_ids, result.messages) == ([session.session_id], 2)
    assert result.erased == (store.info().dialect == "sqlite")
    for verb in (store.sessions.get, store.sessions.restore, store.sessions.purge, store.messages.read):
        with pytest.raises(SessionNotFoundError):
            verb(session.session_id)
    assert store.sessions.list_deleted().items == []
    assert store.sessions.get(child).parent_id is None
    with pytest.raises(SessionDeletedError, match="purged"):
        store.sessions.create(session_id=session.session_id)


def test_purging_takes_the_messages_and_documents_along(store: Store, session: SessionRecord) -> None:
    store.sessions.purge(session.session_id)
    with reading(store) as connection:
        for table in ("sessions", "messages", "message_blobs", "session_documents", "session_extras"):
            assert connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0, table


def test_deleted_sessions_are_paged_the_last_deleted_first(store: Store) -> None:
    ids = [store.sessions.create(profile=profile).session_id for profile in ("home", "work") * 4]
    for session_id in ids:
        store.sessions.delete(session_id)
    for profile, expected in ((None, ids[::-1]), ("work", ids[1::2][::-1])):
        seen: list[str] = []
        after = None
        while True:
            page = store.sessions.list_deleted(profile=profile, limit=3, after=after)
            assert len(page.items) == 3 or page.next is None
            assert all(item.deleted_at for item in page.items)
            seen += [item.session_id for item in page.items]
            if (after := page.next) is None:
                break
        assert seen == expected


def test_empty_sessions_are_deleted_and_no_other(store: Store) -> None:
    old: dict[str, Any] = {"updated_at": time.time() - 61}
    blank = store.sessions.create(**old).session_id
    elsewhere = store.sessions.create(profile="home", **old).session_id
    titled = store.sessions.create(title="Plan", **old).session_id
    streaming = store.sessions.create(active_stream_id="s", **old).session_id
    fresh = store.sessions.create().session_id
    spoken = store.sessions.create().session_id
    store.messages.append(spoken, "hi")
    store.sessions.update(spoken, **old)
    assert store.sessions.delete_empty(profile="home") == [elsewhere]
    assert store.sessions.delete_empty() == [blank]
    assert store.sessions.delete_empty() == []
    assert store.sessions.delete_empty(untitled_only=False) == sorted([titled, streaming])
    assert store.sessions.delete_empty(older_than=0) == [fresh]
    assert [s.session_id for s in store.sessions.iterate(include_empty=True)] == [spoken]
    assert store.sessions.restore(blank).title == "Untitled"


# ── change_id ─────────────────────────────────────────────────────────────────────────────────────


def test_everything_follows_a_session_to_its_new_id(store: Store, session: SessionRecord) -> None:
    child = store.sessions.create(parent_id=session.session_id).session_id
    renamed = store.sessions.change_id(session.session_id, "rotated")
    assert renamed.session_id == "rotated"
    assert everything(store, "rotated") == (renamed, ["one", "two"], {"draft": "three", "large": LARGE})
    assert store.sessions.get(child).parent_id == "rotated"
    with pytest.raises(SessionNotFoundError, match="now called 'rotated'"):
        store.sessions.get(session.session_id)


def test_a_former_id_never_means_another_session(store: Store, session: SessionRecord) -> None:
    old = session.session_id
    store.sessions.change_id(old, "second")
    other = store.sessions.create().session_id
    for call in (lambda: store.sessions.create(session_id=old), lambda: store.sessions.change_id(other, old)):
        with pytest.raises(SessionExistsError, match="former id"):
            call()
    assert store.sessions.change_id("second", old).session_id == old  # its own it may have again
    with pytest.raises(SessionNotFoundError, match=f"now called '{old}'"):
        store.sessions.get("second")
    store.sessions.purge(old)
    for gone in (old, "second"):
        with pytest.raises(SessionDeletedError, match="purged"):
            store.sessions.create(session_id=gone)


def test_changing_to_a_taken_id_is_refused(store: Store, session: SessionRecord) -> None:
    taken, deleted = store.sessions.create().session_id, store.sessions.create().session_id
    store.sessions.delete(deleted)
    for new_id, error in ((taken, SessionExistsError), (deleted, SessionDeletedError)):
        with pytest.raises(error):
            store.sessions.change_id(session.session_id, new_id)
    assert store.sessions.get(session.session_id) == session
    with pytest.raises(SessionDeletedError):
        store.sessions.change_id(deleted, "fresh")
