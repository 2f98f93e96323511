"""Proof: whatever call of the operating system fails, a verb ends in a result or in a typed error that is true.

Each verb is run again and again, with a failure at the first, the second, the third of its calls, and so on: once, or
from there on. Then the calls work again, and the same store has to work, with nothing lost and nothing half there.
"""

from __future__ import annotations

import dataclasses
import errno
import itertools
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from hermes_store import FilesError, HermesStoreError, Store
from hermes_store.files import import_directory
from hermes_store.maintenance import verify
from tests.proofs import disk_faults
from tests.proofs.disk_faults import FOR_EVER, Calls
from tests.proofs.kill_check import found_in
from tests.proofs.operations import Model, Op, apply, visible
from tests.proofs.real_disk import prove_on_small_disk
from tests.proofs.result import Result
from tests.proofs.worker import Worker, import_folder
from tests.support.first_release import restore_sqlite


class Failure(NamedTuple):
    """Calls that fail.

    Args:
        calls: which.
        text: on which files; see `disk_faults.fail`.
        number: the error number.
    """

    calls: Calls
    text: str
    number: int


ANY: Final = "/disk-"
FAILURES: Final = {
    "the database is on a full disk": Failure(Calls.WRITE, "/hermes.db$", errno.ENOSPC),
    "the log is on a full disk": Failure(Calls.WRITE, "-wal$", errno.ENOSPC),
    "the journal is on a full disk": Failure(Calls.WRITE, "-journal$", errno.ENOSPC),
    "no room for the index of the log": Failure(Calls.WRITE, "-shm$", errno.ENOSPC),
    "no room for temporary files": Failure(Calls.WRITE | Calls.OPEN, "etilqs_", errno.ENOSPC),
    "no room for new files": Failure(Calls.OPEN | Calls.NAME, ANY, errno.ENOSPC),
    "everything is full": Failure(Calls.WRITE, ANY, errno.ENOSPC),
    "the quota is used up": Failure(Calls.WRITE, ANY, errno.EDQUOT),
    "reads fail": Failure(Calls.READ, ANY, errno.EIO),
    "writes fail": Failure(Calls.WRITE, ANY, errno.EIO),
    "flushes fail": Failure(Calls.SYNC, ANY, errno.EIO),
    "cutting files fails": Failure(Calls.TRUNCATE, ANY, errno.EIO),
    "names cannot be changed": Failure(Calls.NAME, ANY, errno.EIO),
    "files cannot be opened": Failure(Calls.OPEN, ANY, errno.EIO),
    "too many files are open": Failure(Calls.OPEN, ANY, errno.EMFILE),
    "the file system is read-only": Failure(Calls.WRITE | Calls.TRUNCATE | Calls.NAME, ANY, errno.EROFS),
    "writes are cut short": Failure(Calls.WRITE, ANY, disk_faults.SHORT_WRITE),
}

#: The operations, and whether each is one transaction.
OPS: Final[dict[str, tuple[Op, bool]]] = {
    "create": ({"verb": "create", "session": "new", "title": "New"}, True),
    "append": ({"verb": "append", "session": "a", "size": 300, "count": 1}, True),
    "extend": ({"verb": "extend", "session": "a", "size": 60_000, "count": 3}, True),
    "replace": ({"verb": "replace", "session": "a", "position": 1, "size": 9_000, "count": 2}, True),
    "truncate": ({"verb": "truncate", "session": "a", "keep": 1}, True),
    "update": ({"verb": "update", "session": "a", "position": 0, "size": 9_000}, True),
    "undo": ({"verb": "undo", "session": "b"}, True),
    "fork": ({"verb": "fork", "session": "a", "new": "fork", "at": 2, "title": "Fork"}, True),
    "use": ({"verb": "use", "session": "a", "tokens": 7}, True),
    "title": ({"verb": "title", "session": "a", "title": "Changed"}, True),
    "put": ({"verb": "put", "session": "a", "name": "draft", "size": 9_000}, True),
    "delete": ({"verb": "delete", "session": "a"}, True),
    "restore": ({"verb": "restore", "session": "gone"}, True),
    "purge": ({"verb": "purge", "session": "a"}, True),
    "rename": ({"verb": "rename", "session": "a", "new": "renamed"}, True),
    "transaction": (
        {"verb": "transaction", "session": "a", "other": "b", "title": "T", "size": 9_000, "count": 2},
        True,
    ),
    "stream": ({"verb": "stream", "session": "a", "size": 300}, True),
    "import": ({"verb": "import", "counts": [2, 3, 30], "size": 3_000}, False),
    "export": ({"verb": "export"}, True),
    "backup": ({"verb": "backup"}, True),
    "copy": ({"verb": "copy"}, True),
    "compact": ({"verb": "compact"}, True),
    "migrate": ({"verb": "migrate"}, True),
    "open": ({"verb": "open"}, True),
    "close": ({"verb": "close"}, True),
    "read": ({"verb": "read"}, True),
}


