"""An import of the session files that takes long keeps nobody waiting: it goes on in a thread."""

from __future__ import annotations

import gc
import sqlite3
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import pytest

from hermes_store import DatabaseReadOnlyError, Store
from hermes_store.webui import WebUIModels
from tests.support.state_dir import StateDir

HELLO = {"role": "user", "content": "hello"}


@contextmanager
def another_writer(path: Path) -> Iterator[None]:
    """Hold the write lock, for which the import waits."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.fixture
def store(sqlite_path: Path) -> Iterator[Store]:
    with Store.open(sqlite_path, durability="normal", busy_timeout=60) as store:
        yield store


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "webui")


def test_the_first_list_does_not_wait_for_imports(store: Store, sqlite_path: Path, state: StateDir) -> None:
    store.messages.append(store.sessions.create(session_id="there").session_id, HELLO)
    state.session("filed", HELLO)
    models = WebUIModels(store, session_dir=state.sessions, import_wait=0.0)
    assert not models.import_status().running
    with another_writer(sqlite_path):
        for _ in range(2):
            assert [row["session_id"] for row in models.all_sessions()] == ["there"]
            assert models.load_projects() == []
        assert models.import_status().running
    until(lambda: not models.import_status().running)
    status = models.import_status()
    assert {row["session_id"] for row in models.all_sessions()} == {"there", "filed"}
    assert (status.done, status.total, status.error) == (1, 1, None)
    assert status.started_at is not None
    assert status.ended_at is not None
    assert status.started_at <= status.ended_at


def test_a_list_waits_for_a_short_import(store: Store, state: StateDir) -> None:
    models = WebUIModels(store, session_dir=state.sessions, import_wait=60.0)
    for session_id in ("a", "b"):
        state.session(session_id, HELLO)
        assert session_id in {row["session_id"] for row in models.all_sessions()}


@pytest.mark.slow
def test_an_empty_list_waits_for_the_first_sessions(store: Store, sqlite_path: Path, state: StateDir) -> None:
    state.session("filed", HELLO)
    models = WebUIModels(store, session_dir=state.sessions, import_wait=1.0)
    held, listed = threading.Event(), threading.Event()

    def hold() -> None:
        with another_writer(sqlite_path):
            held.set()
            listed.wait(1.5)

    writer = threading.Thread(target=hold)
    writer.start()
    assert held.wait(60)
    rows = models.all_sessions()
    listed.set()
    writer.join()
    assert [row["session_id"] for row in rows] == ["filed"]


def test_an_import_that_is_over_keeps_no_store(sqlite_path: Path, state: StateDir) -> None:
    state.session("filed", HELLO)
    stores = [Store.open(sqlite_path, durability="normal")]
    models = WebUIModels(lambda: stores[0], session_dir=state.sessions, import_wait=60.0)
    assert len(models.all_sessions()) == 1
    reference = weakref.ref(stores[0])
    stores.pop().close()
    gc.collect()
    assert reference() is None


def test_get_session_waits_for_a_session_being_imported(store: Store, sqlite_path: Path, state: StateDir) -> None:
    state.session("filed", HELLO)
    models = WebUIModels(store, session_dir=state.sessions, import_wait=0.0)
    with another_writer(sqlite_path):
        models.all_sessions()
        with pytest.raises(KeyError):
            models.get_session("missing")
    assert models.get_session("filed").messages == [HELLO]


def test_an_import_that_fails_is_tried_again(sqlite_path: Path, state: StateDir) -> None:
    state.session("filed", HELLO)
    stores = [Store.open(sqlite_path, read_only=True), Store.open(sqlite_path, durability="normal")]
    models = WebUIModels(lambda: stores[0], session_dir=state.sessions, import_wait=60.0)
    with pytest.raises(DatabaseReadOnlyError):
        models.all_sessions()
    error = models.import_status().error
    assert error is not None
    assert "read" in error
    stores.pop(0).close()
    assert [row["session_id"] for row in models.all_sessions()] == ["filed"]
    assert models.import_status().error is None
    stores[0].close()


def test_a_session_is_looked_for_again_after_imports(store: Store, state: StateDir) -> None:
    state.session("filed", HELLO)
    models = WebUIModels(store, session_dir=state.sessions)
    models.import_new_files()
    until(lambda: not models.import_status().running)
    assert models.wait_for_import("filed")  # it may have ended after the session was not found
    assert not models.wait_for_import("nowhere")


def test_many_calls_wait_for_an_import_only_once(store: Store, sqlite_path: Path, state: StateDir) -> None:
    store.messages.append(store.sessions.create(session_id="there").session_id, HELLO)
    state.session("filed", HELLO)
    models = WebUIModels(store, session_dir=state.sessions, import_wait=0.5)
    with another_writer(sqlite_path):
        started = time.monotonic()
        for _ in range(40):
            models.load_projects()
        assert models.import_status().running
        assert time.monotonic() - started < 10  # not 40 times half a second
    until(lambda: not models.import_status().running)


def test_an_interrupted_start_keeps_no_import_waiting(store: Store, state: StateDir) -> None:
    state.session("filed", HELLO)
    models = WebUIModels(store, session_dir=state.sessions, import_wait=60.0)

    def press_control_c(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is threading.Thread.start.__code__:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(press_control_c)
    with pytest.raises(KeyboardInterrupt):
        models.all_sessions()
    assert not models.import_status().running
    assert [row["session_id"] for row in models.all_sessions()] == ["filed"]
