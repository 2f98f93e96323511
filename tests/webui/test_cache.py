"""The table of live sessions: which of them stay, and which are let go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hermes_store import SessionDeletedError, Store
from hermes_store.webui import WebUIModels
from tests.support.internals import lock_of
from tests.support.threads import in_a_thread
from tests.support.webui.sessions import said, stored
from tests.support.webui.standin import WebUI


@pytest.fixture
def trip(models: WebUIModels) -> str:
    """The id of a stored session."""
    return stored(models, "a1b2c3", "hello", "hi")


def test_the_least_used_sessions_are_let_go(models: WebUIModels, webui: WebUI) -> None:
    webui.cache_size = 2
    for sid in ("s1", "s2", "s3"):
        stored(models, sid)
    for sid in ("s1", "s2", "s1", "s3"):
        models.get_session(sid)
    assert list(webui.cache) == ["s1", "s3"]


def test_one_with_unsaved_changes_is_not_let_go(models: WebUIModels, webui: WebUI) -> None:
    webui.cache_size = 2
    changes: list[Callable[[Any], object]] = [
        lambda session: setattr(session, "title", "Rome"),
        lambda session: session.messages[0].update(content="edited"),
    ]
    held = [models.get_session(stored(models, f"held{number}", "hello")) for number in range(2)]
    for session, change in zip(held, changes, strict=True):
        change(session)
    for number in range(4):
        models.get_session(stored(models, f"s{number}"))
        assert models.get_session("held0") is held[0]
        assert models.get_session("held1") is held[1]
    for session in held:
        session.save()
    models.get_session("s0")
    models.get_session("s1")
    assert list(webui.cache) == ["s0", "s1"]


def test_a_session_being_saved_is_not_evicted(models: WebUIModels, webui: WebUI, trip: str) -> None:
    webui.cache_size = 1
    session = models.get_session(trip)
    with session.exclusive():
        in_a_thread(lambda: models.get_session(stored(models, "other")))
        assert list(webui.cache) == [trip]


def test_one_whose_save_was_refused_is_let_go(models: WebUIModels, webui: WebUI, trip: str) -> None:
    webui.cache_size = 1
    session = models.get_session(trip)
    session.title = "Rome"
    webui.store.sessions.delete(trip)
    with pytest.raises(SessionDeletedError):
        session.save()
    models.get_session(stored(models, "other"))
    assert list(webui.cache) == ["other"]


def test_the_cache_size_is_read_at_each_call(models: WebUIModels, webui: WebUI) -> None:
    for number in range(6):
        models.get_session(stored(models, f"s{number}"))
    assert len(webui.cache) == 6
    webui.cache_size = 3
    models.get_session(stored(models, "last"))
    assert list(webui.cache) == ["s4", "s5", "last"]


def test_an_unsaved_session_is_not_evicted(models: WebUIModels, webui: WebUI) -> None:
    webui.cache_size = 1
    with webui.lock:
        webui.cache["unsaved"] = unsaved = models.Session(session_id="unsaved", messages=said("only here"))
    for number in range(4):
        models.get_session(stored(models, f"s{number}"))
    assert list(webui.cache) == ["unsaved"]
    assert models.get_session("unsaved") is unsaved
    unsaved.save()
    models.get_session("s1")
    assert list(webui.cache) == ["s1"]


def test_get_session_returns_objects_that_others_cached(models: WebUIModels, webui: WebUI) -> None:
    mine, other = models.Session(session_id="mine"), SimpleNamespace(session_id="other")
    with webui.lock:
        webui.cache["mine"], webui.cache["other"] = mine, other
        webui.cache.move_to_end("mine")
    assert models.get_session("mine") is mine
    assert models.get_session("other") is other
    mine.save()
    assert models.get_session("mine") is mine


def test_a_session_removed_from_the_cache_is_reloaded(models: WebUIModels, webui: WebUI, trip: str) -> None:
    first = models.get_session(trip)
    with webui.lock:
        webui.cache.pop(trip)
    assert models.get_session(trip) is not first
    assert models.get_session(trip).messages == first.messages


def test_a_cache_is_made_when_none_is_given(sqlite_store: Store) -> None:
    models = WebUIModels(sqlite_store, cache_size=2)
    first = models.get_session(stored(models, "s1"))
    assert models.get_session("s1") is first
    for sid in ("s2", "s3"):
        models.get_session(stored(models, sid))
    assert models.get_session("s1") is not first
    assert models.get_session("s1").workspace == first.workspace
    fresh = models.new_session()
    assert (fresh.workspace, fresh.model, fresh.profile) == (None, None, None)
    assert next(row["session_id"] for row in models.all_sessions()) == fresh.session_id


def test_a_lock_is_made_when_none_is_given(sqlite_store: Store) -> None:
    was_held = []

    class Table(OrderedDict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            was_held.append(lock_of(models).locked())
            return super().get(key, default)

        def __setitem__(self, key: str, value: Any) -> None:
            was_held.append(lock_of(models).locked())
            super().__setitem__(key, value)

    models = WebUIModels(sqlite_store, cache=Table())
    first = models.get_session(stored(models, "s1"))
    assert models.get_session("s1") is first
    assert set(was_held) == {True}
    assert not lock_of(models).locked()
    assert lock_of(WebUIModels(sqlite_store)) is not lock_of(models)
