"""What several migrations need: rebuilding a table on SQLite, rows in batches, and a log of how far they are."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Final

import sqlalchemy as sa
from alembic import context, op
from alembic.operations import BatchOperations
from alembic.util import CommandError

logger = logging.getLogger("hermes_store")

#: Seconds between two lines in the log of a migration that takes long.
LOG_EVERY: Final = 3.0
#: How many rows, and about how many bytes of them, a batch has.
BATCH_ROWS: Final = 200
BATCH_BYTES: Final = 4_000_000


class Progress:
    """Logs how many rows are done, every few seconds.

    Args:
        revision: the migration's.
        total: how many rows there are.
        noun: what they are, for the log.
    """

    def __init__(self, revision: str, total: int, noun: str) -> None:
        self._label = f"Revision {revision}"
        self._noun = noun
        self._total = total
        self._done = 0
        self._logged = time.monotonic()

    def add(self, count: int) -> None:
        """Note that `count` more rows are done."""
        self._done += count
        now = time.monotonic()
        if now - self._logged >= LOG_EVERY:
            self._logged = now
            logger.info("%s: %d of %d %s are done.", self._label, self._done, self._total, self._noun)


def key_ranges(sizes: str) -> Iterator[tuple[int, int, int]]:
    """Yield ranges of a key, each with few enough rows to be held in memory, as `after`, `last` and the number of rows.

    A range has the keys above `after`, up to `last` and with it. A key whose own rows are many has a range for itself.

    Args:
        sizes: a query of key, number of rows, and their bytes, for the keys above ``:after``, in ascending order,
            limited to ``:limit`` rows.
    """
    connection = op.get_bind()
    query = sa.text(sizes)
    after = -1
    while keys := connection.execute(query, {"after": after, "limit": BATCH_ROWS}).all():
        start, rows, size = after, 0, 0
        for key, key_rows, key_size in keys:
            if rows and size + int(key_size) > BATCH_BYTES:
                break
            after, rows, size = key, rows + key_rows, size + int(key_size)
        yield start, after, rows


@contextlib.contextmanager
def rebuild_table(name: str) -> Iterator[BatchOperations]:
    """Give Alembic's batch operations, with which SQLite changes a table by making it anew.

    Unlike `op.batch_alter_table` alone, this keeps AUTOINCREMENT and the largest id that was ever used, without which
    ids of removed rows would be used again. On PostgreSQL the operations are plain ALTER statements.

    Args:
        name: the table's.
    """
    if context.is_offline_mode():
        raise CommandError(f"{name} has to be rebuilt, which takes the database itself: run this without --sql.")
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        with op.batch_alter_table(name) as batch:
            yield batch
        return
    keeps_ids = "AUTOINCREMENT" in connection.execute(_SQL_OF, {"name": name}).scalar_one().upper()
    used = connection.execute(_USED, {"name": name}).scalar() if keeps_ids else None
    options = {"sqlite_autoincrement": True} if keeps_ids else {}
    with op.batch_alter_table(name, recreate="always", table_kwargs=options) as batch:
        yield batch
    if used is not None:
        connection.execute(_FORGET, {"name": name})
        connection.execute(_KEEP_USED, {"name": name, "used": used})


_SQL_OF: Final = sa.text("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = :name")
_USED: Final = sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name")
_FORGET: Final = sa.text("DELETE FROM sqlite_sequence WHERE name = :name")
_KEEP_USED: Final = sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :used)")
