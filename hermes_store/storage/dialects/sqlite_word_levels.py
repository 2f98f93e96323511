"""The levels of an FTS5 index, which must not become too many.

FTS5 keeps its segments on levels. Each `optimize` puts the one that it makes on a level after all others. Older
versions of SQLite (3.40 is one) never remove the empty ones, and an index with more than 2,000 levels cannot be read
any more, nor be emptied. Newer versions (3.53 is one) stop at 65 levels, so there is nothing to do.

The levels are in the "structure record": https://www.sqlite.org/src/file/ext/fts5/fts5_index.c has its format.
"""

from __future__ import annotations

from typing import Any, Final

#: Empty levels are removed from an index that has more than this.
_MOST_LEVELS: Final = 500
#: Levels that stay, empty or not: FTS5 merges the segments of a level into the next one.
_KEPT_LEVELS: Final = 8
_STRUCTURE: Final = 10
#: In place of the rest of the record, its second version has this after the first number.
_SECOND_VERSION: Final = b"\xff\x00\x00\x01"
#: The numbers of a segment.
_SEGMENT: Final = 3


def trim(connection: Any, table: str) -> None:
    """Remove empty levels from an index, if it has too many.

    FTS5 remembers the levels until the transaction is over, and writes them again when it changes the index in it: this
    is the last thing to do.

    Args:
        connection: the driver's, in a transaction that writes.
        table: the FTS5 table.
    """
    row = connection.execute(f"SELECT block FROM {table}_data WHERE id = ?", (_STRUCTURE,)).fetchone()  # noqa: S608
    record = None if row is None else row[0]
    trimmed = without_empty_levels(record) if isinstance(record, bytes) else None
    if trimmed is not None:
        connection.execute(f"UPDATE {table}_data SET block = ? WHERE id = ?", (trimmed, _STRUCTURE))  # noqa: S608


def without_empty_levels(record: bytes) -> bytes | None:
    """Return a structure record without the empty levels after the first ones; None if there are not too many, or it
    is damaged."""
    if record[4:8] == _SECOND_VERSION:
        return None
    numbers = _varints(record[4:])
    if not numbers or numbers[0] <= _MOST_LEVELS:
        return None
    levels: list[int] = []
    kept, place = 0, 3  # after the numbers of levels, of segments, and of writes
    for level in range(numbers[0]):
        if place + 1 >= len(numbers):
            return None  # it is damaged, which FTS5 finds
        size = 2 + numbers[place + 1] * _SEGMENT  # how many are merged, how many there are, and what these are
        if size > 2 or level < _KEPT_LEVELS:
            levels += numbers[place : place + size]
            kept += 1
        place += size
    return record[:4] + b"".join(map(_varint, [kept, *numbers[1:3], *levels]))


def _varints(data: bytes) -> list[int]:
    """Return SQLite's integers of variable length. (None of them has nine bytes: the last would differ.)"""
    found, value = [], 0
    for byte in data:
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            found.append(value)
            value = 0
    return found


def _varint(value: int) -> bytes:
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(value & 0x7F | 0x80)
    return bytes(reversed(found))
