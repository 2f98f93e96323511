"""`get_session` and `new_session`: one live object for everybody, as long as the store has nothing newer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import SessionDeletedError, StaleSessionError, Store
from hermes_store.webui import WebUIModels
from tests.support.internals import path_of, store_of
from tests.support.statements import executed
from tests.support.threads import all_well, in_a_thread, together
from tests.support.webui.sessions import contents, said, stored
from tests.support.webui.standin import WebUI
from tests.support.webui.verbs import elsewhere


@pytest.fixture
def second_store(sqlite_template: Path, tmp_path: Path) -> Iterator[Store]:
    """Another database."""
    with Store.open(shutil.copy(sqlite_template, tmp_path / "second.db"), durability="normal") as store:
        yield store


@pytest.fixture
def trip(models: WebUIModels) -> str:
    """The id of a stored session."""
    return stored(models, "a1b2c3", "hello", "hi", tool_calls=[{"name": "ls"}], x_usage={"in": 1})


# ── One object ──


@pytest.mark.parametrize("metadata_only", [True, False])
def test_everybody_gets_the_same_object(models: WebUIModels, webui: WebUI, trip: str, metadata_only: bool) -> None:
    first = models.get_session(trip, metadata_only=metadata_only)
    assert models.get_session(trip) is models.get_session(trip, metadata_only=True) is first is webui.cache[trip]
    assert [message["content"] for message in first.messages] == ["hello", "hi"]
    assert (first.tool_calls, first.x_usage) == ([{"name": "ls"}], {"in": 1})


@pytest.mark.parametrize("sid", ["nobody", "", None, 5, [], "../evil", "a b", "grüße", "a" * 129, "half \ud83d"])
def test_what_is_no_session_is_a_key_error(models: WebUIModels, webui: WebUI, sid: Any) -> None:
    for metadata_only in (True, False):
        with pytest.raises(KeyError):
            models.get_session(sid, metadata_only=metadata_only)
    assert not webui.cache


def test_metadata_reads_no_message_until_it_is_used(models: WebUIModels, webui: WebUI) -> None:
    large = stored(models, "large", "hello", "hi", tool_calls=[{"name": "ls", "result": "x" * 3000}])

    def touched(work: Callable[[], object]) -> set[str]:
        statements = " ".join(text for text, _ in executed(webui.store, work))
        # Counting the documents that stand in for columns names their table, and reads no body.
        return {
            name for name in ("message_blobs", "session_documents.payload", "messages.digest") if name in statements
        }

    assert touched(lambda: models.get_session(large, metadata_only=True)) == set()
    session = webui.cache[large]
    assert touched(lambda: session.tool_calls) == {"session_documents.payload"}
    assert touched(lambda: session.messages) == {"message_blobs", "messages.digest"}
    assert [message["content"] for message in session.messages] == ["hello", "hi"]


@pytest.mark.parametrize("metadata_only", [True, False])
def test_threads_that_miss_at_once_get_one_object(
    models: WebUIModels, webui: WebUI, trip: str, metadata_only: bool
) -> None:
    def get(number: int) -> Any:
        return models.get_session(trip, metadata_only=metadata_only and number % 2 == 0)

    for _ in range(10):
        webui.cache.clear()
        got = all_well(together(*(lambda number=number: get(number) for number in range(8))))
        assert {id(one) for one in got} == {id(webui.cache[trip])}


def test_threads_that_find_a_stale_object_share_one(models: WebUIModels, webui: WebUI, trip: str) -> None:
    for number in range(5):
        stale = models.get_session(trip)
        webui.store.sessions.update(trip, title=f"Title {number}")
        got = all_well(together(*[lambda: models.get_session(trip)] * 8))
        assert {id(one) for one in got} == {id(webui.cache[trip])}
        assert got[0] is not stale
        assert got[0].title == f"Title {number}"


# ── What others wrote ──


def other_process(store: Store) -> Callable[..., Any]:
    return lambda verb, *arguments: elsewhere(verb, store, *arguments)


def other_object(store: Store) -> Callable[..., Any]:
    """The same verbs by another store object of this process."""

    def run(verb: str, sid: str, *arguments: Any) -> Any:
        path = path_of(store)
        assert path is not None
        with Store.open(path, durability="normal") as second:
            return {
                "change": lambda: second.sessions.update(sid, **arguments[0]),
                "append": lambda: second.messages.extend(sid, said(*arguments)),
                "delete": lambda: second.sessions.delete(sid),
                "discard": lambda: second.sessions.purge(sid),
                "rotate": lambda: second.sessions.change_id(sid, *arguments),
            }[verb]()

    return run


@pytest.fixture(params=[other_process, other_object])
def others(request: pytest.FixtureRequest, sqlite_store: Store) -> Callable[..., Any]:
    """Another process, or another store object."""
    made: Callable[..., Any] = request.param(sqlite_store)
    return made


@pytest.mark.parametrize("metadata_only", [True, False])
def test_a_cached_session_changed_by_others_is_reloaded(
    models: WebUIModels, trip: str, others: Callable[..., Any], metadata_only: bool
) -> None:
    before = models.get_session(trip, metadata_only=metadata_only)
    others("change", trip, {"title": "Rome"})
    others("append", trip, "and then")
    after = models.get_session(trip, metadata_only=metadata_only)
    assert after is not before
    assert after.title == "Rome"
    assert [message["content"] for message in after.messages] == ["hello", "hi", "and then"]
    assert models.get_session(trip) is after


@pytest.mark.parametrize("verb", ["delete", "discard"])
def test_a_cached_session_that_others_deleted_is_gone(
    models: WebUIModels, webui: WebUI, trip: str, others: Callable[..., Any], verb: str
) -> None:
    held = models.get_session(trip)
    others(verb, trip)
    for _ in range(2):
        with pytest.raises(KeyError):
            models.get_session(trip)
        assert trip not in webui.cache
    held.title = "Back"
    with pytest.raises(Exception, match=r"delete|no session"):
        held.save()
    with pytest.raises(KeyError):
        models.get_session(trip)


def test_cached_renamed_session_has_its_new_id_only(
    models: WebUIModels, webui: WebUI, trip: str, others: Callable[..., Any]
) -> None:
    models.get_session(trip)
    others("rotate", trip, "newname")
    with pytest.raises(KeyError):
        models.get_session(trip)
    assert models.get_session("newname").session_id == "newname"
    assert list(webui.cache) == ["newname"]


def test_unsaved_changes_are_kept_and_merged_on_save(
    models: WebUIModels, trip: str, others: Callable[..., Any]
) -> None:
    mine = models.get_session(trip)
    mine.messages[0]["content"] = "hello!"
    others("change", trip, {"title": "Rome"})
    assert models.get_session(trip) is mine
    mine.save()
    assert (mine.title, models.get_session(trip).title) == ("Rome", "Rome")
    assert contents(models, trip) == ["hello!", "hi"]


def test_a_session_that_cannot_be_stored_stays_cached(models: WebUIModels, trip: str) -> None:
    mine = models.get_session(trip)
    mine.tool_calls.append({"result": {1, 2}})
    elsewhere("change", store_of(models), trip, {"title": "Rome"})
    assert models.get_session(trip) is mine
    mine.tool_calls[-1] = {"result": [1, 2]}
    mine.save()
    assert models.get_session(trip).tool_calls == [{"name": "ls"}, {"result": [1, 2]}]
    assert mine.title == "Rome"


def test_after_a_refused_save_the_session_is_gone(models: WebUIModels, trip: str) -> None:
    mine = models.get_session(trip)
    mine.title = "Paris"
    elsewhere("delete", store_of(models), trip)
    with pytest.raises(SessionDeletedError):
        mine.save()
    with pytest.raises(KeyError):
        models.get_session(trip)


def test_a_refused_save_returns_the_stored_session_next(models: WebUIModels, webui: WebUI, trip: str) -> None:
    mine = models.get_session(trip)
    mine.messages[0]["content"] = "mine"
    webui.store.messages.update(trip, 0, said("theirs")[0], expected_revision=1)
    with pytest.raises(StaleSessionError):
        mine.save()
    again = models.get_session(trip)
    assert again is not mine
    assert again.messages[0]["content"] == "theirs"


def test_taking_the_stored_message_resolves_the_conflict(models: WebUIModels, webui: WebUI, trip: str) -> None:
    mine = models.get_session(trip)
    mine.messages[0]["content"] = "mine"
    webui.store.messages.update(trip, 0, said("theirs")[0], expected_revision=1)
    with pytest.raises(StaleSessionError):
        mine.save()
    mine.messages[0]["content"] = "theirs"
    mine.save()
    assert models.get_session(trip) is mine
    mine.title = "Rome"
    webui.store.sessions.update(trip, pinned=True)
    assert models.get_session(trip) is mine


# ── The lock ──


USES: dict[str, Callable[[Any], Any]] = {
    "messages": lambda session: session.messages,
    "tool_calls": lambda session: session.tool_calls,
    "unknown": lambda session: session.x_usage,
    "missing": lambda session: getattr(session, "x_nothing", None),
    "compact": lambda session: session.compact(),
    "assign": lambda session: setattr(session, "title", "Assigned"),
    "replace": lambda session: setattr(session, "messages", []),
    "dirty": lambda session: session.is_dirty(),
    "save": lambda session: session.save(),
}


@pytest.mark.parametrize("use", USES)
def test_a_live_session_works_under_the_cache_lock(models: WebUIModels, webui: WebUI, trip: str, use: str) -> None:
    session = models.get_session(trip, metadata_only=True)

    def under_the_lock() -> Any:
        with webui.lock:
            return USES[use](session)

    outcome = in_a_thread(under_the_lock)
    assert not isinstance(outcome, Exception)


@pytest.mark.parametrize("verb", ["edit", "delete", "discard"])
def test_refused_save_does_not_wait_for_the_lock(models: WebUIModels, webui: WebUI, trip: str, verb: str) -> None:
    session = models.get_session(trip)
    session.messages[0]["content"] = "mine"
    if verb == "edit":
        webui.store.messages.update(trip, 0, said("theirs")[0], expected_revision=1)
    else:
        elsewhere(verb, webui.store, trip)

    def under_the_lock() -> None:
        with webui.lock:
            session.save()

    assert "Error" in type(in_a_thread(under_the_lock)).__name__


# ── The store ──


def test_the_store_is_asked_for_at_each_call(models: WebUIModels, webui: WebUI, trip: str, second_store: Store) -> None:
    first, webui.store = webui.store, second_store
    for get in (models.get_session, lambda sid: models.get_session(sid, metadata_only=True)):
        with pytest.raises(KeyError):
            get(trip)
    made = models.new_session()
    assert second_store.sessions.exists(made.session_id)
    assert not first.sessions.exists(made.session_id)
    webui.store = first
    assert models.get_session(trip).title == "Trip"


def test_stores_do_not_share_cached_sessions(models: WebUIModels, webui: WebUI, trip: str, second_store: Store) -> None:
    models.get_session(trip)
    webui.store = second_store
    with webui.lock:
        cached = webui.cache.pop(trip)
    stored(models, trip, "somewhere else", title="Another")
    with webui.lock:
        webui.cache[trip] = cached
    assert models.get_session(trip).title == "Another"


# ── new_session ──


def test_a_new_session_is_immediately_stored_and_cached(models: WebUIModels, webui: WebUI) -> None:
    session = models.new_session()
    assert elsewhere("title", webui.store, session.session_id) == "Untitled"
    assert models.get_session(session.session_id) is session
    assert list(webui.cache) == [session.session_id]
    assert len(session.session_id) == 12
    assert int(session.session_id, 16) >= 0
    assert session.messages == session.tool_calls == []
    webui.cache_size = 1
    assert list(webui.cache) != [models.new_session().session_id]
    assert len(webui.cache) == 1


def test_defaults_of_a_new_session_are_read_then(models: WebUIModels, webui: WebUI) -> None:
    for workspace, model, profile in (("/srv/one", "m1", "work"), ("/srv/two", "m2", None)):
        webui.last_workspace, webui.model, webui.profile = workspace, model, profile
        session = models.new_session()
        assert (session.workspace, session.model, session.profile) == (workspace, model, profile)
        record = webui.store.sessions.get(session.session_id)
        assert (record.workspace, record.model, record.profile) == (workspace, model, profile or "default")


def test_new_session_uses_the_arguments_it_is_given(models: WebUIModels, webui: WebUI) -> None:
    webui.profile = "chosen"
    session = models.new_session(workspace="/srv/../srv/./named", model="m3", profile="mine")
    record = webui.store.sessions.get(session.session_id)
    assert (session.workspace, session.model, session.profile) == ("/srv/named", "m3", "mine")
    assert (record.workspace, record.model, record.profile) == ("/srv/named", "m3", "mine")
