"""`SessionStorage` on every backend: dicts in and out, and a token for the version that was read."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    InvalidIdError,
    InvalidInputError,
    SessionDeletedError,
    SessionExistsError,
    SessionNotFoundError,
    StaleSessionError,
    Store,
)
from hermes_store.outcomes import Outcome
from hermes_store.webui import SessionStorage, Token, WebUIModels
from tests.support.state_dir import StateDir
from tests.support.webui.sessions import said

Versions = tuple[dict[str, Any], Token]


@pytest.fixture
def storage(store: Store) -> SessionStorage:
    return SessionStorage(store)


@pytest.fixture
def trip(storage: SessionStorage) -> Versions:
    """A session with two messages, small and large values, as it is loaded."""
    values = {"title": "Trip", "composer_draft": {"text": "t"}, "x_large": "x" * 5000, "tool_calls": [{"name": "ls"}]}
    storage.save("trip", values, said("a", "b"), base=None)
    return storage.load("trip")


def contents(storage: SessionStorage, session_id: str = "trip") -> list[str]:
    values, _ = storage.load(session_id)
    return [message["content"] for message in values["messages"]]


# ── Reading ──


def test_contents_are_those_of_many_sessions(storage: SessionStorage) -> None:
    for name, count in (("a", 3), ("b", 0), ("c", 2)):
        storage.save(name, {}, [{"content": f"{name}{number} \ud83d\x00"} for number in range(count)], base=None)
    found = dict(storage.contents(["c", "nobody", "b", "a"]))
    assert list(found) == ["c", "b", "a"]
    assert found == {name: storage.load(name)[0]["messages"] for name in found}
    assert [len(messages) for _, messages in storage.contents(["a", "b", "c"], first=1)] == [1, 0, 1]


def test_lists_of_the_webui_follow_every_write(store: Store) -> None:
    models = WebUIModels(store)
    with store.transaction() as tx:
        for number in range(600):
            tx.sessions.create(session_id=f"s{number}", title=f"Session {number}")
    assert models.all_sessions() == WebUIModels(store).all_sessions()
    store.sessions.update("s3", title="Rome")
    store.sessions.update("s4", title="half \ud83d", touch=False)
    store.sessions.delete("s5")
    odd = models.Session.load("s6")
    assert odd is not None
    odd.estimated_cost = float("nan")
    odd.compression_anchor_message_key = {"a": ["b"]}
    odd.save()
    assert models.all_sessions() == WebUIModels(store).all_sessions()
    assert {row["title"] for row in models.all_sessions()} >= {"Rome", "half \ufffd"}
    assert len(models.all_sessions()) == 599


def test_a_session_is_loaded_as_it_was_saved(trip: Versions) -> None:
    values, token = trip
    assert (values["session_id"], values["title"], values["messages"]) == ("trip", "Trip", said("a", "b"))
    assert (values["composer_draft"], values["x_large"]) == ({"text": "t"}, "x" * 5000)
    assert (token.session_id, token.revision, token.message_count, token.has_messages) == ("trip", 1, 2, True)


def test_keys_are_in_the_order_of_the_files(trip: Versions) -> None:
    keys = list(trip[0])
    assert keys[:2] == ["session_id", "title"]
    assert keys.index("composer_draft") < keys.index("messages") < keys.index("tool_calls") < keys.index("x_large")


def test_metadata_leaves_out_what_is_long(storage: SessionStorage, trip: Versions) -> None:
    values, token = storage.load_metadata("trip")
    assert trip[0].keys() - values.keys() == {"messages", "tool_calls"}
    assert values["x_large"] == "x" * 5000
    assert (token.message_count, token.has_messages) == (2, False)


def test_any_key_is_a_value(storage: SessionStorage) -> None:
    values = {"save": 1, "__class__": 2, "path": None, "only": [3]}
    storage.save("s", values, base=None)
    loaded, token = storage.load("s")
    assert {key: loaded[key] for key in values} == values
    storage.save("s", {**loaded, "save": 4}, base=token)
    assert storage.load("s")[0] == {**loaded, "save": 4, "updated_at": storage.load("s")[0]["updated_at"]}


def test_revisions_of_many_are_asked_at_once(storage: SessionStorage, trip: Versions) -> None:
    storage.save("other", {}, base=None)
    assert storage.revisions(["trip", "other", "nobody"]) == {"trip": 1, "other": 1}
    assert storage.revision("trip") == trip[1].revision


def test_ids_are_those_of_some_profiles(storage: SessionStorage) -> None:
    for name, profile in (("a", "work"), ("b", "home"), ("c", "work"), ("d", "default")):
        storage.save(name, {"profile": profile}, base=None)
    assert storage.ids() == ["a", "b", "c", "d"]
    assert (storage.ids(profile="work"), storage.ids(profile=["home", "default"])) == (["a", "c"], ["b", "d"])


def test_children_name_their_parent(storage: SessionStorage, trip: Versions) -> None:
    for name in ("one", "two"):
        storage.save(name, {"parent_session_id": "trip"}, base=None)
    storage.delete("one")
    assert (storage.children("trip"), storage.children("two")) == (["two"], [])


# ── Deleting ──


def test_a_deleted_session_is_its_own_answer(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.delete("trip")
    assert not storage.exists("trip")
    assert storage.is_deleted("trip")
    assert storage.revisions(["trip"]) == {}
    message = {"role": "user", "content": "late"}
    calls: list[Callable[[], object]] = [
        lambda: storage.load("trip"),
        lambda: storage.load_metadata("trip"),
        lambda: storage.revision("trip"),
        lambda: storage.save("trip", values, base=token),
        lambda: storage.save("trip", values, base=None),
        lambda: storage.append("trip", [message], base=token),
        lambda: storage.copy_as("trip", "new"),
        lambda: storage.delete("trip"),
    ]
    for call in calls:
        with pytest.raises(SessionDeletedError):
            call()


def test_an_unknown_session_is_not_a_deleted_one(storage: SessionStorage) -> None:
    assert not storage.is_deleted("nobody")
    for call in (storage.load, storage.load_metadata, storage.revision, storage.delete, storage.discard):
        with pytest.raises(SessionNotFoundError):
            call("nobody")


def test_a_discarded_session_is_gone_for_good(storage: SessionStorage, store: Store, trip: Versions) -> None:
    storage.discard("trip")
    assert storage.is_deleted("trip")
    assert store.sessions.list_deleted().items == []
    with pytest.raises(SessionNotFoundError):
        storage.load("trip")


# ── Saving ──


def test_a_save_returns_the_next_token(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    for number in range(3):
        values["title"] = f"Trip {number}"
        values["messages"].append({"role": "user", "content": f"{number}"})
        token, adopted = storage.save("trip", values, base=token)
        values |= adopted.values
        assert token.revision == number + 2 == storage.revision("trip")
        assert list(adopted.values) == ["updated_at"]
        assert not adopted.removed
        assert adopted.messages is None
    assert storage.load("trip")[0] == values


def test_a_token_serves_more_than_one_save(storage: SessionStorage, trip: Versions) -> None:
    """As for two threads that loaded the same version: neither undoes what the other did."""
    values, token = trip
    storage.save("trip", {**values, "title": "Rome", "input_tokens": 5}, base=token)
    _, adopted = storage.save("trip", {**values, "pinned": True, "input_tokens": 7}, base=token)
    assert (adopted.values["title"], adopted.values["input_tokens"]) == ("Rome", 12)
    loaded, _ = storage.load("trip")
    assert (loaded["title"], loaded["pinned"], loaded["input_tokens"]) == ("Rome", True, 12)


def test_a_missing_key_is_removed(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    del values["composer_draft"]
    storage.save("trip", values, base=token)
    assert "composer_draft" not in storage.load("trip")[0]


def test_what_others_removed_is_reported(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.save("trip", {key: value for key, value in values.items() if key != "x_large"}, base=token)
    _, adopted = storage.save("trip", {**values, "title": "Rome"}, base=token)
    assert adopted.removed == {"x_large"}


def test_messages_of_others_are_adopted(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    own = {"role": "user", "content": "own"}
    storage.append("trip", [{"role": "user", "content": "of others"}], base=token)
    token, adopted = storage.save("trip", values, [*values["messages"], own], base=token)
    assert contents(storage) == ["a", "b", "of others", "own"]
    assert adopted.messages is not None
    assert adopted.messages[0] is values["messages"][0]
    assert adopted.messages[3] is own
    storage.save("trip", {**values, **adopted.values}, adopted.messages[:1], base=token)
    assert contents(storage) == ["a"]


def test_only_a_message_changed_by_both_conflicts(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    edited = [[{"role": "user", "content": "a"}, {"role": "assistant", "content": name}] for name in ("one", "two")]
    storage.save("trip", values, edited[0], base=token)
    with pytest.raises(StaleSessionError) as raised:
        storage.save("trip", {**values, "title": "Rome"}, [*edited[1], {"role": "user", "content": "new"}], base=token)
    assert raised.value.positions == (1,)
    assert contents(storage) == ["a", "one", "new"]
    assert storage.load("trip")[0]["title"] == "Rome"


def test_a_new_session_need_not_have_all_keys(storage: SessionStorage, caplog: pytest.LogCaptureFixture) -> None:
    token, _ = storage.save("new", {"title": "New"}, base=None)
    _, other = storage.load_metadata("new")
    storage.save("new", {"pinned": True, "personality": "terse"}, base=other, only={"pinned", "personality"})
    _, adopted = storage.save("new", {"title": "New", "model": "m", "tool_calls": [1]}, base=token)
    loaded, _ = storage.load("new")
    assert (loaded["model"], loaded["tool_calls"]) == ("m", [1])
    assert (loaded["pinned"], loaded["personality"]) == (True, "terse")
    assert adopted.values.keys() == {"created_at", "pinned", "personality", "updated_at"}
    assert not caplog.records


def test_a_new_session_is_not_saved_over_another(storage: SessionStorage, trip: Versions) -> None:
    values, _ = trip
    with pytest.raises(SessionExistsError):
        storage.save("trip", {"title": "Another"}, base=None)
    storage.save("trip", values, base=None, touch=False)  # the same once more, as after a lost connection
    assert storage.revision("trip") == 1


def test_messages_stay_where_none_are_passed(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    del values["messages"]
    storage.append("trip", said("c"), base=token)
    token, _ = storage.save("trip", {**values, "title": "Rome"}, base=token)
    assert contents(storage) == ["a", "b", "c"]
    storage.save("trip", values, [*said("a", "b"), {"role": "user", "content": "d"}], base=token)
    assert contents(storage) == ["a", "b", "c", "d"]


def test_a_save_without_touch_keeps_the_time(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    _, adopted = storage.save("trip", {**values, "title": "Rome"}, base=token, touch=False)
    assert adopted.values == {}
    assert storage.load("trip")[0]["updated_at"] == values["updated_at"]


# ── Saving a part ──


def test_only_the_named_keys_are_written(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    changed = {**values, "title": "Rome", "pinned": True, "composer_draft": {}, "messages": []}
    token, _ = storage.save("trip", changed, base=token, only={"composer_draft"}, touch=False)
    assert storage.load("trip")[0] == {**values, "composer_draft": {}}
    storage.save("trip", changed, base=token, only=["pinned", "title"], touch=False)
    assert storage.load("trip")[0] == {**values, "composer_draft": {}, "title": "Rome", "pinned": True}


def test_a_named_key_without_a_value_is_removed(storage: SessionStorage, trip: Versions) -> None:
    storage.save("trip", {}, base=trip[1], only={"x_large"}, touch=False)
    assert storage.load("trip")[0].keys() == trip[0].keys() - {"x_large"}


def test_only_some_keys_and_the_messages(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.save("trip", {"title": "Rome"}, said("a", "b", "c"), base=token, only={"title"})
    assert contents(storage) == ["a", "b", "c"]
    assert storage.load("trip")[0]["x_large"] == values["x_large"]


def test_a_partial_save_sees_the_change_of_others(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.save("trip", {**values, "input_tokens": 10, "pinned": True}, base=token)
    later, adopted = storage.save("trip", {"input_tokens": 1}, base=token, only={"input_tokens"})
    assert adopted.values["input_tokens"] == 11
    assert "pinned" not in adopted.values
    # What it did not compare is compared by the next save.
    _, adopted = storage.save("trip", {**values, "input_tokens": 11, "title": "Rome"}, base=later)
    assert adopted.values["pinned"] is True
    loaded, _ = storage.load("trip")
    assert (loaded["input_tokens"], loaded["pinned"], loaded["title"]) == (11, True, "Rome")


def test_an_ended_stream_clears_no_others_question(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    begun = {"active_stream_id": "one", "pending_user_message": "first"}
    token, _ = storage.save("trip", {**values, **begun}, base=token)
    begun = {"active_stream_id": "two", "pending_user_message": "second"}
    storage.save("trip", {**values, **begun}, base=token)
    storage.save("trip", {"pending_user_message": None}, base=token, only={"pending_user_message"})
    loaded, _ = storage.load("trip")
    assert (loaded["active_stream_id"], loaded["pending_user_message"]) == ("two", "second")


def test_metadata_is_saved_without_what_was_not_read(storage: SessionStorage, trip: Versions) -> None:
    values, token = storage.load_metadata("trip")
    token, _ = storage.save("trip", {**values, "title": "Rome"}, base=token)
    loaded, _ = storage.load("trip")
    assert (loaded["title"], loaded["tool_calls"], loaded["messages"]) == (
        "Rome",
        trip[0]["tool_calls"],
        said("a", "b"),
    )
    for call in (
        lambda: storage.save("trip", values, [], base=token),
        lambda: storage.save("trip", {**values, "tool_calls": []}, base=token),
        lambda: storage.save("trip", {}, base=token, only={"context_messages"}),
    ):
        with pytest.raises(InvalidInputError, match="only the metadata was read"):
            call()


def test_a_save_adopts_a_new_key_of_others(storage: SessionStorage, trip: Versions) -> None:
    values, token = storage.load_metadata("trip")
    storage.save("trip", {"y": "of others"}, base=token, only={"y"})
    _, adopted = storage.save("trip", {**values, "z": 1}, base=token)
    assert adopted.values["y"] == "of others"
    stored, _ = storage.load("trip")
    assert (stored["y"], stored["z"]) == ("of others", 1)


# ── Appending ──


def test_an_append_lands_whatever_others_wrote(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.save("trip", {**values, "title": "Rome"}, said("a"), base=token)
    token, adopted = storage.append("trip", said("c"), base=token)
    assert contents(storage) == ["a", "c"]
    assert adopted.messages is not None
    assert [message["content"] for message in adopted.messages] == ["a", "c"]
    _, adopted = storage.save("trip", {**values, **adopted.values, "pinned": True}, adopted.messages[1:], base=token)
    assert contents(storage) == ["c"]
    assert adopted.values["title"] == "Rome"


def test_appends_one_after_the_other(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    for name in "cde":
        token, adopted = storage.append("trip", said(name), base=token)
        assert adopted.messages is None
        values["messages"] += said(name)
        values |= adopted.values
    token, adopted = storage.save("trip", values, base=token, touch=False)
    assert token.revision == 4  # nothing was left to write
    assert contents(storage) == list("abcde")


def test_an_append_needs_no_messages_of_the_session(storage: SessionStorage, trip: Versions) -> None:
    _, token = storage.load_metadata("trip")
    token, adopted = storage.append("trip", said("c"), base=token, touch=False)
    assert (token.message_count, token.has_messages, adopted.values) == (3, False, {})
    assert contents(storage) == ["a", "b", "c"]
    assert storage.append("trip", [], base=token)[0] is token


# ── Ids ──


def test_a_copy_has_everything_under_another_id(storage: SessionStorage, trip: Versions) -> None:
    values, _ = trip
    metadata, token = storage.copy_as("trip", "snapshot")
    loaded, _ = storage.load("snapshot")
    assert loaded == {**values, "session_id": "snapshot"}
    assert (metadata["session_id"], token.session_id, token.revision) == ("snapshot", "snapshot", 1)
    storage.save("snapshot", {"title": "Rome"}, base=token, only={"title"})
    assert storage.load("trip")[0] == values
    for taken in ("trip", "snapshot"):
        with pytest.raises(SessionExistsError):
            storage.copy_as("trip", taken)


def test_a_fork_begins_with_the_first_messages(storage: SessionStorage, trip: Versions) -> None:
    metadata, token = storage.fork("trip", at=1, new_id="fork")
    assert (metadata["parent_session_id"], metadata["session_source"], token.message_count) == ("trip", "fork", 1)
    assert contents(storage, "fork") == ["a"]
    assert storage.children("trip") == ["fork"]
    storage.append("fork", said("on its own"), base=token)
    assert storage.load("trip")[0] == trip[0]


def test_values_of_another_id_are_refused(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.save("other", {}, base=None)
    for session_id, given in (("other", values), ("other", {"title": "Rome"}), ("trip", {"session_id": "other"})):
        with pytest.raises(InvalidInputError, match="copy_as"):
            storage.save(session_id, given, base=token)
    with pytest.raises(InvalidInputError, match="copy_as"):
        storage.append("other", [1], base=token)


def test_tokens_outlive_a_rename(storage: SessionStorage, trip: Versions) -> None:
    values, token = trip
    storage.rename_id("trip", "journey")
    token, adopted = storage.save("trip", {**values, "title": "Rome"}, base=token)
    assert (token.session_id, adopted.session_id) == ("journey", "journey")
    token, _ = storage.append("journey", [1], base=token)
    loaded, _ = storage.load("journey")
    assert (loaded["title"], len(loaded["messages"])) == ("Rome", 3)
    with pytest.raises(SessionNotFoundError, match="journey"):
        storage.load("trip")


def test_a_token_of_another_store_is_refused(storage: SessionStorage, trip: Versions) -> None:
    with Store.open(":memory:") as store:
        other = SessionStorage(store)
        other.save("trip", {}, base=None)
        for call in (
            lambda: other.save("trip", trip[0], base=trip[1]),
            lambda: other.append("trip", [1], base=trip[1]),
        ):
            with pytest.raises(InvalidInputError, match="another database"):
                call()


# ── Files ──


def test_a_folder_is_imported_once(storage: SessionStorage, tmp_path: Path) -> None:
    StateDir(tmp_path / "state").session("a", "hi")
    report = storage.import_folder(tmp_path / "state" / "sessions")
    assert report.counts[Outcome.IMPORTED] == 1
    assert storage.load("a")[0]["messages"] == ["hi"]
    assert storage.import_folder(tmp_path / "nowhere") is None


# ── Arguments ──


def test_wrong_arguments_are_refused(storage: Any, trip: tuple[Any, Any]) -> None:
    values, token = trip
    wrong: list[Callable[[], object]] = [
        lambda: storage.save("trip", values, base="token"),
        lambda: storage.save("trip", values, base=token, touch=1),
        lambda: storage.save("trip", values, base=token, only="title"),
        lambda: storage.save("trip", values, base=token, only={"messages"}),
        lambda: storage.save("trip", values, base=None, only={"title"}),
        lambda: storage.save("trip", [values], base=token),
        lambda: storage.save("trip", {1: 2}, base=token),
        lambda: storage.save("trip", values, "messages", base=token),
        lambda: storage.append("trip", "message", base=token),
        lambda: storage.append("trip", [1], base=None),
        lambda: storage.revisions("trip"),
        lambda: storage.ids(profile=1),
        lambda: type(storage)("trip"),
    ]
    for call in wrong:
        with pytest.raises(InvalidInputError):
            call()
    for session_id in ("", "a/b", None):
        with pytest.raises(InvalidIdError):
            storage.load(session_id)
    assert storage.revision("trip") == 1


def test_a_token_shows_no_content(trip: tuple[Any, Any]) -> None:
    _, token = trip
    assert repr(token) == "<Token of session 'trip' at revision 1>"
    with pytest.raises(AttributeError):
        token.revision = 2


def test_a_token_is_copied_and_not_pickled(trip: Versions) -> None:
    assert copy.deepcopy({"held": trip[1]})["held"] is trip[1]
    with pytest.raises(InvalidInputError, match="this process"):
        pickle.dumps(trip[1])
