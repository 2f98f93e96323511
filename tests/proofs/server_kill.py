"""Proof: a PostgreSQL server that is stopped at once loses no write that was acknowledged, and has none half.

A store's threads write to it, and note what they begin and what is done. Then the server is stopped as by a crash, or
one of its processes is killed, upon which it ends all connections and recovers, or it ends one connection. Once it is
there again, everything is compared with what was acknowledged. An error that says that nothing was written has to be
true; after one that says that the outcome is unknown, all of the operation is there or nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import psycopg

from hermes_store import CommitUnknownError, DatabaseUnavailableError, Store
from tests.proofs.kill_check import StoreCheck
from tests.proofs.operations import SHARED, Model, Op, apply
from tests.proofs.result import Result
from tests.proofs.worker import WEIGHTS, Worker
from tests.support.clusters import Cluster, one_cluster

THREADS: Final = 3
#: A new database is begun after this many lives, so that none takes long to check.
_LIVES: Final = 20
_STOP: Final = "stopped at once"
_KILL: Final = "a process of the server killed"
_END: Final = "one connection ended"
#: Ends one connection of a store; returns the number of its process.
_SOME: Final = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'hermes_store'
ORDER BY state <> 'active', random() LIMIT 1
"""


def prove(*, kills: int, seed: int = 0) -> Result:
    """Stop a server or what belongs to it `kills` times, and check after each."""
    result = Result()
    with one_cluster() as server, tempfile.TemporaryDirectory() as folder:
        proof = _Proof(server, Path(folder), random.Random(seed), result)
        for life in range(kills):
            if life % _LIVES == 0:
                proof.begin(f"proof_{life}")
            proof.live(life)
        proof.end()
    return result


class _Client(Worker):
    #: What is one transaction each: of an error that says so, nothing was written.
    weights: Final = {verb: weight for verb, weight in WEIGHTS.items() if weight >= 2}


class _StopError(Exception):
    """Ends a client before its next operation."""


class _Proof:
    def __init__(self, server: Cluster, folder: Path, chance: random.Random, result: Result) -> None:
        self._server = server
        self._chance = chance
        self._result = result
        self._store: Store | None = None
        self._folder = folder

    def begin(self, name: str) -> None:
        """Go on with a new database."""
        self.end()
        with self._admin() as admin:
            admin.execute(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
        self._database = name
        self._store = Store.open(self._server.url_of(name), busy_timeout=60)
        self._store.sessions.create(session_id=SHARED)
        self._models = [Model() for _ in range(THREADS)]

    def end(self) -> None:
        """Close what is open."""
        if self._store is not None:
            self._store.close()

    def live(self, life: int) -> None:
        """Let threads write, stop the server or a part of it, and check."""
        assert self._store is not None
        way = self._chance.choice([_STOP, _STOP, _KILL, _END])
        clients = [
            _Thread(self._store, self._folder, self._models[index], f"{life}_{index}") for index in range(THREADS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.spoken.wait(60)
        time.sleep(self._chance.random() * 0.3)
        self._fail(way)
        for client in clients:
            client.stop.set()
        for client in clients:
            client.join()
        if way == _STOP:
            self._server.start()
        with self._admin():
            pass  # it has recovered
        self._result.count("kills")
        self._result.count(f"kills: {way}")
        self._check(clients, f"life {life}, {way}")

    def _fail(self, way: str) -> None:
        if way == _STOP:
            self._server.stop()
            return
        with self._admin(self._database) as admin:
            found = admin.execute(_SOME).fetchone()
            if found is not None and way == _END:
                admin.execute("SELECT pg_terminate_backend(%s)", found)
            elif found is not None:
                os.kill(found[0], signal.SIGKILL)
                time.sleep(0.1)  # until the server has noticed, and ends the others

    @contextlib.contextmanager
    def _admin(self, name: str = "postgres") -> Iterator[psycopg.Connection[Any]]:
        """Give a connection, once the server takes one."""
        until = time.monotonic() + 60
        while True:
            try:
                connection = psycopg.connect(self._server.url_of(name), autocommit=True)
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
                continue
            with connection:
                yield connection
            return

    def _check(self, clients: list[_Thread], where: str) -> None:
        assert self._store is not None
        result = self._result
        for client in clients:
            for verb in client.done:
                result.count("acknowledged operations")
                result.count(f"acknowledged: {verb}")
            if isinstance(client.error, CommitUnknownError):
                result.count("operations of unknown outcome")
            elif isinstance(client.error, DatabaseUnavailableError):
                result.count("operations that were refused")
            elif client.error is not None:
                result.problems.append(f"{where}: {type(client.error).__name__}: {client.error}"[:500])
        unknown = [client.op if isinstance(client.error, CommitUnknownError) else None for client in clients]
        check = StoreCheck(where)
        found = check.compare(self._store, [client.model for client in clients], unknown)
        changed = [model is not client.model for model, client in zip(found, clients, strict=True)]
        done = sum(op is not None and is_done for op, is_done in zip(unknown, changed, strict=True))
        result.count("operations of unknown outcome, and done", done)
        self._models = found
        result.problems += check.problems


class _Thread(threading.Thread):
    """A client: it does one operation after the other until one fails, or until it is told to stop."""

    def __init__(self, store: Store, folder: Path, model: Model, name: str) -> None:
        super().__init__(daemon=True)
        self._store, self._folder, self._name_of_ops = store, folder, name
        #: What has to be there: everything that is done.
        self.model = model
        self.done: list[str] = []
        #: What it was doing, and what went wrong with that.
        self.op: Op | None = None
        self.error: BaseException | None = None
        self.spoken = threading.Event()
        self.stop = threading.Event()

    def run(self) -> None:
        worker = _Client(self._store, self._folder, self.model, self._name_of_ops, self._note, lambda: None)
        try:
            worker.run(10**9)
        except _StopError:
            pass
        except BaseException as error:  # whatever it is, the proof judges it
            self.error = error
        finally:
            self.spoken.set()

    def _note(self, line: dict[str, Any]) -> None:
        if "begin" in line:
            if self.stop.is_set():
                raise _StopError
            self.op = line["begin"]
            return
        assert self.op is not None
        self.model = apply(self.model, self.op)
        self.done.append(self.op["verb"])
        self.spoken.set()
