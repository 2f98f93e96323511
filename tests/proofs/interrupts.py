"""Proof: interrupts, closing, forgetting, leaving and forking at random moments leave nothing held or half done.

The tests of `tests/faults/test_interrupts.py` raise an exception at every point of some verbs, one at a time. Here the
system's own timer does it at random moments, in a process in which other threads write, and so do the other events.
"""

from __future__ import annotations

import gc
import os
import random
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from hermes_store import Store, StoreClosedError
from hermes_store.maintenance import verify
from tests.proofs.result import Result
from tests.support.finalizers import dropped_in_finalizers
from tests.support.internals import idle_busy_timeouts, units_of_this_thread
from tests.support.other_process import forked
from tests.support.processes import function_command, with_tests

_TIMEOUT: Final = 30.0


def prove(*, rounds: int, seed: int = 0) -> Result:
    """Run each kind of event, and check after it.

    Args:
        rounds: how often a verb is interrupted. Each of the other events happens a tenth as often.
        seed: of the random moments.
    """
    result = Result()
    chance = random.Random(seed)
    few = max(1, rounds // 10)
    with tempfile.TemporaryDirectory(prefix="interrupts-") as name:
        for event, times in ((_interrupts, rounds), (_closings, few), (_forgotten, few), (_exits, few), (_forks, few)):
            path = Path(name) / f"{event.__name__}.db"
            try:
                event(result, path, chance, times)
                _require_sound(result, path, event.__name__)
            except Exception as error:  # whatever it is, it is a problem
                result.problems.append(f"{event.__name__}: {type(error).__name__}: {error}")
    return result


def _require_sound(result: Result, path: Path, name: str) -> None:
    """Nothing is held in the file, and everything in it agrees."""
    raw = sqlite3.connect(path, timeout=0, isolation_level=None)
    raw.execute("BEGIN IMMEDIATE")
    raw.execute("ROLLBACK")
    raw.close()
    with Store.open(path) as store:
        result.problems += [f"{name}: verify: {one.kind} {one.problem}" for one in verify(store).findings]


# ── Exceptions from signal handlers ──


class _Interrupt(BaseException):
    """What the signal handler raises."""


def _interrupts(result: Result, path: Path, chance: random.Random, times: int) -> None:
    """The timer interrupts verbs of this thread, while two other threads write."""
    with Store.open(path, durability="normal", busy_timeout=_TIMEOUT) as store:
        for session_id in ("interrupted", "other"):
            store.sessions.create(session_id=session_id)
        others = _Others(store, 2)
        handler = _Handler()
        before = signal.signal(signal.SIGALRM, handler)
        try:
            with dropped_in_finalizers(_Interrupt):
                done = [number for number in range(times) if _interrupted(result, store, chance, number, handler)]
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            problems = others.end()
        result.problems += problems
        if units_of_this_thread(store):
            result.problems.append("a unit of work is left")
        if not idle_busy_timeouts(store) <= {_TIMEOUT}:
            result.problems.append("a connection does not wait any more")
        messages = store.messages.read("interrupted")
        if messages != [[number, part] for number in sorted({one[0] for one in messages}) for part in range(2)]:
            result.problems.append("a half of a write is there")
        verbs = [_VERBS[number % len(_VERBS)] for number, part in messages if not part]
        forks = store.sessions.count(include_empty=True) - 2
        if (store.sessions.get("interrupted").input_tokens, forks) != (verbs.count(_use), verbs.count(_fork)):
            result.problems.append("a part of a transaction is there")
        if not {one[0] for one in messages} >= {*done}:
            result.problems.append("a write that was acknowledged is not there")
        if store.messages.count("other") != others.appended:
            result.problems.append("an append of another thread is not there")


class _Handler:
    """Raises an exception, but not after the verb."""

    def __init__(self) -> None:
        self.is_armed = False

    def __call__(self, *_: object) -> None:
        if self.is_armed:
            self.is_armed = False
            raise _Interrupt


def _interrupted(result: Result, store: Store, chance: random.Random, number: int, handler: _Handler) -> bool:
    """Run a verb that may be interrupted, and return whether it returned after a write."""
    verb = _VERBS[number % len(_VERBS)]
    is_done = False
    try:
        handler.is_armed = True
        signal.setitimer(signal.ITIMER_REAL, 10 ** chance.uniform(-5, -2.3))
        verb(store, number)
        is_done = verb is not _only_read
        handler.is_armed = False
    except _Interrupt:
        result.count("interrupts")
    signal.setitimer(signal.ITIMER_REAL, 0)
    return is_done


def _two(number: int) -> list[Any]:
    return [[number, part] for part in range(2)]


def _extend(store: Store, number: int) -> None:
    store.messages.extend("interrupted", _two(number))


def _transaction(store: Store, number: int) -> None:
    with store.transaction() as tx:
        for message in _two(number):
            tx.messages.append("interrupted", message)
        tx.sessions.update("interrupted", title=str(number))


def _replace(store: Store, number: int) -> None:
    messages = store.messages.read("interrupted")
    store.messages.replace("interrupted", [*messages, *_two(number)], expected_revision=messages.revision)


def _undo(store: Store, number: int) -> None:
    with store.transaction() as tx:
        record = tx.sessions.get("interrupted")
        if record.message_count:
            tx.messages.truncate("interrupted", keep=0, expected_revision=record.revision)
            tx.messages.undo("interrupted")
        tx.messages.extend("interrupted", _two(number))


def _use(store: Store, number: int) -> None:
    with store.transaction() as tx:
        tx.usage.record("interrupted", model="m", input_tokens=1)
        tx.messages.extend("interrupted", _two(number))


def _fork(store: Store, number: int) -> None:
    with store.transaction() as tx:
        tx.messages.extend("interrupted", _two(number))
        tx.sessions.fork("interrupted", new_id=f"fork-{number}", at=min(number, 2))


def _only_read(store: Store, number: int) -> None:
    store.sessions.list()
    store.messages.tail("interrupted")
    with store.snapshot() as view:
        view.sessions.get("interrupted")


_VERBS: Final[list[Callable[[Store, int], None]]] = [
    _extend,
    _transaction,
    _replace,
    _undo,
    _use,
    _fork,
    _only_read,
]


class _Others:
    """Threads that append to the session "other" until the end."""

    def __init__(self, store: Store, number: int, *, may_close: bool = False) -> None:
        self.appended = 0
        self._may_close = may_close
        self._over = threading.Event()
        self._problems: list[str] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(store,)) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def _run(self, store: Store) -> None:
        try:
            while not self._over.is_set():
                store.messages.append("other", "more")
                with self._lock:
                    self.appended += 1
                store.messages.tail("other", limit=2)
                time.sleep(0.0005)
        except StoreClosedError as error:
            if not self._may_close:
                self._problems.append(str(error))
        except Exception as error:  # whatever it is, it is a problem
            self._problems.append(f"another thread: {type(error).__name__}: {error}")

    def end(self) -> list[str]:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT)
        if any(thread.is_alive() for thread in self._threads):
            self._problems.append("another thread hangs")
        return self._problems


