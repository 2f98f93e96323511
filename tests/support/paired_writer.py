"""A writer in a process of its own whose transactions are seen by others whole or not at all."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from hermes_store import Store
from tests.support.processes import start_function

PAIR = ("left", "right")


def write_pairs(path: str) -> None:
    """Append one message to each of two sessions in each transaction, until the input ends; print how many times."""
    number = 0
    with Store.open(path, durability="normal", busy_timeout=60) as store:
        for session_id in PAIR:
            if not store.sessions.exists(session_id):
                store.sessions.create(session_id=session_id)
        while True:
            with store.transaction() as tx:
                for session_id in PAIR:
                    tx.messages.append(session_id, {"number": number, "text": "x" * 500})
            number += 1
            print(number, flush=True)
            if number % 5 == 0 and sys.stdin.readline() != "go on\n":
                return


class Writer:
    """The process of `write_pairs`, which writes five pairs at a time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        #: How many pairs were reported as written.
        self.done = 0
        self.wait()

    def wait(self) -> None:
        """Wait until it has written five more pairs."""
        for _ in range(5):
            self.done = int(self._process.stdout.readline())

    def start_more(self) -> None:
        """Let it write five more pairs, and do not wait."""
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()

    def write_more(self) -> None:
        """Let it write five more pairs."""
        self.start_more()
        self.wait()


@contextlib.contextmanager
def writer_of(path: Path) -> Iterator[Writer]:
    """Let another process write pairs; it has written the first five when the block begins."""
    process = start_function(write_pairs, path)
    try:
        yield Writer(process)
    finally:
        process.stdin.close()
        process.stdout.close()
        assert process.wait(60) in (0, 120)  # 120: it had something to print, and nobody reads it


def require_pairs(store: Store, at_least: int) -> None:
    """Every pair is whole, and the first ones are there."""
    left, right = (store.messages.read(session_id) for session_id in PAIR)
    assert left == right
    assert [message["number"] for message in left] == list(range(len(left)))
    assert len(left) >= at_least
