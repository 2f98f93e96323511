"""SQLite's write-ahead log, which has every page as it was before: also the text of sessions that were purged."""

from __future__ import annotations

import sqlite3


class Log:
    """The log of a database. A database without one, as one in memory or in another journal mode, has an empty log."""

    def __init__(self) -> None:
        #: Whether it was to be emptied, and others were reading from it.
        self.is_due = False

    def empty(self, connection: sqlite3.Connection) -> bool:
        """Move what is in the log into the database's file and cut it to no bytes; return whether that was done.

        It does not wait for other connections that read: writers would wait with it.

        Args:
            connection: one that is in no transaction.
        """
        self.is_due = True  # also if this is interrupted
        try:
            (timeout,) = connection.execute("PRAGMA busy_timeout").fetchone()
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {timeout}")
        except sqlite3.Error:  # the transaction is committed; only its log could not be moved: a full disk, for example
            return False
        self.is_due = bool(is_busy)
        return not is_busy
