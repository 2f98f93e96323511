"""An exception from a signal handler, at every point where Python can deliver it, leaves nothing held."""

from __future__ import annotations

import gc
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_store import Store
from tests.proofs import interrupts
from tests.support.internals import idle_busy_timeouts, units_of_this_thread
from tests.support.interrupts import interrupted_at

pytestmark = pytest.mark.slow

#: Far less than the busy timeout, and far more than a write takes on a busy machine.
LONG = 4.0


@pytest.fixture
def store(sqlite_path: Path) -> Iterator[Store]:
    with Store.open(sqlite_path, durability="normal", busy_timeout=2 * LONG) as store:
        for session_id in ("interrupted", "other"):
            store.sessions.create(session_id=session_id)
            store.messages.extend(session_id, ["a", "b"])
        yield store


@pytest.fixture
def waits(store: Store) -> Iterator[list[float]]:
    """How long each write and read of another thread took, in seconds, while the test runs."""
    waits: list[float] = []
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            begin = time.monotonic()
            store.messages.append("other", "c")
            store.messages.tail("other", limit=1)
            waits.append(time.monotonic() - begin)
            time.sleep(0.001)

    thread = threading.Thread(target=work)
    thread.start()
    yield waits
    over.set()
    thread.join()


@pytest.fixture(autouse=True)
def _no_garbage_collector() -> Iterator[None]:
    """Whatever is released only by the garbage collector would be held for an unknown time."""
    gc.disable()
    yield
    gc.enable()


def transaction(store: Store) -> None:
    with store.transaction() as tx:
        tx.messages.append("interrupted", "in a transaction")
        tx.sessions.update("interrupted", title="In a transaction")


def snapshot(store: Store) -> None:
    with store.snapshot() as view:
        view.sessions.list()
        view.messages.tail("interrupted")


VERBS: dict[str, Callable[[Store], object]] = {
    "append": lambda store: store.messages.append("interrupted", "c"),
    "extend": lambda store: store.messages.extend("interrupted", ["c", "d"]),
    "read": lambda store: store.messages.page("interrupted", limit=5),
    "list": lambda store: store.sessions.list(),
    "create": lambda store: store.sessions.create(title="One more"),
    "update": lambda store: store.sessions.update("interrupted", title="Changed"),
    "purge": lambda store: store.sessions.purge(store.sessions.create().session_id),
    "transaction": transaction,
    "snapshot": snapshot,
}


@pytest.mark.parametrize("name", VERBS)
def test_an_interrupt_anywhere_leaves_nothing_held(store: Store, waits: list[float], name: str) -> None:
    verb = VERBS[name]
    verb(store)
    point = 0
    while interrupted_at(point, lambda: verb(store)):
        assert units_of_this_thread(store) == 0, f"at point {point}"
        assert idle_busy_timeouts(store) <= {2 * LONG}, f"at point {point}, a connection does not wait any more"
        if point % 10 == 0:
            verb(store)  # this thread can go on
        point += 1
    assert point > 100, "it was interrupted at too few points"
    enough = len(waits) + 10
    deadline = time.monotonic() + LONG
    while len(waits) < enough and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(waits) >= enough, "the other thread does not go on"
    assert max(waits) < LONG
    with store.snapshot() as view:
        for session_id in ("interrupted", "other"):
            assert view.sessions.get(session_id).message_count == len(view.messages.read(session_id))


def test_an_interrupt_leaves_no_lock_in_the_file(store: Store, sqlite_path: Path) -> None:
    append = VERBS["append"]
    append(store)
    point = 0
    while interrupted_at(point, lambda: append(store)):
        point += 1
        other = sqlite3.connect(sqlite_path, timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
        other.close()
    assert point > 100, "it was interrupted at too few points"


def test_the_interrupt_handler_can_save_at_once(store: Store) -> None:
    point = 0
    appended = 0
    while True:
        try:
            if not interrupted_in_place(point, lambda: store.messages.append("interrupted", "c")):
                break
        except KeyboardInterrupt:
            store.messages.append("interrupted", "saved by the handler")  # the traceback is still alive
            appended += 1
        point += 1
    assert appended == point > 100
    saved = [message for message in store.messages.read("interrupted") if message == "saved by the handler"]
    assert len(saved) == appended


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_events_at_random_moments_leave_nothing_held() -> None:
    result = interrupts.prove(rounds=60)
    assert result.problems == []
    assert result.figures["interrupts"] > 10


def interrupted_in_place(point: int, callback: Callable[[], object]) -> bool:
    """As `interrupted_at`, but the exception leaves this function, with all frames in its traceback."""
    return interrupted_at(point, callback, error=KeyboardInterrupt, swallow=False)
