"""Lists that come after one another: each is as if it was the first, and reads what changed."""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from hermes_store import HermesStoreError, Store
from hermes_store.webui import WebUIModels
from tests.support.internals import path_of
from tests.support.other_process import forked
from tests.support.statements import executed
from tests.support.threads import all_well, together
from tests.support.webui.sessions import stored
from tests.support.webui.standin import WebUI

Change = Callable[[Store, str, random.Random], object]


def live(store: Store, session_id: str, **values: Any) -> None:
    """Save a session of another process."""
    session = WebUIModels(store).Session.load(session_id)
    assert session is not None
    for name, value in values.items():
        setattr(session, name, value)
    session.save()


def move(store: Store, session_id: str, chance: random.Random) -> None:
    project = store.projects.create(name="P", project_id=f"p{chance.randrange(10**9)}")
    store.sessions.update(session_id, project_id=project.project_id)


def delete_projects(store: Store, session_id: str, chance: random.Random) -> None:
    for project in store.projects.list().items:
        store.projects.delete(project.project_id)


CHANGES: dict[str, Change] = {
    "rename": lambda store, sid, chance: store.sessions.update(sid, title=f"Trip {chance.randrange(3)}"),
    "rename untouched": lambda store, sid, chance: store.sessions.update(
        sid, title=f"Trip {chance.random()}", touch=False
    ),
    "untitle": lambda store, sid, chance: store.sessions.update(sid, title="Untitled"),
    "pin": lambda store, sid, chance: store.sessions.update(sid, pinned=chance.random() < 0.5),
    "append": lambda store, sid, chance: store.messages.append(sid, {"content": "x"}),
    "clear": lambda store, sid, chance: store.messages.truncate(
        sid, keep=0, expected_revision=store.sessions.get(sid).revision
    ),
    "stream": lambda store, sid, chance: live(store, sid, active_stream_id=chance.choice(["live", "stale", None])),
    "no number": lambda store, sid, chance: live(store, sid, estimated_cost=chance.choice([float("nan"), "x", 1.5])),
    "no text": lambda store, sid, chance: live(store, sid, title=chance.choice([5, None, "half \ud83d", ["t"]])),
    "anchor": lambda store, sid, chance: live(store, sid, compression_anchor_message_key=["a", {"b": chance.random()}]),
    "draft": lambda store, sid, chance: store.documents.put(
        sid, {"composer_draft": {"text": chance.choice(["", "x"])}}
    ),
    "another id": lambda store, sid, chance: store.sessions.change_id(sid, f"{sid}{chance.randrange(10**9)}"),
    "delete": lambda store, sid, chance: store.sessions.delete(sid),
    "purge": lambda store, sid, chance: store.sessions.purge(sid),
    "add": lambda store, sid, chance: stored(WebUIModels(store), f"n{chance.randrange(10**9)}", *"ab", title="Added"),
    "move": move,
    "delete projects": delete_projects,
}


@pytest.mark.parametrize("seed", range(3))
def test_a_repeated_list_equals_a_fresh_one(sqlite_store: Store, webui: WebUI, seed: int) -> None:
    models, chance = webui.models(), random.Random(seed)
    for number in range(12):
        stored(models, f"s{number}", *["x"] * (number % 3), title=["Untitled", "Trip"][number % 2])
    for _ in range(60):
        names = [row["session_id"] for row in models.all_sessions()]
        if names:
            CHANGES[chance.choice(sorted(CHANGES))](sqlite_store, chance.choice(names), chance)
        webui.streams = {"live"} if chance.random() < 0.5 else set()
        later = time.time() + (61 if chance.random() < 0.3 else 0)
        with mock.patch("hermes_store.webui.sidebar.time.time", lambda later=later: later):
            assert models.all_sessions() == webui.models().all_sessions()


def test_rows_are_the_callers_own(models: WebUIModels, sqlite_store: Store) -> None:
    stored(models, "a", "x", compression_anchor_message_key={"b": ["c"]})
    stored(models, "b", "x", estimated_cost=[1])
    before = WebUIModels(sqlite_store).all_sessions()
    for _ in range(2):
        for row in models.all_sessions():
            row["title"] = "mine"
            for value in row.values():
                if isinstance(value, list | dict):
                    value.clear()
            row.clear()
    assert models.all_sessions() == before


