"""Shows other processes that an upgrade of a database file makes progress, so they wait for it longer than for a write.

While it upgrades, a process keeps a small file next to the database and sets its modification time again and again. The
driver does that between the instructions of a statement, so a process that hangs or was killed does not do it any more.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from .sqlite_errors import primary_code
from .sqlite_integrity import stepping

Result = TypeVar("Result")

#: Seconds between two signs of progress.
_EVERY: Final = 0.2
#: Seconds without a sign of progress after which others give up, if their busy timeout is not longer.
_PATIENCE: Final = 5.0
#: Seconds between two looks at the progress.
_LOOK_EVERY: Final = 0.05
#: How many instructions of SQLite's virtual machine there are between two calls: they take about a millisecond.
_INSTRUCTIONS: Final = 20_000


class UpgradeProgress:
    """The progress of the upgrade of one file, shown by one process and watched by others.

    Args:
        path: the database file.
    """

    def __init__(self, path: Path) -> None:
        self._sign = path.with_name(f"{path.name}.upgrading")
        self._shown = 0.0

    @contextlib.contextmanager
    def shown(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Show to others that the statements of this connection make progress.

        It holds the write lock. The block ends before the commit: a process that is killed after that leaves no sign,
        and others wait for the commit itself as for an upgrade that makes no progress.
        """
        with contextlib.suppress(OSError):  # without the file, others wait as long as for any write
            os.close(os.open(self._sign, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
        try:
            with stepping(connection, self.show, _INSTRUCTIONS):
                yield
        finally:
            with contextlib.suppress(OSError):  # the upgrade does not fail for it
                self._sign.unlink(missing_ok=True)

    def show(self, *_: object) -> None:
        """Show that there was progress, if it was not shown a moment ago."""
        now = time.monotonic()
        if now - self._shown >= _EVERY:
            self._shown = now
            with contextlib.suppress(OSError):
                os.utime(self._sign)

    def wait_for(self, attempt: Callable[[], Result], busy_timeout: float) -> Result:
        """Call `attempt` until the database is not busy with an upgrade any more, and return what it returns.

        Args:
            attempt: what raises SQLITE_BUSY while another process has the lock.
            busy_timeout: how long `attempt` itself waits, in seconds.

        Raises:
            sqlite3.OperationalError: the database is busy, and no upgrade makes progress.
        """
        patience = max(busy_timeout, _PATIENCE)
        seen, since = self._last_sign(), time.monotonic()
        is_watched = seen is not None
        while True:
            try:
                return attempt()
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                sign = self._last_sign()
                if sign != seen:
                    seen, since = sign, time.monotonic()
                    is_watched = True
                elif not is_watched or time.monotonic() - since > patience:
                    raise
            time.sleep(_LOOK_EVERY)

    def _last_sign(self) -> int | None:
        try:
            return self._sign.stat().st_mtime_ns
        except OSError:
            return None