def prove(*, points: int, seed: int = 0, share: float = 1.0) -> Result:
    """Let calls fail, at some points of each verb in each way.

    Args:
        points: how many at most; they are chosen at random, if there are more calls.
        seed: for that.
        share: of the verbs and ways, chosen at random.
    """
    if reason := disk_faults.why_not():
        return Result(skipped=reason)
    result = Result(**disk_faults.call(run, points, seed, share))
    result.add(prove_on_small_disk())
    return result


def run(points: str, seed: str, share: str) -> dict[str, Any]:
    """Run the proof in this process, whose calls can fail."""
    with tempfile.TemporaryDirectory(prefix="disk-") as name:
        chance = random.Random(int(seed))
        proof = _Proof(Path(name), chance, int(points))
        for mode, verb, failure in itertools.product(("wal", "delete"), OPS, FAILURES):
            if chance.random() < float(share):
                proof.try_all(mode, verb, failure)
    return dataclasses.asdict(proof.result)


def _make(path: Path, mode: Any) -> Model:
    """Make a database, and return what is in it."""
    model = Model()
    ops: list[Op] = [{"verb": "create", "session": one, "title": one} for one in ("a", "b", "gone", "probe")]
    ops += [{"verb": "extend", "session": one, "size": 2_000, "count": 4} for one in ("a", "b", "gone")]
    ops += [{"verb": "delete", "session": "gone"}, {"verb": "put", "session": "a", "name": "notes", "size": 5_000}]
    ops += [{"verb": "truncate", "session": "b", "keep": 3}]
    with Store.open(path, durability="full", journal_mode=mode) as store:
        worker = _worker(store, path.parent, model)
        for number, op in enumerate(ops):
            op["key"] = f"first-{number}"
            worker.do(op)
            model = apply(model, op)
    return model


def _worker(store: Store, folder: Path, model: Model) -> Worker:
    return Worker(store, folder, model, "disk", lambda _: None, lambda: None)


class _Proof:
    def __init__(self, folder: Path, chance: random.Random, points: int) -> None:
        self.result = Result()
        self._folder = folder
        self._chance = chance
        self._points = points
        self._models = {mode: _make(folder / f"{mode}.db", mode) for mode in ("wal", "delete")}
        restore_sqlite(folder / "first-release.db")
        shutil.copy(folder / "first-release.db", folder / "imported.db")
        Store.open(folder / "imported.db").close()  # Alembic is imported: its files are not what fails

    def try_all(self, mode: str, verb: str, failure: str) -> None:
        """Let a verb fail at its calls, one after the other."""
        calls = self._try(mode, verb, failure, after=FOR_EVER, times=0)
        for point in sorted(self._chance.sample(range(calls), min(calls, self._points))):
            for times in (1, FOR_EVER):
                self._try(mode, verb, failure, after=point, times=times)
                self.result.count("failures")

    def _try(self, mode: str, verb: str, failure: str, *, after: int, times: int) -> int:
        """Run a verb while calls fail, and check; return how many calls there were."""
        trial = _Trial(self._folder / "trial", self._folder / f"{mode}.db", self._models[mode], verb)
        where = f"{mode}, {verb}, {failure}, call {after}, {'once' if times == 1 else 'from there on'}"
        calls, text, number = FAILURES[failure]
        try:
            seen = trial.run(lambda: disk_faults.fail(calls, text, number, after=after, times=times))
        except Exception as error:  # whatever it is, it is a problem
            disk_faults.work()
            trial.problems.append(f"{type(error).__name__}: {error}")
            seen = 0
        self.result.problems += [f"{where}: {problem}" for problem in trial.problems]
        if times:
            self.result.count("typed errors" if trial.error else "results")
        trial.clean()
        return seen