# ── Other events ──


def _closings(result: Result, path: Path, chance: random.Random, times: int) -> None:
    """A store is closed while threads use it."""
    Store.open(path).close()
    appended = 0
    for number in range(times):
        store = Store.open(path, durability="normal", busy_timeout=_TIMEOUT)
        if not number:
            store.sessions.create(session_id="other")
        others = _Others(store, 3, may_close=True)
        time.sleep(chance.random() * 0.02)
        store.close()
        result.problems += others.end()
        appended += others.appended
        result.count("stores that were closed while threads used them")
        with Store.open(path) as store:
            found = store.messages.count("other")
        # Each of the threads may have committed one append that did not return.
        if not appended <= found <= appended + 3 * (number + 1):
            result.problems.append(f"{appended} appends were acknowledged, and there are {found}")
        if path.with_name(f"{path.name}-wal").exists():
            result.problems.append("a log is left")


def _forgotten(result: Result, path: Path, chance: random.Random, times: int) -> None:
    """Nobody closes a store, a transaction, a snapshot or a stream, and the garbage collector removes them."""
    with Store.open(path) as store:
        store.sessions.create(session_id="other")
    descriptors = _descriptors()
    for _ in range(times):
        store = Store.open(path, durability="normal", busy_timeout=_TIMEOUT)
        store.messages.append("other", "kept")
        managers: list[Any] = [store.transaction, store.snapshot, partial(store.messages.stream, "other", {})]
        manager = chance.choice(managers)()
        entered = manager.__enter__()
        del entered, manager, managers, store
        gc.collect()
        result.count("stores and transactions that were forgotten")
    if _descriptors() > descriptors:
        result.problems.append(f"{_descriptors() - descriptors} descriptors are left open")
    with Store.open(path) as store:
        if sum(message == "kept" for message in store.messages.read("other")) != times:
            result.problems.append("an append is lost")


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0


