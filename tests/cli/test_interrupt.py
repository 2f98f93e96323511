"""Ctrl-C in the middle of an import: it ends in one line, and nothing is half done."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store

pytestmark = pytest.mark.slow

FILES = 450
#: The program itself, but that it stops at one session, deep inside a later batch, until a line comes in: at the
#: first statement on it that begins with the words of the first argument.
PROGRAM = """
import sys
from pathlib import Path
from hermes_store.storage.dialects.sqlite_unit import COMPILER, SQLiteUnitOfWork

gate, words = Path("at the gate"), sys.argv.pop(1)
run = SQLiteUnitOfWork.rows

def stop_at_gate(unit, statement, parameters={}):
    found = statement.compiled(COMPILER).sql.startswith(words) and "s300" in parameters.values()
    if found and not gate.exists():
        gate.touch()
        sys.stdin.readline()
    return run(unit, statement, parameters)

SQLiteUnitOfWork.rows = stop_at_gate

from hermes_store.__main__ import main
main()
"""

Import = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that takes several batches to import."""
    sessions = tmp_path / "state" / "sessions"
    sessions.mkdir(parents=True)
    for number in range(FILES):
        messages = [{"role": "user", "content": f"message {index}"} for index in range(3)]
        data = {"session_id": f"s{number:03}", "title": f"Session {number}", "messages": messages}
        path = sessions / f"s{number:03}.json"
        path.write_text(json.dumps(data), encoding="utf-8")
        os.utime(path, (1.75e9 - number, 1.75e9 - number))  # the newest one is imported first
    return tmp_path / "state"


@pytest.fixture
def agent_home(tmp_path: Path) -> Path:
    """An agent's home with as many sessions."""
    home = tmp_path / "home"
    home.mkdir()
    with closing(sqlite3.connect(home / "state.db")) as db, db:
        db.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT, started_at REAL)")
        db.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT, role TEXT, content TEXT)")
        db.execute("CREATE INDEX of_session ON messages (session_id)")
        numbers = range(FILES)
        db.executemany("INSERT INTO sessions VALUES (?, 'cli', ?)", [(f"s{n:03}", 1.75e9 - n) for n in numbers])
        db.executemany(
            "INSERT INTO messages (session_id, role, content) VALUES (?, 'user', ?)",
            [(f"s{n:03}", f"message {index}") for n in numbers for index in range(3)],
        )
    return home


@pytest.fixture
def run_up_to_gate(tmp_path: Path) -> Iterator[Import]:
    """Start a command, and return it when it stands in the middle."""
    started = []

    def begin(words: str, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, words, *map(str, arguments)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        while not (tmp_path / "at the gate").exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def import_up_to_gate(state: Path, run_up_to_gate: Import) -> Import:
    """Start an import of the files, and return it when it stands in the middle."""
    return lambda *options: run_up_to_gate("", "import", state, *options)


def test_an_interrupted_import_keeps_whole_sessions(
    run: Any, import_up_to_gate: Import, state: Path, sqlite_path: Path
) -> None:
    process = import_up_to_gate("--db", sqlite_path)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate("go on\n")
    assert (process.returncode, said) == (130, "")
    match = re.match(r"Interrupted. What was imported so far, at least (\d+) files, is in the database; ", complaint)
    assert match is not None
    assert complaint.count("\n") == 1
    with Store.open(sqlite_path, read_only=True) as store:
        kept = list(store.sessions.iterate())
    assert 100 < int(match[1]) <= len(kept) < FILES
    assert {session.message_count for session in kept} == {3}

    said = run("import", state, "--db", sqlite_path).stdout
    assert f"{FILES - len(kept)} imported, {len(kept)} unchanged." in said


def test_repeated_ctrl_c_ends_the_import_at_once(import_up_to_gate: Import, sqlite_path: Path) -> None:
    process = import_up_to_gate("--db", sqlite_path)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:  # the line that it waits for does not come
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.returncode in (130, -signal.SIGINT)
    with Store.open(sqlite_path, read_only=True) as store:
        kept = [session.message_count for session in store.sessions.iterate()]
    assert kept == [3] * len(kept)
    assert 100 < len(kept) <= 300


def test_an_interrupted_dry_run_has_written_nothing(import_up_to_gate: Import, tmp_path: Path) -> None:
    process = import_up_to_gate("--db", tmp_path / "new.db", "--dry-run")
    process.send_signal(signal.SIGINT)
    assert process.communicate("go on\n") == ("", "Interrupted. Nothing was written.\n")
    assert process.returncode == 130
    assert not (tmp_path / "new.db").exists()


@pytest.mark.parametrize("named", [False, True])
def test_interrupted_agent_import_is_completed_by_the_next(
    run: Any, run_up_to_gate: Import, agent_home: Path, sqlite_path: Path, named: bool
) -> None:
    ids = [f"s{number:03}" for number in range(290, 310)] if named else []
    before, total = (10, 20) if named else (300, FILES)
    command = ["agent", "import", *ids, "--home", agent_home, "--db", sqlite_path]
    process = run_up_to_gate("INSERT INTO sessions", *command)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate("go on\n")
    assert (process.returncode, said) == (130, "")
    assert complaint == (
        f"Interrupted. What was imported so far, at least {before + 1} sessions, is in the database; the same command "
        "imports the rest.\n"
    )
    with Store.open(sqlite_path, read_only=True) as store:
        kept = list(store.sessions.iterate())
    assert before < len(kept) < total  # several are written in one transaction
    assert {session.message_count for session in kept} == {3}
    assert f"{total - len(kept)} imported, {len(kept)} unchanged." in run(*command).stdout


def test_ctrl_c_lets_the_last_session_end(run_up_to_gate: Import, agent_home: Path, sqlite_path: Path) -> None:
    process = run_up_to_gate(
        "INSERT INTO sessions", "agent", "import", "s300", "--home", agent_home, "--db", sqlite_path
    )
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate("go on\n")
    assert (process.returncode, complaint) == (0, "")
    assert "1 imported." in said