class _Trial:
    """One verb, in a folder of its own."""

    def __init__(self, folder: Path, database: Path, model: Model, verb: str) -> None:
        self.problems: list[str] = []
        self.error: HermesStoreError | None = None
        self._folder = folder
        self._path = folder / "hermes.db"
        self._before = model
        op, self._is_whole = OPS[verb]
        self._op: Op = {"key": "k", **op}
        folder.mkdir()
        shutil.copy(database, self._path)
        shutil.copy(database.parent / "first-release.db", folder)

    def clean(self) -> None:
        """Remove what is left."""
        shutil.rmtree(self._folder)

    def run(self, fail: Callable[[], None]) -> int:
        """Run it, and check; return how many calls there were that might have failed."""
        if self._op["verb"] == "open":
            return self._run_open(fail)
        store = Store.open(self._path, busy_timeout=1)
        worker = _worker(store, self._folder, self._before)
        worker.prepare(self._op)
        fail()
        try:
            self._do(store, worker)
        except HermesStoreError as error:
            self.error = error
        finally:
            seen = disk_faults.seen()
            disk_faults.work()
        if store.closed:
            store = Store.open(self._path, busy_timeout=1)
        with store:
            self._check(store)
        with Store.open(self._path, busy_timeout=1) as store:
            self._check(store)
        return seen

    def _run_open(self, fail: Callable[[], None]) -> int:
        fail()
        try:
            Store.open(self._path, busy_timeout=1).close()
        except HermesStoreError as error:
            self.error = error
        finally:
            seen = disk_faults.seen()
            disk_faults.work()
        with Store.open(self._path, busy_timeout=1) as store:
            self._check(store)
        return seen

    def _do(self, store: Store, worker: Worker) -> None:
        if self._op["verb"] == "close":
            store.messages.append("probe", "before it is closed")
            store.close()
        elif self._op["verb"] == "import":
            report = import_directory(store, import_folder(self._folder, self._op))
            if report.failed:  # it names the files, and goes on with others
                self.error = FilesError(str(report.failed))
        elif self._op["verb"] == "read":
            for session_id in ("a", "b"):
                if found_in(store, session_id) != self._before.sessions[session_id]:
                    self.problems.append(f"{session_id} was read otherwise")
            list(store.sessions.iterate(include_empty=True))
        else:
            worker.do(self._op)

    def _check(self, store: Store) -> None:
        after = apply(self._before, self._op)
        allowed = [self._before, after]
        if self._is_whole:
            allowed = [self._before if self.error else after]
        for session_id in {*self._before.sessions, *after.sessions} - {"probe"}:
            found = found_in(store, session_id)
            if found not in [visible(model.sessions.get(session_id)) for model in allowed]:
                what = f"after {type(self.error).__name__}" if self.error else "after the verb"
                self.problems.append(f"{session_id} is not what it has to be {what}: {self.error}")
        count = store.messages.count("probe")
        store.messages.append("probe", "with room again")
        if store.messages.count("probe") != count + 1:
            self.problems.append("an append was lost")
        self.problems += [f"verify: {finding.kind} {finding.problem}" for finding in verify(store).findings]