def _exits(result: Result, path: Path, chance: random.Random, times: int) -> None:
    """The interpreter ends while daemon threads write."""
    with Store.open(path) as store:
        store.sessions.create(session_id="s")
    appended = 0
    for number in range(times):
        command = function_command(write_in_daemons, (path, chance.random() * 0.05, "exit" if number % 3 else "error"))
        done = subprocess.run(
            command, env=with_tests(os.environ), capture_output=True, text=True, timeout=120, check=False
        )
        result.count("interpreters that ended with daemon threads")
        lines = [line for line in done.stdout.split("\n") if line]
        appended += len(lines)
        if done.returncode not in (0, 3) or "Traceback" in done.stderr.replace("RuntimeError: leave", ""):
            result.problems.append(f"an interpreter ended with {done.returncode}: {done.stderr[-500:]}")
        with Store.open(path) as store:
            found = store.messages.count("s")
        if not appended <= found <= appended + 3 * (number + 1):
            result.problems.append(f"{appended} appends were acknowledged, and there are {found}")


def write_in_daemons(path: str, seconds: str, way: str) -> None:
    """Write in daemon threads, and leave."""
    store = Store.open(path, durability="normal", busy_timeout=_TIMEOUT)

    def write() -> None:
        while True:
            store.messages.append("s", "from a daemon")
            os.write(1, b"done\n")

    for _ in range(3):
        threading.Thread(target=write, daemon=True).start()
    time.sleep(float(seconds))
    if way == "error":
        raise SystemExit(3)


def _forks(result: Result, path: Path, chance: random.Random, times: int) -> None:
    """A process forks again and again while its threads write, and its children write."""
    with Store.open(path, durability="normal", busy_timeout=_TIMEOUT) as store:
        for session_id in ("other", "children"):
            store.sessions.create(session_id=session_id)
        others = _Others(store, 3)
        for number in range(times):
            pairs = [(number, child) for child in range(chance.randint(1, 4))]
            opened = [forked(lambda _, pair=pair: _append_pair(store, pair)) for pair in pairs]
            children = [one.__enter__() for one in opened]
            for child in children:
                if child.said() != "done":
                    result.problems.append("a child cannot write")
            for one in opened:
                one.__exit__(None, None, None)
            result.count("forks", len(pairs))
        result.problems += others.end()
        if store.messages.count("other") != others.appended:
            result.problems.append("an append of a thread is lost while the process forks")
        found = [tuple(message) for message in store.messages.read("children")]
        if len(found) != result.figures["forks"] or len({*found}) != len(found):
            result.problems.append("an append of a child is lost")


def _append_pair(store: Store, pair: tuple[int, int]) -> str:
    store.messages.append("children", list(pair))
    return "done"
