"""Two verbs on PostgreSQL at once: one is paused before one of its statements, and the other runs meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final
from unittest import mock

import psycopg

from hermes_store import Store
from hermes_store.storage.dialects.postgresql_unit import PostgreSQLUnitOfWork
from tests.support.internals import database_of

#: Seconds after which something hangs.
_HANGS: Final = 60
_STATE: Final = """
SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s AND state = 'active'
"""


class _Pause:
    """Holds a thread at one of its statements."""

    def __init__(self, before: int) -> None:
        self._left = before
        self.is_reached = threading.Event()
        self.goes_on = threading.Event()

    def step(self) -> None:
        """Be called before each statement, and before the commit."""
        self._left -= 1
        if self._left == 0:
            self.is_reached.set()
            assert self.goes_on.wait(_HANGS)


class Pair:
    """Two stores on one database, whose verbs are run at once.

    Args:
        url: the database's.
    """

    def __init__(self, url: str) -> None:
        self._stores = (Store.open(url), Store.open(url))
        self._watcher = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
        self._pause: _Pause | None = None
        #: The process on the server of the connection that the other verb uses.
        self._process = 0
        self._patches = contextlib.ExitStack()
        for name in ("rows", "execute", "execute_many", "command", "_commit"):
            original = getattr(PostgreSQLUnitOfWork, name)
            self._patches.enter_context(mock.patch.object(PostgreSQLUnitOfWork, name, self._noticing(original)))

    @property
    def store(self) -> Store:
        """One of the stores, to be used between runs."""
        return self._stores[0]

    def close(self) -> None:
        self._patches.close()
        for store in self._stores:
            store.close()
        self._watcher.close()

    def run(
        self, paused: Callable[[Store], object], other: Callable[[Store], object], before: int
    ) -> tuple[Any, Any] | None:
        """Run a verb until it is about to execute a statement, then the other one, until it ends or waits for a lock.

        Args:
            before: the statement, counted from 1. The commit is one as well.

        Returns:
            What each returned or raised; None if the paused one has fewer statements.
        """
        self._pause = pause = _Pause(before)
        self._process = 0
        first = _Running(paused, self._stores[0], pause.is_reached)
        try:
            assert pause.is_reached.wait(_HANGS)
            if first.has_ended:
                return None
            second = _Running(other, self._stores[1])
            while not (second.has_ended or self._is_waiting()):
                second.join(0.001)
        finally:
            pause.goes_on.set()
            first.join(_HANGS)
            self._pause = None
        return first.outcome(), second.outcome()

    def _is_waiting(self) -> bool:
        return bool(self._process) and self._watcher.execute(_STATE, [self._process]).fetchone() == (True,)

    def _noticing(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Return a method of units of work that is paused before, or whose process is noted."""

        def run(unit: Any, *arguments: Any) -> Any:
            if unit._database is database_of(self._stores[1]):
                self._process = unit._raw.info.backend_pid
            elif unit._database is database_of(self._stores[0]) and self._pause is not None:
                self._pause.step()
            return original(unit, *arguments)

        return run


class _Running(threading.Thread):
    """A verb in a thread."""

    def __init__(
        self, verb: Callable[[Store], object], store: Store, is_reached: threading.Event | None = None
    ) -> None:
        super().__init__(daemon=True)
        self._verb = verb
        self._store = store
        self._is_reached = is_reached
        self._outcome: object = None
        self.has_ended = False
        self.start()

    def run(self) -> None:
        try:
            self._outcome = self._verb(self._store)
        except Exception as error:  # whatever it is, the test judges it
            self._outcome = error
        finally:
            self.has_ended = True
            if self._is_reached is not None:
                self._is_reached.set()

    def outcome(self) -> object:
        """Wait until it ends, and return what it returned or raised."""
        self.join(_HANGS)
        assert self.has_ended, "a thread hangs"
        return self._outcome