def test_only_rows_that_changed_are_read(models: WebUIModels, sqlite_store: Store) -> None:
    for number in range(10):
        stored(models, f"s{number}", "x")
    models.all_sessions()
    # Where it is in the order of changes, in two; and what was removed, is gone, and was written to.
    assert len(executed(sqlite_store, models.all_sessions)) == 5
    sqlite_store.sessions.update("s3", title="Rome")
    ids = {row_id for _, parameters in executed(sqlite_store, models.all_sessions) for row_id in _ids(parameters)}
    assert len(ids) == 1
    sqlite_store.sessions.delete("s4")
    assert len(executed(sqlite_store, models.all_sessions)) == 5


def _ids(parameters: Any) -> list[int]:
    rows: list[int] = json.loads(parameters.get("rows", "[]"))
    return rows


def test_each_store_has_its_own_rows(tmp_path: Path) -> None:
    with Store.open(tmp_path / "one.db") as one, Store.open(tmp_path / "two.db") as two:
        now = [one]
        models = WebUIModels(lambda: now[0])
        for store in (one, two):
            now[0] = store
            stored(models, "same", "x", title=Path(path_of(store)).name, updated_at=1.7e9)
        for store in (one, two, one):
            now[0] = store
            assert [row["title"] for row in models.all_sessions()] == [Path(path_of(store)).name]


def test_each_list_of_threads_is_of_one_moment(models: WebUIModels, sqlite_store: Store) -> None:
    for number in range(20):
        stored(models, f"s{number}", "x", title="0")

    def write() -> None:
        for number in range(1, 15):
            with sqlite_store.transaction() as tx:
                for session in range(20):
                    tx.sessions.update(f"s{session}", title=f"{number}")

    def look() -> None:
        last = 0
        while last < 14:
            [title] = {int(row["title"]) for row in models.all_sessions()}
            assert title >= last
            last = title

    all_well(together(write, look, look))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
def test_a_forked_child_goes_on_with_the_rows(models: WebUIModels, sqlite_store: Store) -> None:
    stored(models, "a", "x", title="before")
    models.all_sessions()

    def look(_: Any) -> list[Any]:
        sqlite_store.sessions.update("a", title="after")
        return [row["title"] for row in models.all_sessions()]

    with forked(look) as child:
        assert child.said() == ["after"]
    assert [row["title"] for row in models.all_sessions()] == ["after"]


def change_in_rounds(path: Path, seed: int) -> Callable[[Any], None]:
    """Return what a process does that changes sessions in rounds, and sends its own list when it is asked for."""

    def work(connection: Any) -> None:
        chance = random.Random(seed)
        with Store.open(path, durability="normal", busy_timeout=30) as store:
            models = WebUIModels(store)
            while order := connection.recv():
                if order == "list":
                    connection.send(models.all_sessions())
                    continue
                for _ in range(12):
                    names = [row["session_id"] for row in models.all_sessions()]
                    # Another process may have purged it, or have changed the same message.
                    with contextlib.suppress(HermesStoreError, AssertionError):
                        change = CHANGES[chance.choice(sorted(CHANGES))] if names else CHANGES["add"]
                        change(store, chance.choice(names or [""]), chance)
                connection.send("done")

    return work


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork")
@pytest.mark.parametrize("seed", range(2))
def test_lists_of_processes_are_as_a_plain_query(sqlite_store: Store, webui: WebUI, seed: int) -> None:
    models = webui.models()
    for number in range(20):
        stored(models, f"s{number}", *["x"] * (number % 3), title=["Untitled", "Trip"][number % 2])
    path = path_of(sqlite_store)
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(forked(change_in_rounds(path, 10 * seed + number))) for number in range(3)]
        for _ in range(4):
            for child in children:
                child.connection.send("change")
            while not all(child.connection.poll(0) for child in children):
                models.all_sessions()  # a list that was read between their writes
            assert [child.said() for child in children] == ["done"] * 3
            expected = webui.models().all_sessions()
            assert models.all_sessions() == expected
            plain = {one.session_id: (one.message_count, one.updated_at) for one in sqlite_store.sessions.iterate()}
            assert {row["session_id"]: (row["message_count"], row["updated_at"]) for row in expected} == plain
            for child in children:
                child.connection.send("list")
                assert child.said() == WebUIModels(sqlite_store).all_sessions()
        for child in children:
            child.connection.send(None)
            child.said()
