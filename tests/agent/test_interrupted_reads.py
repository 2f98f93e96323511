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
from readers import readers_end
from sqlalchemy import Engine, event
from statedb import Shape

from hermes_store.agent import attach, degrade
from hermes_store.agent.attach import AgentFile
from hermes_store.agent.snapshot import Snapshot
from hermes_store.errors import AgentTimeoutError

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


@pytest.mark.parametrize("work", [one, helped, shared, others])
def test_a_signal_s_exception_ends_a_query_and_is_raised(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, work: Callable[[Snapshot], Any]
) -> None:
    monkeypatch.setattr(attach, "_LARGE", 0)
    monkeypatch.setattr(attach, "_TWINS", 2)
    file = AgentFile(path=state_db(Shape(index=work in (one, helped))))
    assert file.read(lambda found: found.rows("SELECT 1")) == [(1,)]  # so that nothing more is to be imported
    for number in range(15):
        with alarm(0.02 + 0.001 * number), pytest.raises(Alarm):
            degrade(lambda: file.read(work), "left out")
        assert readers_end()
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


def test_the_deadline_is_still_the_deadline(state_db: StateDb) -> None:
    with pytest.raises(AgentTimeoutError, match="longer than the deadline"):
        AgentFile(path=state_db(), deadline=0.05).read(one)


PROGRAM = f"""
import sys
from hermes_store.agent.attach import AgentFile
from pathlib import Path
def work(found):
    print("reading", flush=True)
    return found.rows({ENDLESS!r})
AgentFile(path=Path(sys.argv[1])).read(work)
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


def test_nothing_of_a_read_waits_for_the_garbage_collector(state_db: StateDb) -> None:
    """SQLite's connection holds what it asks, and that must not hold the connection for ever."""
    gc.disable()
    try:
        watch = AgentFile(path=state_db()).read(lambda found: weakref.ref(found.watch))
        assert watch() is None
    finally:
        gc.enable()
