"""A read ends at its deadline, and when an exception comes from outside (Ctrl-C), which is raised as it is."""

from __future__ import annotations

import _thread
import gc
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hermes_store.agent import degrade, reader_thread
from hermes_store.agent.agent_file import AgentFile
from hermes_store.agent.reader_thread import Deadline, run_in_thread
from hermes_store.agent.snapshot import Snapshot
from hermes_store.errors import AgentTimeoutError
from tests.support.agent import writers
from tests.support.agent.connections import watched
from tests.support.examples import examples
from tests.support.finalizers import dropped_in_finalizers
from tests.support.threads import readers_end, threads

pytestmark = pytest.mark.slow

StateDb = Callable[..., Path]
COUNT = "SELECT count(*) FROM main.messages m"
ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"


class Alarm(BaseException):
    """What the handler of a signal may raise."""


@contextmanager
def alarm(seconds: float, interval: float = 0.0) -> Iterator[None]:
    """Raise an alarm in a read of the block, once or again and again; the block itself is not interrupted."""

    def ring(_number: int, frame: Any) -> None:
        while frame is not None:
            if frame.f_code is AgentFile.read.__code__:
                raise Alarm
            frame = frame.f_back

    before = signal.signal(signal.SIGALRM, ring)
    with dropped_in_finalizers(Alarm):
        signal.setitimer(signal.ITIMER_REAL, seconds, interval)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


@contextmanager
def open_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Collect the connections to the agent's file, which note whether they were interrupted after they were closed."""
    found: list[Any] = []

    class Noting(sqlite3.Connection):
        is_closed = interrupted_late = False

        def close(self) -> None:
            self.is_closed = True
            super().close()

        def interrupt(self) -> None:
            self.interrupted_late |= self.is_closed
            super().interrupt()

    connect = sqlite3.connect

    def noted(*arguments: Any, **how: Any) -> sqlite3.Connection:
        found.append(connect(*arguments, factory=Noting, **how))
        return found[-1]

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", noted)
        yield found


def are_closed(connections: list[Any]) -> bool:
    """Return whether all connections are closed soon: a thread that is started now may still open one, and close it."""
    until = time.monotonic() + 10
    while not all(one.is_closed for one in connections) and time.monotonic() < until:
        time.sleep(0.001)
    return all(one.is_closed for one in connections)


def query(sql: str) -> Callable[[Snapshot], list[Any]]:
    return lambda snapshot: snapshot.rows(sql)


# The deadline


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.2])
def test_the_deadline_ends_a_running_query(state_db: StateDb, seconds: float) -> None:
    path, before = state_db(), threads()
    started = time.monotonic()
    with pytest.raises(AgentTimeoutError, match="longer than the deadline") as caught:
        AgentFile(path=path, deadline=seconds).read(query(ENDLESS))
    assert time.monotonic() - started < seconds + 1
    assert str(path) in str(caught.value)
    assert readers_end(before)


def test_the_deadline_ends_many_short_queries(state_db: StateDb) -> None:
    """An interrupt between two of them has no effect on the next."""

    def read(snapshot: Snapshot) -> None:
        while True:
            snapshot.rows("SELECT 1")

    started = time.monotonic()
    with pytest.raises(AgentTimeoutError):
        AgentFile(path=state_db(), deadline=0.1).read(read)
    assert time.monotonic() - started < 1.1


def test_no_query_begins_after_the_deadline(state_db: StateDb) -> None:
    begun: list[str] = []

    def read(snapshot: Snapshot) -> None:
        snapshot.rows("SELECT 1")
        time.sleep(0.15)
        begun.append("second")
        snapshot.rows("SELECT 2")
        begun.append("third")

    with pytest.raises(AgentTimeoutError):
        AgentFile(path=state_db(), deadline=0.1).read(read)
    assert begun == ["second"]


def test_an_interrupt_that_meets_no_query_is_repeated() -> None:
    """The deadline may pass after it was checked, and before SQLite begins."""
    with sqlite3.connect(":memory:", check_same_thread=False) as connection:
        deadline = Deadline(0.05)

        def read() -> None:
            with deadline.applies_to(connection):
                time.sleep(0.1)
                connection.execute(ENDLESS)

        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            run_in_thread(read, deadline)
    connection.close()


def test_the_deadline_holds_in_every_thread(state_db: StateDb) -> None:
    file, ended = AgentFile(path=state_db(), deadline=0.1), list[str]()

    def read() -> None:
        try:
            file.read(query(ENDLESS))
        except AgentTimeoutError:
            ended.append("ended")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(10)
    assert ended == ["ended"] * 4


