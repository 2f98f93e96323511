"""Several small sessions that are imported in one transaction, which others wait for a moment only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from .part_writer import PART_BYTES, PART_ROWS, PartWriter, UnpreparedError, UnreadError

#: The most sessions that one transaction imports; their messages and bytes are limited as well.
MOST_SESSIONS: Final = 100
#: Seconds after which a transaction ends before the next session.
_SECONDS: Final = 0.05

Source = TypeVar("Source")
Result = TypeVar("Result")


class Batch(Generic[Source]):
    """The sessions that the next transaction is to import, each with the writer of its content."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Source, PartWriter]] = []
        self._rows = self._bytes = 0

    def admits(self, writer: PartWriter) -> bool:
        """Whether one transaction may write one more session as well as those that are there."""
        is_small = self._rows + writer.rows <= PART_ROWS and self._bytes + writer.size <= PART_BYTES
        return not self._waiting or (is_small and len(self._waiting) < MOST_SESSIONS)

    def add(self, source: Source, writer: PartWriter) -> None:
        """Add a session."""
        self._waiting.append((source, writer))
        self._rows += writer.rows
        self._bytes += writer.size

    def take_all(self) -> list[tuple[Source, PartWriter]]:
        """Remove all sessions, and return them with their writers."""
        waiting, self._waiting = self._waiting, []
        self._rows = self._bytes = 0
        return waiting


def write_first(
    waiting: Sequence[tuple[Source, PartWriter]], write: Callable[[Source, PartWriter], Result]
) -> list[Result]:
    """Write the first sessions in a transaction that has begun, until they are enough for it.

    Args:
        waiting: the sessions.
        write: writes one, and leaves the transaction as it was if it raises an error.

    Returns:
        What `write` returned, for as many sessions as were written: none if the first one is too large.
    """
    results = []
    ends = time.monotonic() + _SECONDS
    for source, writer in waiting:
        try:
            results.append(write(source, writer))
        except (UnpreparedError, UnreadError):
            break
        if time.monotonic() > ends:
            break
    return results
