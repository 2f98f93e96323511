"""What the WebUI did with its files elsewhere: deleting, discarding, cleaning up, giving another id; no index."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import InvalidIdError, SessionDeletedError, SessionExistsError, SessionNotFoundError
from hermes_store.webui import WebUIModels
from tests.support.statements import executed
from tests.support.tables import all_rows, table_counts
from tests.support.threads import all_well, together
from tests.support.webui.sessions import contents, said, stored
from tests.support.webui.standin import WebUI
from tests.support.webui.verbs import elsewhere

LONG_AGO = 1_700_000_000.0
#: What can be no id of a session that is there.
NOBODY = ["nobody", "", "../evil", "a b", "half \ud83d", None, 5]


@pytest.fixture
def trip(models: WebUIModels) -> str:
    """The id of a session with something in every table of its own."""
    stored(models, "child", "hello")
    return stored(models, "trip", "hello", "hi", tool_calls=[1], estimated_cost=float("nan"), x_more={"a": 1})


# ── Deleting ──


def test_a_deleted_session_is_gone_until_restored(models: WebUIModels, webui: WebUI, trip: str) -> None:
    live = models.get_session(trip)
    assert models.delete_session(trip) is True
    assert trip not in webui.cache
    with pytest.raises(KeyError):
        models.get_session(trip)
    assert models.Session.load(trip) is models.Session.load_metadata_only(trip) is None
    assert [row["session_id"] for row in models.all_sessions()] == ["child"]
    assert elsewhere("title", webui.store, trip) is None
    live.title = "Back"
    for _ in range(2):
        with pytest.raises(SessionDeletedError):
            live.save()
    with pytest.raises(SessionDeletedError):
        models.Session(session_id=trip, messages=said("again")).save()
    assert models.delete_session(trip) is False
    webui.store.sessions.restore(trip)
    assert (models.get_session(trip).title, contents(models, trip)) == ("Trip", ["hello", "hi"])


def test_a_session_deleted_elsewhere_refuses_saves(models: WebUIModels, webui: WebUI, trip: str) -> None:
    live = models.get_session(trip)
    assert elsewhere("delete", webui.store, trip) is True
    live.messages += said("too late")
    with pytest.raises(SessionDeletedError):
        live.save()
    assert models.delete_session(trip) is False


def test_a_deleted_session_refuses_saves_of_other_processes(models: WebUIModels, webui: WebUI, trip: str) -> None:
    assert elsewhere("hold", webui.store, trip) == "Trip"
    assert models.delete_session(trip) is True
    assert elsewhere("save_held", webui.store, trip, "Back") == "SessionDeletedError"
    assert models.all_sessions()[0]["session_id"] == "child"


@pytest.mark.parametrize("verb", ["delete_session", "discard_session"])
@pytest.mark.parametrize("sid", NOBODY)
def test_nobody_is_deleted_where_there_is_nobody(
    models: WebUIModels, webui: WebUI, trip: str, verb: str, sid: Any
) -> None:
    before = all_rows(webui.store)
    assert getattr(models, verb)(sid) is False
    assert all_rows(webui.store) == before


@pytest.mark.parametrize("verb", ["delete_session", "discard_session"])
def test_deleting_an_unsaved_session_removes_it_from_cache(models: WebUIModels, webui: WebUI, verb: str) -> None:
    webui.cache["unsaved"] = models.Session(session_id="unsaved", title="Unsaved")
    getattr(models, verb)("unsaved")
    assert (webui.cache, models.all_sessions()) == ({}, [])
    with pytest.raises(KeyError):
        models.get_session("unsaved")


# ── Discarding ──


def test_a_discarded_session_leaves_only_its_used_id(models: WebUIModels, webui: WebUI) -> None:
    stored(models, "other", "hello")
    before = table_counts(webui.store)
    live = models.get_session(stored(models, "asked", "hello", "hi", tool_calls=[1], estimated_cost=float("nan")))
    assert models.discard_session("asked") is True
    used_up = {name: before[name] + 1 for name in ("retired_ids", "gone_ids")}
    assert table_counts(webui.store) == {**before, **used_up}
    assert list(webui.cache) == []
    with pytest.raises(KeyError):
        models.get_session("asked")
    live.messages += said("late answer")
    with pytest.raises(SessionNotFoundError):
        live.save()
    with pytest.raises(SessionDeletedError):
        models.Session(session_id="asked").save()
    assert models.discard_session("asked") is False
    assert table_counts(webui.store) == {**before, **used_up}


def test_a_deleted_session_can_be_discarded_as_well(models: WebUIModels, webui: WebUI, trip: str) -> None:
    models.delete_session(trip)
    assert models.discard_session(trip) is True
    assert table_counts(webui.store)["messages"] == 1  # the child's


# ── Cleaning up ──


CLEANED: dict[str, tuple[dict[str, Any], list[str], bool, bool]] = {
    # what is in it, its messages, whether it goes, whether it goes with zero_only
    "blank": ({}, [], True, True),
    "fresh": ({"updated_at": None}, [], True, True),
    "pinned": ({"pinned": True}, [], True, True),
    "titled": ({"title": "Trip"}, [], False, True),
    "talk": ({}, ["hello"], False, False),
    "titled-talk": ({"title": "Trip"}, ["hello"], False, False),
    "stale-stream": ({"active_stream_id": "stale"}, [], True, True),
    "live-stream": ({"active_stream_id": "live"}, [], False, False),
    "live-titled": ({"active_stream_id": "live", "title": "Trip"}, [], False, False),
}


@pytest.mark.parametrize("zero_only", [False, True])
@pytest.mark.parametrize("cached", [False, True])
def test_empty_sessions_are_cleaned_up(models: WebUIModels, webui: WebUI, zero_only: bool, cached: bool) -> None:
    webui.streams = {"live"}
    for session_id, (values, texts, *_) in CLEANED.items():
        stored(models, session_id, *texts, **{"title": "Untitled", "updated_at": LONG_AGO, **values})
        if cached:
            models.get_session(session_id)
    gone = {session_id for session_id, (*_, plain, zero) in CLEANED.items() if (zero if zero_only else plain)}
    assert models.cleanup_sessions(zero_only=zero_only) == len(gone)
    left = {session_id for session_id in CLEANED if models.Session.load(session_id) is not None}
    assert left == CLEANED.keys() - gone
    assert webui.cache.keys() == (left if cached else set())
    assert models.cleanup_sessions(zero_only=zero_only) == 0
    assert {one.session_id for one in webui.store.sessions.list_deleted().items} == gone


def test_session_with_an_unsaved_message_is_not_empty(models: WebUIModels, webui: WebUI) -> None:
    live = models.new_session()
    live.messages += said("hello")
    webui.cache["unsaved"] = models.Session(session_id="unsaved")
    assert models.cleanup_sessions(zero_only=True) == 0
    live.save()
    webui.cache["unsaved"].save()
    assert contents(models, live.session_id) == ["hello"]


def test_a_cleaned_up_session_refuses_late_saves(models: WebUIModels, webui: WebUI) -> None:
    session_id = models.new_session().session_id
    assert elsewhere("hold", webui.store, session_id) == "Untitled"
    assert models.cleanup_sessions() == 1
    assert elsewhere("save_held", webui.store, session_id, "Late") == "SessionDeletedError"
    assert models.all_sessions() == []


def test_cleaning_up_takes_four_statements_for_any_number(models: WebUIModels, webui: WebUI) -> None:

    for number in range(40):
        stored(models, f"s{number}", title="Untitled", updated_at=LONG_AGO)
    # Two find and mark them; the others look for what was deleted, and cut, long ago.
    assert len(executed(webui.store, models.cleanup_sessions)) == 4
    assert models.all_sessions() == []


# ── Another id ──


def test_a_session_keeps_everything_under_its_new_id(models: WebUIModels, webui: WebUI, trip: str) -> None:
    live = models.get_session(trip)
    before = models.Session.load(trip)
    assert before is not None
    assert models.rotate_session_id(trip, "rome") is True
    assert list(webui.cache) == ["rome"]
    assert models.get_session("rome") is live
    assert live.session_id == "rome"
    with pytest.raises(KeyError):
        models.get_session(trip)
    after = models.Session.load("rome")
    assert after is not None
    assert (after.messages, after.tool_calls, after.x_more) == (before.messages, before.tool_calls, before.x_more)
    assert [row["session_id"] for row in models.all_sessions()] == ["rome", "child"]
    live.messages += said("and on")
    live.save()
    assert contents(models, "rome") == ["hello", "hi", "and on"]
    with pytest.raises(SessionExistsError):
        models.Session(session_id=trip).save()


def test_unsaved_changes_move_along(models: WebUIModels, webui: WebUI, trip: str) -> None:
    live = models.get_session(trip, metadata_only=True)
    live.title = "Rome"
    live.messages += said("unsaved")
    elsewhere("change", webui.store, trip, {"model": "m2"})
    assert models.rotate_session_id(trip, "rome") is True
    assert models.get_session("rome") is live
    live.save()
    stored_one = models.Session.load("rome")
    assert stored_one is not None
    assert (stored_one.title, stored_one.model) == ("Rome", "m2")
    assert contents(models, "rome") == ["hello", "hi", "unsaved"]


def test_an_uncached_session_gets_another_id(models: WebUIModels, webui: WebUI, trip: str) -> None:
    assert models.rotate_session_id(trip, "rome") is True
    assert webui.cache == {}
    assert elsewhere("title", webui.store, "rome") == "Trip"
    assert elsewhere("title", webui.store, trip) is None


def test_a_session_can_return_to_its_former_id(models: WebUIModels, trip: str) -> None:
    live = models.get_session(trip)
    for old, new in ((trip, "rome"), ("rome", trip)):
        assert models.rotate_session_id(old, new) is True
    assert models.get_session(trip) is live
    live.save()
    assert contents(models, trip) == ["hello", "hi"]


def taken_by_a_stored_one(models: WebUIModels, webui: WebUI) -> None:
    models.get_session(stored(models, "taken", "theirs"))


def taken_by_a_deleted_one(models: WebUIModels, webui: WebUI) -> None:
    models.delete_session(stored(models, "taken", "theirs"))


def taken_by_a_purged_one(models: WebUIModels, webui: WebUI) -> None:
    models.discard_session(stored(models, "taken", "theirs"))


def taken_as_a_former_id(models: WebUIModels, webui: WebUI) -> None:
    models.rotate_session_id(stored(models, "taken", "theirs"), "moved")


def taken_by_an_unsaved_one(models: WebUIModels, webui: WebUI) -> None:
    webui.cache["taken"] = models.Session(session_id="taken", messages=said("theirs"))


TAKEN = [
    taken_by_a_stored_one,
    taken_by_a_deleted_one,
    taken_by_a_purged_one,
    taken_as_a_former_id,
    taken_by_an_unsaved_one,
]


@pytest.mark.parametrize("take", TAKEN)
@pytest.mark.parametrize("saved", [True, False], ids=["saved", "never saved"])
def test_rotating_to_a_taken_id_changes_nothing(
    models: WebUIModels, webui: WebUI, take: Callable[[WebUIModels, WebUI], None], saved: bool
) -> None:
    live = models.Session(session_id="mine", messages=said("mine"))
    if saved:
        live.save()
    webui.cache["mine"] = live
    take(models, webui)
    before, cached = all_rows(webui.store), dict(webui.cache)
    assert models.rotate_session_id("mine", "taken") is False
    assert all_rows(webui.store) == before
    assert dict(webui.cache) == cached
    assert live.session_id == "mine"
    assert models.get_session("mine") is live
    live.save()
    assert contents(models, "mine") == ["mine"]


def test_an_unsaved_session_gets_another_id(models: WebUIModels, webui: WebUI) -> None:
    webui.cache["draft"] = live = models.Session(session_id="draft", messages=said("hello"))
    assert models.rotate_session_id("draft", "final") is True
    assert models.get_session("final") is live
    live.save()
    assert [row["session_id"] for row in models.all_sessions()] == ["final"]
    assert models.Session.load("draft") is None


@pytest.mark.parametrize("old", NOBODY)
def test_nobody_gets_another_id(models: WebUIModels, webui: WebUI, trip: str, old: Any) -> None:
    before = all_rows(webui.store)
    assert models.rotate_session_id(old, "rome") is False
    assert all_rows(webui.store) == before


@pytest.mark.parametrize("new", ["", "../evil", "a b", "half \ud83d", "x" * 129])
def test_what_can_be_no_id_is_refused(models: WebUIModels, webui: WebUI, trip: str, new: str) -> None:
    live = models.get_session(trip)
    before = all_rows(webui.store)
    with pytest.raises(InvalidIdError):
        models.rotate_session_id(trip, new)
    assert (all_rows(webui.store), live.session_id, list(webui.cache)) == (before, trip, [trip])


def test_saves_while_the_id_changes_lose_nothing(models: WebUIModels, webui: WebUI, trip: str) -> None:
    """The streaming thread gives its session another id while requests save the very same object."""
    live = models.get_session(trip)
    ids = [trip, *(f"turn{number}" for number in range(15))]

    def rotate() -> None:
        for old, new in itertools.pairwise(ids):
            assert models.rotate_session_id(old, new)

    def save(name: str) -> None:
        for number in range(30):
            live.messages.append({"role": "user", "content": f"{name}{number}"})
            live.save()

    all_well(together(rotate, lambda: save("a"), lambda: save("b")))
    live.save()
    expected = [f"{name}{number}" for name in "ab" for number in range(30)]
    assert sorted(contents(models, ids[-1])[2:]) == sorted(expected)
    assert len(models.all_sessions()) == 2


def test_evicted_live_session_gets_the_new_id_too(models: WebUIModels, webui: WebUI, trip: str) -> None:
    """The streaming thread holds its session for minutes, while others fill the cache."""
    live = models.get_session(trip)
    with webui.lock:
        webui.cache.pop(trip)
    assert models.rotate_session_id(trip, "rome") is True
    live.messages += said("the answer")
    live.save()
    assert contents(models, "rome") == ["hello", "hi", "the answer"]


@pytest.mark.parametrize("held", ["cached", "dropped", "replaced"])
def test_a_live_session_may_set_its_new_id(models: WebUIModels, webui: WebUI, trip: str, held: str) -> None:
    """The streaming thread sets its session's id, whether or not that is the cached object still."""
    live = models.get_session(trip)
    if held != "cached":
        elsewhere("change", webui.store, trip, {"title": "By hand"})
        webui.cache.pop(trip)
    if held == "replaced":
        assert models.get_session(trip) is not live
    live.session_id = "rome"
    assert models.rotate_session_id(trip, "rome") is True
    live.messages += said("the answer")
    live.save()
    assert contents(models, "rome") == ["hello", "hi", "the answer"]
    assert live.title == ("Trip" if held == "cached" else "By hand")
    live.save()
    assert [row["session_id"] for row in models.all_sessions()] == ["rome", "child"]


