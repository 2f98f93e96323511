"""Looking at the statements that are executed on the agent's file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

#: It is called with the connection, the statement and its parameters.
Look = Callable[[sqlite3.Connection, str, Any], object]


@contextmanager
def watched(*, before: Look | None = None, after: Look | None = None) -> Iterator[None]:
    """Call `before` and `after` for each statement that is executed on a connection which is opened in the block."""

    class Watched(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
            if before is not None:
                before(self, sql, parameters)
            cursor = super().execute(sql, parameters)
            if after is not None:
                after(self, sql, parameters)
            return cursor

    connect: Any = sqlite3.connect
    with mock.patch.object(sqlite3, "connect", lambda *arguments, **how: connect(*arguments, factory=Watched, **how)):
        yield


def steps(read: Callable[[], object]) -> int:
    """Return how many hundreds of instructions SQLite's machine runs for a read."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    with watched(before=lambda connection, *_: connection.set_progress_handler(step, 100)):
        read()
    assert count, "nothing ran, so nothing was measured"
    return count
