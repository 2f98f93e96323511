"""Noticing writes to a PostgreSQL database: each writing transaction sends a notification, with its commit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from .watcher import Watcher

#: Seconds for which it waits at a time, so that it notices when it is closed.
_SLICE = 0.25
#: Seconds after which it looks whether or not it was told.
_LOOK_AGAIN = 5.0
#: Seconds between two looks where notifications cannot be had.
_INTERVAL = 0.05


class ServerWatcher(Watcher):
    """Listens on a connection of its own.

    Args:
        connect: opens a connection that listens; returns None where none can.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        super().__init__()
        self._connect = connect
        self._connection: Any = None
        self._can_listen = True

    def wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + min(seconds, _LOOK_AGAIN)
        if not self._can_listen:
            return self._paused(seconds, _INTERVAL)
        if self._connection is None and not self.is_closed:
            # What was written while it did not listen is found by the look that follows.
            return self._listen() or self._paused(seconds, _SLICE)
        while not self.is_closed:
            left = deadline - time.monotonic()
            if left <= 0:
                return seconds > _LOOK_AGAIN
            try:
                for _ in self._connection.notifies(timeout=min(left, _SLICE), stop_after=1):
                    return True
            except Exception:  # whatever the driver says, the connection is of no use: a look and a new one follow
                self._drop()
                return not self.is_closed
        return False

    def _listen(self) -> bool:
        with contextlib.suppress(Exception):  # the server cannot be reached, for example: the look that follows says so
            self._connection = self._connect()
            self._can_listen = self._connection is not None
            if self.is_closed:  # meanwhile: then nobody else closes the connection
                self._drop()
            return True
        return False

    def _paused(self, seconds: float, most: float) -> bool:
        self._closed.wait(min(seconds, most))
        return True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()

    def close(self) -> None:
        super().close()
        self._drop()
