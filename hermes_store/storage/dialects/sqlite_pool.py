"""The connections of a SQLite database."""

from __future__ import annotations

import functools
import sqlite3
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any


class ConnectionPool:
    """Open connections, each idle or in use by one owner.

    SQLAlchemy's pool takes locks in Python code, where an exception from a signal handler can leave them held. Here
    every step is one call of a dict or a deque. An owner is known by a weak reference: when one is dropped without
    returning its connection, that is closed, which rolls back its transaction. (Python closes a dropped connection
    only when the garbage collector runs.)

    Args:
        connect: opens a connection.
        size: how many idle ones to keep.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], size: int = 8) -> None:
        self._connect = connect
        self._size = size
        self._idle: deque[sqlite3.Connection] = deque()
        self._used: dict[int, tuple[weakref.ref[Any], sqlite3.Connection]] = {}

    def take(self, owner: Any) -> sqlite3.Connection:
        """Return a connection for `owner` alone, who has none yet."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        reference = weakref.ref(owner, functools.partial(self._abandoned, id(owner)))
        self._used[id(owner)] = (reference, connection)
        return connection

    def of(self, owner: Any) -> sqlite3.Connection | None:
        """Return the connection that `owner` uses."""
        entry = self._used.get(id(owner))
        return None if entry is None else entry[1]

    def give_back(self, owner: Any, *, keep: bool = True) -> None:
        """Keep the connection of `owner`, whose transaction is over, for others; close it if not `keep` or there are
        enough.

        It does nothing for an owner without one.
        """
        entry = self._used.pop(id(owner), None)
        if entry is None:
            return
        if keep and len(self._idle) < self._size:
            self._idle.append(entry[1])
        else:
            entry[1].close()

    def _abandoned(self, owner: int, reference: weakref.ref[Any]) -> None:
        entry = self._used.get(owner)
        if entry is not None and entry[0] is reference:
            self._used.pop(owner)[1].close()

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return
            connection.close()
