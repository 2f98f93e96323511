"""Ctrl-C in the middle of long work: it ends in one line, and nothing is half done."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store

FILES = 450
GATE = 300


@pytest.fixture
def state_with_gate(tmp_path: Path) -> Path:
    """A state directory whose import comes to a stop behind its first batch of sessions.

    There it finds a torn file, and asks for its backup copy, which is a pipe: nothing comes out before the
    test puts something in.
    """
    sessions = tmp_path / "state" / "sessions"
    sessions.mkdir(parents=True)
    for number in range(FILES):
        messages = [{"role": "user", "content": f"message {index}"} for index in range(3)]
        data = json.dumps({"session_id": f"s{number:03}", "title": f"Session {number}", "messages": messages})
        (sessions / f"s{number:03}.json").write_text(data[: -5 if number == GATE else None], encoding="utf-8")
    os.mkfifo(sessions / f"s{GATE}.json.bak")
    return tmp_path / "state"


@pytest.fixture
def importing(
    program_line: Callable[..., list[str]], state_with_gate: Path, sqlite_path: Path
) -> Iterator[subprocess.Popen[str]]:
    """An import that is on its way."""
    command = program_line("import", state_with_gate, "--db", sqlite_path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@contextlib.contextmanager
def held_at_gate(process: subprocess.Popen[str], state: Path) -> Iterator[None]:
    """Wait until the import asks for the backup copy, and let it wait for the content while the block runs."""
    while True:
        assert process.poll() is None, "it ended before it came there"
        try:
            pipe = os.open(state / "sessions" / f"s{GATE}.json.bak", os.O_WRONLY | os.O_NONBLOCK)
            break
        except OSError:  # nobody reads yet
            time.sleep(0.01)
    try:
        yield
    finally:
        os.close(pipe)


def test_an_interrupted_import_keeps_whole_sessions_and_is_finished_by_the_next_one(
    run: Any, importing: subprocess.Popen[str], state_with_gate: Path, sqlite_path: Path
) -> None:
    with held_at_gate(importing, state_with_gate):
        importing.send_signal(signal.SIGINT)
    said, complaint = importing.communicate()
    assert (importing.returncode, said) == (130, "")
    assert complaint.startswith("Interrupted. What was imported so far, at least ")
    assert complaint.endswith(" is in the database; the same command imports the rest.\n")
    assert complaint.count("\n") == 1
    with Store.open(sqlite_path, read_only=True) as store:
        kept = list(store.sessions.iterate())
    assert 200 <= len(kept) < FILES
    assert {session.message_count for session in kept} <= {2, 3}  # 2: of the torn one

    (state_with_gate / "sessions" / f"s{GATE}.json.bak").unlink()
    said = run("import", state_with_gate, "--db", sqlite_path).stdout
    assert f"{len(kept)} unchanged" in said
    with Store.open(sqlite_path, read_only=True) as store:
        assert store.sessions.count() == FILES


def test_ctrl_c_pressed_again_ends_the_import_where_it_is(
    importing: subprocess.Popen[str], state_with_gate: Path, sqlite_path: Path
) -> None:
    with held_at_gate(importing, state_with_gate):
        while importing.poll() is None:  # nothing comes through the pipe: only the signals can end it
            importing.send_signal(signal.SIGINT)
            time.sleep(0.1)
    importing.communicate()
    assert importing.returncode in (130, -signal.SIGINT)
    with Store.open(sqlite_path, read_only=True) as store:
        assert {session.message_count for session in store.sessions.iterate()} == {3}


def test_an_interrupted_dry_run_has_written_nothing(
    program_line: Callable[..., list[str]], state_with_gate: Path, tmp_path: Path
) -> None:
    command = program_line("import", state_with_gate, "--db", tmp_path / "new.db", "--dry-run")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with held_at_gate(process, state_with_gate):
        process.send_signal(signal.SIGINT)
    assert process.communicate()[1] == "Interrupted. Nothing was written.\n"
    assert process.returncode == 130
    assert not (tmp_path / "new.db").exists()
