"""Watching a store: an iterator of the changes that any process commits."""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from .errors import DatabaseLockedError, DatabaseUnavailableError, InvalidInputError, StoreClosedError
from .quoting import quoted
from .records import Change
from .storage import change_pages, change_rows
from .storage.change_pages import Position
from .storage.dialects.watcher import Watcher
from .storage.engine import Database
from .validation import check_time

#: How many changes are read at once.
_PAGE: Final = 100
#: Seconds between two looks while changes are held back by transactions that are under way.
_HELD_BACK: Final = 0.05


class Watch(Iterator[Change]):
    """An iterator of the changes of a store, which waits for the next change that is committed.

    It ends after `timeout` seconds without a change, or when it or its store is closed. Only one thread may iterate;
    any thread may close it. A forked child process can continue with its own copy.
    """

    def __init__(self, database: Database, scope: str | None, after: str | None, timeout: float) -> None:
        self._database = database
        self._scope = scope
        self._timeout = timeout
        self._is_closed = False
        self._process = os.getpid()
        self._watcher: Watcher | None = None
        self._read: deque[tuple[Position, Change]] = deque()
        self._failing_since: float | None = None
        with database.read() as unit:
            self._key = change_rows.state(unit).cursor_key
            #: After the changes that were returned, and after those that were read.
            self._place = self._ahead = (
                change_pages.last(unit) if after is None else change_pages.read_cursor(self._key, after)
            )

    @property
    def cursor(self) -> str:
        """The cursor after the last change that was returned; see `ChangePage.cursor`."""
        return change_pages.write_cursor(self._key, self._place)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Change:
        deadline = time.monotonic() + self._timeout
        looks = True
        is_held_back = False
        while not self._read:
            if looks:
                is_held_back = self._look()
            left = deadline - time.monotonic()
            if self._is_over or (left <= 0 and not self._read):
                self._release()
                raise StopIteration
            if not self._read:
                looks = self._watching().wait(min(left, _HELD_BACK) if is_held_back else left) or is_held_back
        self._place, change = self._read.popleft()
        if not self._read:
            self._place = self._ahead
        return change

    @property
    def _is_over(self) -> bool:
        return self._is_closed or self._database.is_closed

    def _look(self) -> bool:
        """Read what was committed since; return whether to look again soon, though nobody says that more is there."""
        try:
            with self._database.read() as unit:
                found = change_pages.read(unit, self._scope, self._ahead, _PAGE)
                is_held_back = change_pages.are_held_back(unit)
        except StoreClosedError:
            return False
        except (DatabaseUnavailableError, DatabaseLockedError):
            now = time.monotonic()
            self._failing_since = self._failing_since or now
            if now - self._failing_since > self._database.settings.busy_timeout:
                raise
            return True
        self._failing_since = None
        self._read.extend(zip(found.keys, found.items, strict=True))
        self._ahead = found.position
        return is_held_back

    def _watching(self) -> Watcher:
        if self._process != os.getpid():  # a child leaves its parent's connection alone
            self._process, self._watcher = os.getpid(), None
        if self._watcher is None:
            self._watcher = self._database.dialect.watch()
        return self._watcher

    def close(self) -> None:
        """End the iterator, also while a thread waits for the next change. Closing again does nothing."""
        self._is_closed = True
        self._release()

    def _release(self) -> None:
        watcher, self._watcher = self._watcher, None
        if watcher is not None and self._process == os.getpid():
            self._database.dialect.unwatch(watcher)

    def __del__(self) -> None:
        if hasattr(self, "_watcher"):  # not if the arguments were refused
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def watch(database: Database, scope: str | None, after: str | None, timeout: float | None) -> Watch:
    """Return the changes of a database after a cursor (from now on when None); see `Store.watch`."""
    seconds = math.inf if timeout is None else check_time(timeout)
    if seconds < 0:
        raise InvalidInputError(f"timeout must be 0 or more seconds, not {quoted(timeout)}. Nothing was read.")
    return Watch(database, scope, after, seconds)
