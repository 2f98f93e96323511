"""Proof: what a long-lived process holds does not grow: descriptors, threads, memory, and the log of the database."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hermes_store import Store
from hermes_store.maintenance import copy, verify
from tests.proofs.result import Result

THREADS: Final = 4
_SAMPLES: Final = 10
#: Of each thread's connection the file and the log, the file again (SQLite keeps a descriptor for reuse: closing it
#: would drop the process's locks), and the index of the log.
_DESCRIPTORS: Final = 3 * THREADS + 1
_LONG: Final = 200
#: How often each verb is chosen, relative to the others, in the order of `_User`.
_WEIGHTS: Final = (30, 25, 15, 5, 8, 5, 4, 8, 3, 8, 0.5, 2, 4, 0.5, 0.5)
#: Bytes by which memory may grow after the first fifth of the operations. (Allocators do not give everything back.)
_MEMORY: Final = 16 << 20
#: Bytes of the log: SQLite moves it into the file each 1,000 pages of 4 KiB, if nobody reads at that moment.
_LOG: Final = 64 << 20


@dataclass
class _Sample:
    """What the process holds."""

    descriptors: int
    threads: int
    memory: int
    log: int


def prove(*, operations: int, seed: int = 0) -> Result:
    """Do operations in one process, and look at what it holds after each tenth."""
    if not Path("/proc/self/fd").exists():
        return Result(skipped="what a process holds is read from Linux's /proc")
    result = Result()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        path = Path(name) / "hermes.db"
        before = _sample(path)
        with Store.open(path, durability="normal", busy_timeout=60) as store:
            samples = []
            for number in range(_SAMPLES):
                log = _work(store, path, operations // _SAMPLES, seed + number, result)
                copy(path, target := path.with_name("copy.db"))
                target.unlink()
                samples.append(_sample(path, log))
            result.problems += [f"verify: {one.kind} {one.problem}" for one in verify(store).findings]
        after = _sample(path)
    _judge(result, before, samples, after)
    return result


def _log(path: Path) -> int:
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def _sample(path: Path, log: int = 0) -> _Sample:
    return _Sample(
        descriptors=len([*Path("/proc/self/fd").iterdir()]),
        threads=threading.active_count(),
        memory=int(Path("/proc/self/statm").read_text().split()[1]) * 4_096,
        log=max(log, _log(path)),
    )


def _judge(result: Result, before: _Sample, samples: list[_Sample], after: _Sample) -> None:
    settled = samples[1]
    for sample in samples:
        if sample.descriptors > before.descriptors + _DESCRIPTORS or sample.threads > before.threads:
            result.problems.append(f"it grew: {before}, {sample}")
    if samples[-1].memory > settled.memory + _MEMORY:
        result.problems.append(f"memory grew: {settled}, {samples[-1]}")
    if max(sample.log for sample in samples) > _LOG:
        result.problems.append(f"the log grew: {samples}")
    if (after.descriptors, after.threads, after.log) != (before.descriptors, before.threads, 0):
        result.problems.append(f"something is held after closing: {before}, {after}")
    for name in ("descriptors", "threads", "memory", "log"):
        values = [getattr(sample, name) for sample in samples]
        shown = [f"{value / (1 << 20):.1f} MiB" if name in ("memory", "log") else str(value) for value in values]
        when = "largest log in each tenth" if name == "log" else f"{name} after each tenth"
        result.figures[when] = ", ".join(shown)


def _work(store: Store, path: Path, operations: int, seed: int, result: Result) -> int:
    """Let new threads do some operations, and return the largest size of the log meanwhile."""
    users = [_User(store, path, number, random.Random(f"{seed}/{number}")) for number in range(THREADS)]
    threads = [threading.Thread(target=user.run, args=(operations // THREADS,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for user in users:
        result.count("operations", user.done)
        result.problems += user.problems
    return max(user.log for user in users)


class _User:
    """A thread that uses a session for a while, purges it, and takes another one."""

    def __init__(self, store: Store, path: Path, number: int, chance: random.Random) -> None:
        self.done = self.log = 0
        self._path = path
        self.problems: list[str] = []
        self._store = store
        self._chance = chance
        self._id = f"s{number}-{time.monotonic_ns()}"
        self._cursor: str | None = None
        self._verbs: list[Callable[[], object]] = [
            lambda: store.messages.append(self._id, {"role": "user", "content": "x" * chance.choice([20, 500, 5_000])}),
            lambda: store.messages.tail(self._id, limit=20),
            lambda: store.sessions.get(self._id),
            lambda: store.sessions.list(limit=20),
            lambda: store.sessions.update(self._id, title=f"Title {self.done}"),
            lambda: store.documents.put(self._id, {"draft": "d" * chance.choice([20, 5_000])}),
            self._transaction,
            self._cut,
            self._undo,
            lambda: store.usage.record(
                self._id, model=chance.choice("abc"), input_tokens=chance.randrange(9), cost=0.1
            ),
            lambda: store.usage.totals("model", since=time.time() - 1),
            lambda: store.search("title", limit=5),
            self._follow,
            self._share,
            self._fork,
        ]

    def run(self, operations: int) -> None:
        try:
            self._store.sessions.create(session_id=self._id)
            for _ in range(operations):
                self._chance.choices(self._verbs, _WEIGHTS)[0]()
                self.done += 1
                if self.done % 100 == 0:
                    self.log = max(self.log, _log(self._path))
            self._store.sessions.purge(self._id)
        except Exception as error:  # whatever it is, it is a problem
            self.problems.append(f"{type(error).__name__}: {error}")

    def _transaction(self) -> None:
        with self._store.transaction() as tx:
            tx.messages.extend(self._id, [{"role": "user"}, {"role": "assistant"}])
            tx.sessions.update(self._id, pinned=True)

    def _cut(self) -> None:
        record = self._store.sessions.get(self._id)
        if record.message_count > _LONG:
            self._store.messages.truncate(self._id, keep=10, expected_revision=record.revision)

    def _undo(self) -> None:
        record = self._store.sessions.get(self._id)
        if record.message_count:
            keep = record.message_count - 1
            self._store.messages.truncate(self._id, keep=keep, expected_revision=record.revision)
            self._store.messages.undo(self._id)

    def _follow(self) -> None:
        page = self._store.changes(after=self._cursor)
        self._cursor = page.cursor

    def _share(self) -> None:
        self._store.shares.delete(self._store.shares.create(self._id).token)

    def _fork(self) -> None:
        """Fork the session, and go on with the fork."""
        fork = self._store.sessions.fork(self._id)
        self._store.sessions.purge(self._id)
        self._id = fork.session_id
