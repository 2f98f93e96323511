"""Other processes that write to the agent's file, as the agent does."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.support.agent import conversations as contents
from tests.support.agent.statedb import Shape, add
from tests.support.processes import start_function


@contextlib.contextmanager
def running(command: str, path: Path, shape: Shape | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a command of this module on a database, from when it reports that it is ready to the end of the block."""
    with start_function(write, command, path, json.dumps(asdict(shape or Shape()))) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.stdin.close()  # it waits for that
            process.stdout.read()
            process.wait(30)


def run(command: str, path: Path, shape: Shape | None = None) -> int:
    """Run a command that ends by itself, and return how it ended."""
    with running(command, path, shape) as process:
        pass
    return int(process.returncode)


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("PRAGMA synchronous = OFF")  # the machine does not fail here, only the process
    return db


def _late(db: sqlite3.Connection, shape: Shape) -> None:
    db.execute("BEGIN IMMEDIATE")
    for session, messages in contents.LATE.sessions:
        add(db, shape, session, messages)
    db.execute("COMMIT")


def _say_ready() -> None:
    print("ready", flush=True)


def leave(path: str, shape: Shape) -> None:
    """Write the last conversation and die: the log stays behind."""
    _late(_connect(path), shape)
    _say_ready()
    os.kill(os.getpid(), signal.SIGKILL)


def hold(path: str, shape: Shape) -> None:
    """Write the last conversation, begin another, and be in the middle of that."""
    db = _connect(path)
    _late(db, shape)
    db.execute("BEGIN IMMEDIATE")
    for session, messages in contents.plain("unfinished", 5000).sessions:
        add(db, shape, session, messages)
    _say_ready()
    sys.stdin.read()
    db.execute("ROLLBACK")
    db.close()


def lock(path: str, shape: Shape) -> None:
    """Keep everybody out."""
    db = _connect(path)
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    db.execute("BEGIN EXCLUSIVE")
    db.execute("UPDATE sessions SET model = 'mine'")
    _say_ready()
    sys.stdin.read()


def crash(path: str, shape: Shape) -> None:
    """Die in the middle of a change that is greater than the cache, so that half of it is in the file."""
    db = _connect(path)
    db.execute("PRAGMA cache_size = 2")
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE messages SET content = content || hex(randomblob(3000))")
    _say_ready()
    os.kill(os.getpid(), signal.SIGKILL)


def hurry(path: str, shape: Shape) -> None:
    """Write as fast as possible, with the log as the agent has it, until told to stop; then say how much."""
    db = sqlite3.connect(path, isolation_level=None, timeout=30)
    if shape.journal == "delete":  # it keeps readers out while it waits for the disk
        db.execute("PRAGMA synchronous = OFF")
    _say_ready()
    count = 0
    os.set_blocking(sys.stdin.fileno(), False)
    while True:
        db.execute("BEGIN IMMEDIATE")
        for session, messages in contents.plain(f"fast-{count}", 10_000 + count).sessions:
            add(db, shape, {**session, "system_prompt": "brief"}, messages)
        db.execute("COMMIT")
        count += 1
        if _at_end():
            break
    db.close()
    print(count, flush=True)


def _at_end() -> bool:
    try:
        return os.read(sys.stdin.fileno(), 1) == b""
    except BlockingIOError:
        return False


_COMMANDS: Final[dict[str, Callable[[str, Shape], None]]] = {
    "leave": leave,
    "hold": hold,
    "lock": lock,
    "crash": crash,
    "hurry": hurry,
}


def write(command: str, path: str, shape: str) -> None:
    _COMMANDS[command](path, Shape(**json.loads(shape)))
