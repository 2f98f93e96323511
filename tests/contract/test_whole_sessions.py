"""A session as one JSON object, on every backend: what went in comes out, in hermes-webui's order."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import (
    DatabaseCorruptError,
    HermesStoreError,
    InvalidIdError,
    InvalidInputError,
    InvalidPayloadError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    Store,
)
from hermes_store.files import export_directory, import_directory
from hermes_store.transcripts import json_codec
from hermes_store.webui import SessionStorage
from hermes_store.webui_format.key_order import in_order
from hermes_store.webui_format.session_json import SESSION_KEYS, SOURCE_KEYS
from tests.support.hostile_values import HOSTILE
from tests.support.internals import writing
from tests.support.json_values import json_values, same_json
from tests.support.state_dir import NEW, OLD, SPEC, StateDir
from tests.support.statements import before_statement
from tests.support.tables import all_rows

ID = "5bec00000001"
#: Values that no column holds, and keys that nobody knows.
ODD: dict[str, Any] = {
    **NEW,
    "session_id": "0dd000000001",
    "title": None,
    "workspace": ["/srv"],
    "profile": None,
    "project_id": 5,
    "parent_session_id": None,
    "created_at": "2026-05-01T12:00:00",
    "updated_at": 1778459001500,
    "pinned": 1,
    "input_tokens": 10**30,
    "estimated_cost": float("inf"),
    "compression_anchor_visible_idx": -0.0,
    "half \ud83d": "nul\x00",
    "message_count": 3,
    "user_message_count": 0,
    "messages": [None, "text", {"role": ["list"], "timestamp": "never", "half": "\ud83d"}],
    "large": "x" * 5000,
}


@pytest.mark.parametrize("values", [SPEC, OLD, NEW, ODD], ids=["2026-04", "first", "newer", "odd"])
def test_what_went_in_comes_out(store: Store, values: dict[str, Any]) -> None:
    before = json.dumps(values)
    made = store.sessions.create_from_json(values)
    found = store.sessions.as_json(made.session_id)
    # What it did not have is what hermes-webui writes for a session that has nothing there.
    defaults = {**SESSION_KEYS, "profile": "default"}
    assert same_json(found, {**{key: defaults[key] for key in found if key not in values}, **values})
    assert list(found) == list(in_order(found))
    assert (json.dumps(values), store.sessions.get(made.session_id)) == (before, made)


@settings(max_examples=25)
@given(
    values=st.dictionaries(st.text(max_size=10), json_values, max_size=4), messages=st.lists(json_values, max_size=3)
)
def test_any_json_values_come_out(sqlite_store: Store, values: dict[str, Any], messages: list[Any]) -> None:
    count = sqlite_store.sessions.count(include_empty=True)
    given_values = {**values, "session_id": f"s{count}", "messages": messages}
    given_values.pop("message_count", None)
    sqlite_store.sessions.create_from_json(given_values)
    found = sqlite_store.sessions.as_json(f"s{count}")
    assert same_json({key: found[key] for key in given_values}, given_values)


def test_exports_and_imports_use_the_same_json(store: Store, tmp_path: Path) -> None:
    for values in (SPEC, OLD, NEW, ODD):
        store.sessions.create_from_json(values)
    export_directory(store, tmp_path / "export")
    found = {one.session_id: store.sessions.as_json(one.session_id) for one in store.sessions.iterate()}
    for session_id, values in found.items():
        text = (tmp_path / "export" / "sessions" / f"{session_id}.json").read_text()
        assert json.dumps(json.loads(text)) == json.dumps(values)
    with Store.open(":memory:") as other:
        import_directory(other, tmp_path / "export")
        for session_id, values in found.items():
            profile = values["profile"] or "default"
            assert same_json(other.sessions.as_json(session_id), {**values, "profile": profile})


def test_later_writes_are_in_it(store: Store) -> None:
    made = store.sessions.create_from_json(ODD)
    store.sessions.update(made.session_id, title="Rome", profile="work")
    store.messages.append(made.session_id, {"role": "user"})
    store.documents.put(made.session_id, {"composer_draft": {"text": "a"}})
    found = store.sessions.as_json(made.session_id)
    assert (found["title"], found["profile"], found["message_count"]) == ("Rome", "work", 4)
    assert (found["messages"][-1], found["composer_draft"]) == ({"role": "user"}, {"text": "a"})


@pytest.mark.parametrize(
    "former", [{}, *({key: "cli"} for key in SOURCE_KEYS), dict.fromkeys(SOURCE_KEYS, "fork")], ids=str
)
@pytest.mark.parametrize("source", ["slack", None])
def test_a_new_source_is_in_the_json(store: Store, former: dict[str, str], source: str | None) -> None:
    session_id = store.sessions.create_from_json({**SPEC, **former}).session_id
    store.sessions.update(session_id, source=source)
    whole = store.sessions.as_json(session_id)
    assert store.sessions.create_from_json({**whole, "session_id": "copy"}).source == source
    assert SessionStorage(store).rows(["source_tag"])[0]["source_tag"] == whole.get("source_tag") == source
    if source is not None:  # the other keys say more than the source
        assert {**former, "source_tag": source}.items() <= whole.items()


def test_documents_hide_neither_the_id_nor_the_messages(store: Store, tmp_path: Path) -> None:
    session_id = store.sessions.create(title="Trip").session_id
    store.messages.append(session_id, "hi")
    written = {"session_id": "another", "messages": ["another"], "message_count": 7, "user_message_count": 7}
    store.documents.put(session_id, written)
    right = {"session_id": session_id, "messages": ["hi"], "message_count": 1, "user_message_count": 0}
    assert right.items() <= store.sessions.as_json(session_id).items()
    export_directory(store, tmp_path)
    exported = json.loads((tmp_path / "sessions" / f"{session_id}.json").read_bytes())
    assert right.items() <= exported.items()


def test_times_and_counts_are_those_of_the_messages(store: Store) -> None:
    messages = [{"role": "user", "timestamp": 5.0}, {"role": "tool", "timestamp": 9.0}]
    made = store.sessions.create_from_json({"session_id": "a", "messages": messages, "source_tag": "cli"})
    assert (made.created_at, made.updated_at, made.last_message_at, made.last_activity_at) == (5.0, 9.0, 9.0, 5.0)
    assert (made.message_count, made.source, made.revision, made.title) == (2, "cli", 1, "Untitled")
    assert store.sessions.list().items == [made]


@pytest.mark.parametrize("messages", [{}, {"messages": None}, {"messages": []}], ids=repr)
def test_a_session_may_have_no_messages(store: Store, messages: dict[str, Any]) -> None:
    store.sessions.create_from_json({"session_id": "a", **messages})
    assert store.sessions.as_json("a")["messages"] == []


def test_ids_that_were_used_are_refused(store: Store) -> None:
    for session_id in ("there", "deleted", "purged", "former"):
        store.sessions.create(session_id=session_id, title="Trip")
    store.sessions.change_id("former", "renamed")
    store.sessions.delete("deleted")
    store.sessions.purge("purged")
    before = all_rows(store)
    errors = {"deleted": SessionDeletedError, "purged": SessionDeletedError}
    for session_id in ("there", "deleted", "purged", "former", "renamed"):
        with pytest.raises(errors.get(session_id, SessionExistsError)):
            store.sessions.create_from_json({"session_id": session_id, "messages": ["hi"]})
    for session_id, error in (("deleted", SessionDeletedError), ("nowhere", SessionNotFoundError)):
        with pytest.raises(error):
            store.sessions.as_json(session_id)
    assert all_rows(store) == before


def test_links_are_made_where_their_other_end_is(store: Store) -> None:
    store.projects.create(name="Work", project_id="work")
    store.sessions.create(session_id="parent")
    links = {"project_id": "work", "parent_session_id": "parent"}
    made = store.sessions.create_from_json({"session_id": "a", **links})
    assert (made.project_id, made.parent_id) == ("work", "parent")
    # None of another profile.
    other = store.sessions.create_from_json({"session_id": "b", "profile": "other", **links})
    assert (other.project_id, other.parent_id) == (None, None)
    for session_id in ("a", "b"):
        found = store.sessions.as_json(session_id)
        assert {key: found[key] for key in links} == links


def test_the_next_import_links_a_missing_parent(store: Store, tmp_path: Path) -> None:
    store.sessions.create_from_json({"session_id": "fork", "title": "Fork", "parent_session_id": "origin"})
    state = StateDir(tmp_path / "state")
    state.session("origin", {"role": "user"})
    import_directory(store, state.root)
    assert store.sessions.get("fork").parent_id == "origin"


def test_a_view_has_sessions_of_its_own_profile(store: Store) -> None:
    view = store.profile("work")
    assert view.sessions.create_from_json({"session_id": "a", "profile": None}).profile == "work"
    assert view.sessions.create_from_json({"session_id": "b", "profile": "work"}).profile == "work"
    assert view.sessions.as_json("a")["profile"] == "work"
    with pytest.raises(InvalidInputError, match="view of profile"):
        view.sessions.create_from_json({"session_id": "c", "profile": "default"})
    store.sessions.create(session_id="theirs")
    with pytest.raises(SessionNotFoundError):
        view.sessions.as_json("theirs")
    assert not store.sessions.exists("c")


class RollbackError(Exception):
    """Ends a transaction that is not to be."""


def test_transactions_and_snapshots_have_both(store: Store) -> None:
    with contextlib.suppress(RollbackError), store.transaction() as tx:
        tx.sessions.create_from_json(SPEC)
        tx.messages.append(ID, "more")
        assert tx.sessions.as_json(ID)["messages"][-1] == "more"
        raise RollbackError
    assert not store.sessions.exists(ID)
    store.sessions.create_from_json(SPEC)
    with store.snapshot() as snapshot:
        assert same_json(snapshot.sessions.as_json(ID), SPEC)


def test_a_transaction_returns_one_state_of_a_session(postgres_url: str) -> None:
    with Store.open(postgres_url) as store, Store.open(postgres_url) as other:
        other.sessions.create(session_id="a", title="before")

        def write() -> None:
            other.sessions.update("a", title="after")
            other.messages.append("a", "one")
            other.documents.put("a", {"draft": 1})

        with store.transaction() as tx, before_statement(store, "message_blobs", write):
            found = tx.sessions.as_json("a")
        assert (found["title"], found["messages"], found["draft"]) == ("after", ["one"], 1)


REFUSED: list[tuple[Any, type[HermesStoreError]]] = [
    ({}, InvalidIdError),
    ({"session_id": "a/b"}, InvalidIdError),
    ({"session_id": 5}, InvalidIdError),
    (None, InvalidInputError),
    ([["session_id", "a"]], InvalidInputError),
    ({"session_id": "a", "messages": "text"}, InvalidInputError),
    ({"session_id": "a", "messages": {"role": "user"}}, InvalidInputError),
    ({"session_id": "a", "messages": 5}, InvalidInputError),
    ({"session_id": "a", "x" * 501: 1}, InvalidInputError),
    ({"session_id": "a", "messages": [b""]}, InvalidPayloadError),
    ({"session_id": "a", "title": {1}}, InvalidPayloadError),
    ({"session_id": "a", 5: 1}, InvalidPayloadError),
]


@pytest.mark.parametrize(("values", "error"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_is_no_session_is_refused(sqlite_store: Store, values: Any, error: type[HermesStoreError]) -> None:
    with pytest.raises(error):
        sqlite_store.sessions.create_from_json(values)
    assert sqlite_store.sessions.count(include_empty=True) == 0


@pytest.mark.slow
@pytest.mark.parametrize("key", ["session_id", "title", "profile", "project_id", "updated_at", "messages", "unknown"])
@pytest.mark.parametrize("value_name", HOSTILE)
def test_a_hostile_value_is_refused_or_comes_out(sqlite_store: Store, key: str, value_name: str) -> None:
    make: Callable[[], Any] = HOSTILE[value_name]
    of_the_caller = RuntimeError if key == "messages" else HermesStoreError  # what the caller's generator raises
    try:
        made = sqlite_store.sessions.create_from_json({"session_id": "a", key: make()})
    except (HermesStoreError, of_the_caller):
        assert sqlite_store.sessions.count(include_empty=True) == 0
        return
    found = sqlite_store.sessions.as_json(made.session_id)
    if key not in ("messages", "updated_at"):  # a list may be a generator, and a time no time
        assert json_codec.encode(found[key]) == json_codec.encode(make())


def test_a_damaged_message_is_named(sqlite_store: Store) -> None:
    sqlite_store.sessions.create_from_json(SPEC)
    with writing(sqlite_store) as connection:
        connection.exec_driver_sql("UPDATE message_blobs SET payload = CAST('{' AS BLOB) WHERE message_id = 2")
    with pytest.raises(DatabaseCorruptError, match="Message 1 of session"):
        sqlite_store.sessions.as_json(ID)
