"""Ctrl-C in the middle of an import: it ends in one line, and nothing is half done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store

FILES = 450
#: The program itself, but that it stops at one session, deep inside its second batch, until a line comes in.
PROGRAM = """
import sys
from pathlib import Path
from sqlalchemy import Engine, event

gate = Path("at the gate")

def stop_at_gate(connection, cursor, statement, parameters, context, executemany):
    if not executemany and "s300" in parameters and not gate.exists():
        gate.touch()
        sys.stdin.readline()

event.listen(Engine, "before_cursor_execute", stop_at_gate)

from hermes_store.__main__ import main
main()
"""

Import = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory that takes three batches to import."""
    sessions = tmp_path / "state" / "sessions"
    sessions.mkdir(parents=True)
    for number in range(FILES):
        messages = [{"role": "user", "content": f"message {index}"} for index in range(3)]
        data = {"session_id": f"s{number:03}", "title": f"Session {number}", "messages": messages}
        (sessions / f"s{number:03}.json").write_text(json.dumps(data), encoding="utf-8")
    return tmp_path / "state"


@pytest.fixture
def import_up_to_gate(state: Path, tmp_path: Path) -> Iterator[Import]:
    """Start an import, and return it when it stands in the middle."""
    started = []

    def begin(*options: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", PROGRAM, "import", str(state), *map(str, options)]
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


def test_an_interrupted_import_keeps_whole_sessions_and_is_finished_by_the_next_one(
    run: Any, import_up_to_gate: Import, state: Path, sqlite_path: Path
) -> None:
    process = import_up_to_gate("--db", sqlite_path)
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate("go on\n")
    assert (process.returncode, said) == (130, "")
    assert complaint.startswith("Interrupted. What was imported so far, at least 201 files, is in the database; ")
    assert complaint.count("\n") == 1
    with Store.open(sqlite_path, read_only=True) as store:
        kept = list(store.sessions.iterate())
    assert 201 <= len(kept) < FILES
    assert {session.message_count for session in kept} == {3}

    said = run("import", state, "--db", sqlite_path).stdout
    assert f"{FILES - len(kept)} imported, {len(kept)} unchanged." in said


def test_ctrl_c_pressed_again_ends_the_import_where_it_is(import_up_to_gate: Import, sqlite_path: Path) -> None:
    process = import_up_to_gate("--db", sqlite_path)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:  # the line that it waits for does not come
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert process.returncode in (130, -signal.SIGINT)
    with Store.open(sqlite_path, read_only=True) as store:
        assert [session.message_count for session in store.sessions.iterate()] == [3] * 200


def test_an_interrupted_dry_run_has_written_nothing(import_up_to_gate: Import, tmp_path: Path) -> None:
    process = import_up_to_gate("--db", tmp_path / "new.db", "--dry-run")
    process.send_signal(signal.SIGINT)
    assert process.communicate("go on\n") == ("", "Interrupted. Nothing was written.\n")
    assert process.returncode == 130
    assert not (tmp_path / "new.db").exists()
