"""Proof: a large database of the first release is upgraded in little memory, says how far it is, and goes back again.

Opening it copies it, brings its tables to this code's revision and makes the index of words. All of that, and the way
back, happens in processes whose largest memory is compared with that of one that opens a new database.
"""

from __future__ import annotations

import itertools
import json
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hermes_store import Store
from hermes_store.storage.migrations import HEAD
from tests.proofs.result import Result
from tests.support.first_release import content_digest, make_large
from tests.support.processes import alembic, output, start_function

#: Bytes of memory by which an upgrade may exceed the opening of a new database.
_MEMORY: Final = 96 << 20
#: Seconds for which the log may say nothing.
_SILENT: Final = 30.0
_STATUS: Final = Path("/proc/self/status")


def prove(*, megabytes: int) -> Result:
    """Upgrade a database with so many megabytes of the first release, and downgrade it."""
    if not _STATUS.exists():
        return Result(skipped="the largest memory of a process is read from Linux's /proc")
    result = Result()
    with tempfile.TemporaryDirectory(prefix="upgrade-") as name:
        path = make_large(Path(name) / "old.db", megabytes=megabytes)
        before = content_digest(path)
        least = _run(open_store, Path(name) / "new.db")["memory"]
        result.figures["bytes before"] = path.stat().st_size
        upgraded = _run(open_store, path)
        result.figures["bytes afterwards"] = path.stat().st_size
        result.figures["messages"] = upgraded["messages"]
        for line in upgraded["log"]:
            result.count("lines of the log")
            for words, noun in _ENDS.items():
                if words in line["text"]:
                    result.figures[f"{noun} after"] = f"{line['at']:.0f} s"
        times = [0.0, *(line["at"] for line in upgraded["log"])]
        silent = max(last - first for first, last in itertools.pairwise(times))
        result.figures["longest time without a line"] = f"{silent:.1f} s"
        _note(result, "upgrade", upgraded, least)
        _require(result, silent <= _SILENT, f"nothing was logged for {silent:.0f} s")
        _require(result, content_digest(path) == before, "the upgrade changed something")
        _require(result, upgraded["found"] == 1, "a word of one message was not found")
        copies = [content_digest(copy) for copy in path.parent.glob("*.bak")]
        _require(result, copies == [before], f"the copy is not whole: {copies}")
        downgraded = _run(downgrade, path)
        _note(result, "downgrade", downgraded, least)
        _require(result, content_digest(path) == before, "the downgrade changed something")
    return result


#: By what the log says at the end of a part: what that was.
_ENDS: Final = {"Copied ": "copied", "Upgraded ": f"tables at revision {HEAD}", "all messages are in": "index of words"}


def _require(result: Result, condition: bool, problem: str) -> None:
    if not condition:
        result.problems.append(problem)


def _note(result: Result, name: str, done: dict[str, Any], least: int) -> None:
    more = done["memory"] - least
    result.figures[f"{name}: seconds"] = f"{done['seconds']:.0f} ({done['cpu']:.0f} of processor time)"
    result.figures[f"{name}: memory above that of a new database"] = f"{more / (1 << 20):.0f} MiB"
    _require(result, more <= _MEMORY, f"the {name} took {more / (1 << 20):.0f} MiB of memory")


def _run(function: Callable[..., object], path: Path) -> dict[str, Any]:
    """Call a function in a new process, and return what it printed and the memory and time that it took."""
    with start_function(function, path) as process:
        text, _ = process.communicate()
    if process.returncode:
        raise AssertionError(f"{function.__name__} ended with {process.returncode}")
    found: dict[str, Any] = json.loads(text)
    return found


class _Log(logging.Handler):
    """Keeps what is logged, with when."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self._began = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append({"at": time.monotonic() - self._began, "text": record.getMessage()})


def open_store(path: str) -> None:
    """Upgrade a database by opening it, and print what it took, the log, and what a search finds."""
    log = _Log()
    logger = logging.getLogger("hermes_store")
    logger.addHandler(log)
    logger.setLevel(logging.INFO)
    started = time.monotonic()
    with Store.open(path) as store:
        seconds = time.monotonic() - started
        facts = {"found": len(store.search('"1.199"').items), "messages": store.stats().messages, "log": log.lines}
    print(json.dumps({**_taken(seconds), **facts}))


def downgrade(path: str) -> None:
    """Bring a database back to the first release's tables, and print what that took."""
    started = time.monotonic()
    output(alembic("-x", f"url={path}", "downgrade", "0001"))
    print(json.dumps(_taken(time.monotonic() - started)))


def _taken(seconds: float) -> dict[str, Any]:
    # Not ru_maxrss, which a process has from the one that started it.
    [line] = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return {"seconds": seconds, "cpu": time.process_time(), "memory": int(line.split()[1]) * 1_024}
