"""An exception that comes from outside while the agent's file is read (Ctrl-C, a timer) is raised as what it is."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from hermes_store.agent import attach, degrade
from hermes_store.agent.attach import AgentFile
from hermes_store.agent.other_query import stop
from hermes_store.agent.snapshot import Snapshot
from hermes_store.errors import AgentTimeoutError
from tests.support.agent.statedb import Shape
from tests.support.threads import readers_end, threads

StateDb = Callable[..., Path]
ENDLESS = "WITH RECURSIVE t(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"


class Alarm(BaseException):
    """What the handler of a signal may raise."""


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Let an alarm be raised in the block."""

    def ring(_number: int, _frame: Any) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def one(found: Snapshot) -> list[Any]:
    return found.rows(ENDLESS)


def helped(found: Snapshot) -> list[Any]:
    with found.helped([ENDLESS]):
        return found.rows(ENDLESS)


def shared(found: Snapshot) -> list[Any]:
    return found.together([ENDLESS] * 3)


def others(found: Snapshot) -> list[Any]:
    return found.together(["SELECT 1", ENDLESS, ENDLESS])


@pytest.mark.slow
@pytest.mark.parametrize("work", [one, helped, shared, others])
def test_a_signal_s_exception_ends_a_query_and_is_raised(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, work: Callable[[Snapshot], Any]
) -> None:
    monkeypatch.setattr(attach, "_LARGE", 0)
    monkeypatch.setattr(attach, "_TWINS", 2)
    file = AgentFile(path=state_db(Shape(index=work in (one, helped))))
    assert file.read(lambda found: found.rows("SELECT 1")) == [(1,)]  # so that nothing more is to be imported
    before = threads()
    for number in range(15):
        with alarm(0.02 + 0.001 * number), pytest.raises(Alarm):
            degrade(lambda: file.read(work, scans=True), "left out")
        assert readers_end(before)
    assert file.read(lambda found: found.rows("SELECT 1")) == [(1,)]


def test_a_signal_that_comes_before_sqlite_asks_for_the_first_time_is_not_lost(state_db: StateDb) -> None:
    long_step = "SELECT length(hex(hex(zeroblob(20000000))))"
    query = f"WITH RECURSIVE t(x) AS ({long_step} UNION ALL SELECT x + 1 FROM t) SELECT count(*) FROM t"
    file = AgentFile(path=state_db())
    for _ in range(3):
        with alarm(0.02), pytest.raises(Alarm):
            file.read(lambda found: found.rows(query))


def test_an_exception_between_the_queries_is_raised(state_db: StateDb) -> None:
    """SQLAlchemy closes a connection at once when one comes while it executes."""

    def raise_it(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if text == "SELECT 1":
            raise KeyboardInterrupt

    event.listen(Engine, "after_cursor_execute", raise_it)
    try:
        with pytest.raises(KeyboardInterrupt):
            AgentFile(path=state_db()).read(lambda found: found.rows("SELECT 1"))
    finally:
        event.remove(Engine, "after_cursor_execute", raise_it)


@pytest.mark.parametrize("work", [one, shared, others])
def test_the_deadline_is_still_the_deadline(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, work: Callable[[Snapshot], Any]
) -> None:
    monkeypatch.setattr(attach, "_LARGE", 0)
    monkeypatch.setattr(attach, "_TWINS", 2)
    with pytest.raises(AgentTimeoutError, match="longer than the deadline"):
        AgentFile(path=state_db(Shape(index=False)), deadline=0.1).read(work, scans=True)


STORM = """
import random, signal, sys, time
from pathlib import Path
from hermes_store.agent import attach, snapshot, watch
from hermes_store.agent.attach import AgentFile
from hermes_store.agent.other_query import stop

attach._LARGE, attach._TWINS, watch.STEPS, snapshot._ENOUGH = 0, 2, 1, 0
COUNT = "SELECT count(*) FROM agent.messages m"


class Alarm(BaseException):
    pass


def ring(number, frame):
    while frame is not None:  # only while it reads: what this program does with an alarm is not to be interrupted
        if frame.f_code is AgentFile.read.__code__:
            raise Alarm
        frame = frame.f_back


def work(found):
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if found.twins:
            found.together([COUNT] * 3)
        else:
            with found.helped([COUNT, COUNT]):
                found.rows(COUNT)


sys.unraisablehook = lambda _: None  # Python drops what is raised in a weak reference's callback, as always
signal.signal(signal.SIGALRM, ring)
file, chance = AgentFile(path=Path(sys.argv[1]), deadline=10), random.Random(1)
count = file.read(lambda found: found.rows(COUNT), scans=True)
for number in range(120):
    signal.setitimer(signal.ITIMER_REAL, 0.005 + 0.003 * chance.random(), 0.0005)
    try:
        file.read(work, scans=True)
    except BaseException as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        while error is not None and not isinstance(error, Alarm):
            error = error.__context__  # a second alarm, amid SQLAlchemy's rollback, makes that fail on the way
        if error is None:
            raise
    else:
        raise SystemExit("not interrupted")
assert file.read(lambda found: found.rows(COUNT), scans=True) == count
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("index", [True, False], ids=["helped", "shared"])
def test_exceptions_at_any_moment_and_again_while_things_end_stop_nothing(state_db: StateDb, index: bool) -> None:
    arguments = [sys.executable, "-c", STORM, str(state_db(Shape(index=index)))]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "done\n", done.stderr[-1000:]


PROGRAM = f"""
import sys
from hermes_store.agent.attach import AgentFile
from hermes_store.agent.other_query import stop
from pathlib import Path
def work(found):
    print("reading", flush=True)
    return found.rows({ENDLESS!r})
AgentFile(path=Path(sys.argv[1])).read(work)
"""


@pytest.mark.slow
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


def test_nothing_of_a_read_waits_for_the_garbage_collector(state_db: StateDb) -> None:
    """SQLite's connection holds what it asks, and that must not hold the connection for ever."""
    gc.disable()
    try:
        watch = AgentFile(path=state_db()).read(lambda found: weakref.ref(found.watch))
        assert watch() is None
    finally:
        gc.enable()


class Stubborn:
    """A query that an exception comes for, twice, when its end is waited for."""

    def __init__(self) -> None:
        self.told = 0
        self.waited = 0

    def tell(self) -> None:
        self.told += 1

    def end(self) -> None:
        self.waited += 1
        if self.waited <= 2:
            raise Alarm


def test_an_exception_while_queries_are_ended_is_raised_when_all_have_ended() -> None:
    queries = [Stubborn(), Stubborn()]
    with pytest.raises(Alarm):
        stop(queries)  # type: ignore[arg-type]
    assert [query.told for query in queries] == [5, 5]
    assert queries[1].waited == 3