def test_save_follows_a_session_to_its_new_id(models: WebUIModels, webui: WebUI, trip: str) -> None:
    live, lazy = models.get_session(trip), models.Session.load_metadata_only(trip)
    assert elsewhere("rotate", webui.store, trip, "rome") is True
    live.messages += said("the answer")
    live.save()
    assert (live.session_id, models.get_session("rome").title) == ("rome", "Trip")
    assert lazy.messages == live.messages
    lazy.title = "Rome"
    lazy.save()
    assert contents(models, "rome") == ["hello", "hi", "the answer"]
    assert {row["session_id"]: row["title"] for row in models.all_sessions()}["rome"] == "Rome"
    assert models.rotate_session_id(trip, "paris") is False
    with pytest.raises(KeyError):
        models.get_session(trip)


# ── The index ──


def test_there_is_no_index_to_write(models: WebUIModels, webui: WebUI, trip: str) -> None:
    rows, before = models.all_sessions(), all_rows(webui.store)
    models._write_session_index()
    models._write_session_index(updates=[models.get_session(trip)])
    assert all_rows(webui.store) == before
    assert models.all_sessions() == rows


def test_the_active_streams_are_a_copy(models: WebUIModels, webui: WebUI) -> None:
    webui.streams = {"one"}
    models._active_stream_ids().add("two")
    assert models._active_stream_ids() == webui.streams == {"one"}
