"""Writers that append as fast as they can: threads of this process, or processes of this module.

A process reads from its standard input what to do as a line of JSON: the contender, the database, the durability, the
session and how many seconds. It prints "ready", waits for another line, appends, and prints what each append took.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from hermes_store import Store

from .contenders.floor import Floor
from .results import OURS
from .workload import message

Durability = Literal["full", "normal"]
Append = Callable[[str, Any], object]
_ROOT = Path(__file__).parents[1]


def open_writer(contender: str, path: Path | str, durability: Durability) -> tuple[Append, Callable[[], None]]:
    """Return what appends a message to a session, and what closes the database."""
    if contender == OURS:
        store = Store.open(path, durability=durability, busy_timeout=30)
        return store.messages.append, store.close
    floor = Floor(Path(path), durability)
    return lambda session_id, one: floor.append(session_id, [one]), floor.close


def hammer(append: Append, session_id: str, seconds: float) -> list[float]:
    """Append for so many seconds, and return the seconds that each append took."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        append(session_id, message(len(taken)))
        taken.append(time.perf_counter() - started)
    return taken


def threads(
    contender: str, path: Path, durability: Durability, sessions: Sequence[str], seconds: float
) -> list[list[float]]:
    """Let a thread append to each session at once, and return what the appends of each took.

    Ours share a store. The floor's have a connection each, and a lock in front of the database, so that they need not
    wait by polling it.
    """
    lock, closing, writers = threading.Lock(), [], []
    for _ in sessions if contender != OURS else sessions[:1]:
        append, close = open_writer(contender, path, durability)
        closing.append(close)

        def in_turn(session_id: str, one: Any, append: Append = append) -> None:
            with lock:
                append(session_id, one)

        writers.append(append if contender == OURS else in_turn)
    if contender == OURS:
        writers *= len(sessions)
    together = threading.Barrier(len(sessions))
    taken: list[list[float]] = [[] for _ in sessions]

    def work(index: int) -> None:
        together.wait()
        taken[index] = hammer(writers[index], sessions[index], seconds)

    running = [threading.Thread(target=work, args=(index,)) for index in range(len(sessions))]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for close in closing:
        close()
    return taken


class Processes:
    """Processes of this module, which stay for several runs, as starting one takes longer than a run."""

    def __init__(self, count: int) -> None:
        command = [sys.executable, "-m", "benchmarks.writer"]
        self._running = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=_ROOT)
            for _ in range(count)
        ]

    def run(
        self, contender: str, path: Path | str, durability: Durability, sessions: Sequence[str], seconds: float
    ) -> list[list[float]]:
        """Let a process append to each session at once, and return what the appends of each took."""
        for process, session_id in zip(self._running, sessions, strict=True):
            _tell(process, json.dumps([contender, str(path), durability, session_id, seconds]))
        for process in self._running:
            _hear(process)
        for process in self._running:
            _tell(process, "go")
        return [json.loads(_hear(process)) for process in self._running]

    def close(self) -> None:
        """End them."""
        for process in self._running:
            process.communicate()


def _tell(process: subprocess.Popen[str], line: str) -> None:
    if process.stdin is not None:
        process.stdin.write(f"{line}\n")
        process.stdin.flush()


def _hear(process: subprocess.Popen[str]) -> str:
    line = "" if process.stdout is None else process.stdout.readline()
    if not line:
        raise AssertionError("a process that writes ended")
    return line


def main() -> None:
    """Run what each line of the standard input says."""
    for line in sys.stdin:
        contender, path, durability, session_id, seconds = json.loads(line)
        append, close = open_writer(contender, path, durability)
        append(session_id, message(0))
        print("ready", flush=True)
        sys.stdin.readline()
        taken = hammer(append, session_id, seconds)
        close()
        print(json.dumps(taken), flush=True)


if __name__ == "__main__":
    main()