def test_nothing_is_interrupted_after_its_read_ended(state_db: StateDb, monkeypatch: pytest.MonkeyPatch) -> None:
    path, chance = state_db(), random.Random(1)
    wanted = AgentFile(path=path).read(query(COUNT))
    monkeypatch.setattr(reader_thread, "_RETRY", 0.0001)
    before, outcomes = threads(), set[str]()
    with open_connections(monkeypatch) as connections:
        for _ in range(300):
            try:
                assert AgentFile(path=path, deadline=0.004 * chance.random()).read(query(COUNT)) == wanted
                outcomes.add("read")
            except AgentTimeoutError:
                outcomes.add("ended")
    assert outcomes == {"read", "ended"}
    assert all(one.is_closed for one in connections)
    assert not any(one.interrupted_late for one in connections)
    assert readers_end(before)


def test_without_a_spare_thread_the_caller_reads(state_db: StateDb, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    path, here = state_db(), threading.get_ident()
    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert AgentFile(path=path).read(lambda _: threading.get_ident()) == here
    with pytest.raises(AgentTimeoutError):
        AgentFile(path=path, deadline=0.0).read(query("SELECT 1"))


# Exceptions from outside


def test_a_query_ends_by_raising_the_signals_exception(state_db: StateDb) -> None:
    file, before = AgentFile(path=state_db()), threads()
    for number in range(5):
        started = time.monotonic()
        with alarm(0.02 + 0.001 * number), pytest.raises(Alarm) as caught:
            degrade(lambda: file.read(query(ENDLESS)), [])
        assert time.monotonic() - started < 1
        assert caught.value.__context__ is None
        assert readers_end(before)
    assert file.read(query("SELECT 1")) == [(1,)]


def test_a_signals_exception_interrupts_even_one_long_step(state_db: StateDb) -> None:
    """One step of SQLite's may take long; a handler that waited for its end would be late."""
    long_step = "SELECT length(hex(hex(zeroblob(20000000))))"
    sql = f"WITH RECURSIVE t(x) AS ({long_step} UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
    with alarm(0.02), pytest.raises(Alarm):
        AgentFile(path=state_db()).read(query(sql))


def test_a_signal_whose_handler_returns_ends_nothing(state_db: StateDb) -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        with pytest.raises(AgentTimeoutError):
            AgentFile(path=state_db(), deadline=0.2).read(query(ENDLESS))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(rung) > 2


def test_a_signals_exception_waits_for_no_lock(state_db: StateDb, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite looks at no interrupt while it waits for a lock, so such a read is left to end by itself."""
    monkeypatch.setattr(reader_thread, "_PATIENCE", 0.1)
    path, before = state_db(), threads()
    with writers.running("lock", path):
        started = time.monotonic()
        with alarm(0.05), pytest.raises(Alarm):
            AgentFile(path=path, busy_timeout=2).read(query(COUNT))
        assert time.monotonic() - started < 1.5
        assert readers_end(before)


@pytest.mark.parametrize("interval", [0.0003, 0.002])
def test_exceptions_at_any_moment_stop_no_later_read(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, interval: float
) -> None:
    file, before, chance = AgentFile(path=state_db(), deadline=2), threads(), random.Random(1)
    wanted = file.read(query(COUNT))
    with open_connections(monkeypatch) as connections:
        for _ in range(examples(15)):
            with pytest.raises(Alarm), alarm(0.001 + 0.003 * chance.random(), interval):
                file.read(query(ENDLESS))
        assert readers_end(before)
        assert are_closed(connections)
    assert file.read(query(COUNT)) == wanted


def test_an_exception_between_the_queries_is_raised(state_db: StateDb) -> None:
    def raise_it(_connection: sqlite3.Connection, text: str, _parameters: Any) -> None:
        if text == "SELECT 1":
            raise KeyboardInterrupt

    with watched(after=raise_it), pytest.raises(KeyboardInterrupt):
        AgentFile(path=state_db()).read(query("SELECT 1"))


PROGRAM = f"""
import sys
from hermes_store.agent.agent_file import AgentFile
from pathlib import Path
def read(found):
    print("reading", flush=True)
    return found.rows({ENDLESS!r})
AgentFile(path=Path(sys.argv[1])).read(read)
"""


def test_ctrl_c_ends_a_program_that_reads(state_db: StateDb) -> None:
    arguments = [sys.executable, "-W", "error", "-c", PROGRAM, str(state_db())]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert "AgentTimeoutError" not in errors


def test_a_read_leaves_nothing_for_the_garbage_collector(state_db: StateDb) -> None:
    gc.disable()
    try:
        path = state_db()
        snapshot = AgentFile(path=path).read(weakref.ref)
        assert snapshot() is None
        deadline = Deadline(0.05)
        with pytest.raises(ZeroDivisionError):
            run_in_thread(lambda: 1 // 0, deadline)
        reference = weakref.ref(deadline)
        del deadline
        assert reference() is None
    finally:
        gc.enable()
