"""Proof: a process that is killed at any moment loses no write that was acknowledged, and leaves none half done.

A child process writes in several threads, which write to a pipe what they begin and what is done. It is killed at a
random moment, before a random SQL statement, in the middle of a random call of the operating system, or after a commit
that was not acknowledged yet. Then everything is compared with what was acknowledged.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import select
import shutil
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from hermes_store import HermesStoreError, Store
from tests.proofs import disk_faults
from tests.proofs.disk_faults import Calls, End
from tests.proofs.kill_check import Check, everything
from tests.proofs.operations import SHARED, Model, Op, apply
from tests.proofs.result import Result
from tests.proofs.worker import Worker, say_to
from tests.support.first_release import restore_sqlite
from tests.support.internals import configure_connections

THREADS: Final = 3
#: A new database is begun after this many lives, so that none takes long to check.
_LIVES: Final = 20
_STATEMENTS: Final = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "INSERT", "UPDATE", "DELETE", "PRAGMA", "VACUUM", "")
_POINTS: Final = {
    "before a write": (Calls.WRITE, End.BEFORE),
    "in a write": (Calls.WRITE, End.HALFWAY),
    "after a write": (Calls.WRITE, End.AFTER),
    "before a flush": (Calls.SYNC, End.BEFORE),
    "after a flush": (Calls.SYNC, End.AFTER),
    "at a change of a file's name or size": (Calls.NAME | Calls.TRUNCATE, End.BEFORE),
    "after a change of a file's name or size": (Calls.NAME | Calls.TRUNCATE, End.AFTER),
}


def prove(*, kills: int, seed: int = 0) -> Result:
    """Kill a process `kills` times, and check after each."""
    if disk_faults.why_not():
        result = Result(**run(str(kills), str(seed), "no"))
        result.figures["not tried"] = f"kills inside system calls: {disk_faults.why_not()}"
        return result
    return Result(**disk_faults.call(run, kills, seed, "yes"))


def run(kills: str, seed: str, with_calls: str) -> dict[str, Any]:
    """Run the proof in this process, which forks."""
    proof = _Proof(random.Random(int(seed)), with_calls == "yes")
    while proof.result.figures.get("kills", 0) < int(kills):
        with tempfile.TemporaryDirectory(prefix="kill-") as name:
            proof.begin(Path(name))
            for _ in range(_LIVES):
                proof.live()
                if proof.has_failed or proof.result.figures.get("kills", 0) >= int(kills):
                    break
    return dataclasses.asdict(proof.result)


class _Proof:
    def __init__(self, chance: random.Random, with_calls: bool) -> None:
        self.result = Result()
        self._chance = chance
        self._ways = ["at a random moment", "before a statement", "before an acknowledgement"]
        self._ways += [*_POINTS] if with_calls else []
        self._life = 0
        with tempfile.TemporaryDirectory() as name:
            first_release = restore_sqlite(Path(name) / "old.db")
            self._first_release = first_release.read_bytes()
            with Store.open(first_release) as store:  # and Alembic is imported, which each child would have to do
                self._upgraded = everything(store)

    def begin(self, folder: Path) -> None:
        """Go on with a new database in a folder."""
        self._folder = folder
        self.has_failed = False
        self._path = folder / "hermes.db"
        self._models = [Model() for _ in range(THREADS)]
        (folder / "first-release.db").write_bytes(self._first_release)
        with Store.open(self._path) as store:
            store.sessions.create(session_id=SHARED)

    def live(self) -> None:
        """Let a process write, kill it, and check."""
        self._life += 1
        way = self._chance.choice(self._ways)
        durability = self._chance.choice(["normal", "full"])
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            os.close(reader)
            self._be_child(writer, way, durability)
        os.close(writer)
        lines = self._listen(child, reader, self._chance.random() * 0.15 if way == "at a random moment" else 30.0)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            for name in ("kills", f"kills {way}", f"kills with durability={durability!r}"):
                self.result.count(name)
        else:
            self.result.count("lives that ended before their kill")
        self._check(lines, f"life {self._life}, {way}, {durability}")

    def _listen(self, child: int, reader: int, seconds: float) -> list[dict[str, Any]]:
        """Return what the child acknowledged until its end, which comes some time after its first line."""
        data = b""
        until = time.monotonic() + 60
        has_spoken = False
        while True:
            ready, _, _ = select.select([reader], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                os.kill(child, signal.SIGKILL)
                until = time.monotonic() + 60
            elif more := os.read(reader, 1 << 20):
                data += more
                if not has_spoken:
                    has_spoken, until = True, time.monotonic() + seconds
            else:
                break
        os.close(reader)
        return [json.loads(line) for line in data.splitlines()]

    def _check(self, lines: list[dict[str, Any]], where: str) -> None:
        begun: list[Op | None] = [None] * THREADS
        check = Check(self._path, self._upgraded, where)
        for line in lines:
            thread = int(line["thread"])
            if "begin" in line:
                begun[thread] = line["begin"]
                continue
            op, begun[thread] = begun[thread], None
            if "error" in line or op is None:
                self.result.problems.append(f"{where}: {line}")
                continue
            if "done" in line:
                self.result.count("acknowledged operations")
                self.result.count(f"acknowledged: {op['verb']}")
                self._models[thread] = apply(self._models[thread], op)
                check.add_done(op, self._models[thread])
        try:
            self._models = check.run(self._models, begun)
        except HermesStoreError as error:
            self.result.problems.append(f"{where}: {type(error).__name__}: {error}")
            self.has_failed = True
        self.result.count("operations that were under way", sum(op is not None for op in begun))
        self.result.problems += check.problems
        if check.problems and (keep := os.environ.get("HERMES_STORE_KEEP")):
            shutil.copytree(self._folder, Path(keep) / f"life-{self._life}", dirs_exist_ok=True)
        for pattern in ("backup-*", "copy-*", "export-*", "import-*", "old-*"):
            for found in self._folder.glob(pattern):
                shutil.rmtree(found) if found.is_dir() else found.unlink()

    # ── In the child ──

    def _be_child(self, descriptor: int, way: str, durability: Any) -> None:
        try:
            self._write(descriptor, way, durability)
        finally:
            os._exit(0)

    def _write(self, descriptor: int, way: str, durability: Any) -> None:
        number = int(1.5 ** self._chance.uniform(0, 11))  # up to 86, small ones as often as large ones
        begins_open = self._chance.random() < 0.9
        if way in _POINTS and not begins_open:
            calls, end = _POINTS[way]
            disk_faults.fail(calls, str(self._folder), end, after=number // 4)
        store = Store.open(self._path, durability=durability, busy_timeout=60)
        if way in _POINTS and begins_open:
            calls, end = _POINTS[way]
            disk_faults.fail(calls, str(self._folder), end, after=number)
        elif way == "before a statement":
            words = self._chance.choice(_STATEMENTS)
            countdown = _Countdown(number)
            configure_connections(
                store, lambda raw: raw.set_trace_callback(lambda text: text.startswith(words) and countdown.tick())
            )
        acknowledgements = _Countdown(number if way == "before an acknowledgement" else 10**9)
        threads = [
            threading.Thread(target=self._work, args=(store, descriptor, index, acknowledgements))
            for index in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.close()

    def _work(self, store: Store, descriptor: int, index: int, acknowledgements: _Countdown) -> None:
        say = say_to(descriptor, str(index))
        name = f"{self._life}_{index}"
        try:
            Worker(store, self._folder, self._models[index], name, say, acknowledgements.tick).run(300)
        except BaseException as error:  # whatever it is, it is a problem
            say({"error": f"{type(error).__name__}: {error}"[:3_000]})


class _Countdown:
    """Kills this process at the n-th tick."""

    def __init__(self, number: int) -> None:
        self._left = number

    def tick(self) -> None:
        self._left -= 1
        if self._left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
