"""What a thread changes in a live session while another saves it: the store has one state of it, and the base knows."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.statements import before_each
from tests.support.threads import in_a_thread
from tests.support.webui.sessions import said


class Part:
    """A value inside a session that has one text in it."""

    def __init__(self, find: Callable[[Any], dict[str, Any]]) -> None:
        self.find = find

    def write(self, session: Any, text: str) -> None:
        self.find(session)["text"] = text

    def read(self, session: Any) -> Any:
        return self.find(session)["text"]


PARTS = {
    "the last message": Part(lambda session: session.messages[-1]),
    "an earlier message": Part(lambda session: session.messages[0]),
    "a call": Part(lambda session: session.tool_calls[0]),
    "a document": Part(lambda session: session.draft["files"]),
    "a large document": Part(lambda session: session.context[-1]),
    "a column's value": Part(lambda session: session.title),
}


def session_of(models: WebUIModels) -> Any:
    return models.Session(
        title={"text": ""},
        messages=[{"text": ""}, *said("a", "b"), {"text": ""}],
        tool_calls=[{"text": ""}],
        draft={"files": {"text": ""}},
        context=[*said(*"x" * 200), {"text": ""}],
    )


@pytest.mark.parametrize("is_new", [True, False], ids=["new", "stored"])
@pytest.mark.parametrize("part", PARTS)
def test_what_is_taken_back_is_taken_back(models: WebUIModels, sqlite_store: Store, part: str, is_new: bool) -> None:
    live, value = session_of(models), PARTS[part]
    if not is_new:
        live.save()
    value.write(live, "A")
    with before_each(sqlite_store, "begin", partial(in_a_thread, partial(value.write, live, "B"))):
        live.save()
    value.write(live, "A")
    live.save()
    assert not live.is_dirty()
    stored = models.Session.load(live.session_id)
    assert value.read(stored) == "A"


@pytest.mark.parametrize("part", sorted(PARTS.keys() - {"a column's value"}))
def test_a_rename_meanwhile_is_no_conflict(models: WebUIModels, sqlite_store: Store, part: str) -> None:
    live, value = session_of(models), PARTS[part]
    live.save()
    for number in range(3):
        value.write(live, f"A{number}")
        with before_each(sqlite_store, "begin", partial(in_a_thread, partial(value.write, live, f"B{number}"))):
            live.save()
        sqlite_store.sessions.update(live.session_id, title=f"name {number}")
    live.save()
    stored = models.Session.load(live.session_id)
    assert value.read(stored) == "B2"
    assert live.title == "name 2"


@pytest.mark.slow
def test_saves_beside_a_stream_and_renames_all_succeed(models: WebUIModels, sqlite_store: Store) -> None:
    live = models.Session(title="t", messages=[*said("a"), {"text": ""}], tool_calls=[{"text": ""}], draft={})
    live.save()
    over = threading.Event()

    def stream() -> None:
        number = 0
        while not over.is_set():
            number += 1
            for value in (live.messages[-1], live.tool_calls[0], live.draft):
                value["text"] = f"{number}" * (number % 50)
                value[f"key {number % 4_000}"] = number
                value.pop(f"key {(number + 2_000) % 4_000}", None)

    thread = threading.Thread(target=stream)
    thread.start()
    try:
        for number in range(20):
            live.save()
            sqlite_store.sessions.update(live.session_id, title=f"name {number}")
    finally:
        over.set()
        thread.join()
    live.save()
    stored = models.Session.load(live.session_id)
    assert stored.messages == live.messages
    assert (stored.tool_calls, stored.draft, stored.title) == (live.tool_calls, live.draft, "name 19")
