"""The pages of a SQLite file that SQLite itself may refuse: https://www.sqlite.org/fileformat2.html.

Nothing is written, and nothing is believed: what does not fit is an error or is left out, and whoever reads goes on.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, Self

_MAGIC: Final = b"SQLite format 3\0"
#: What SQLite uses unless it is told another one, and this library never does.
_USUAL_SIZE: Final = 4_096
_HEADER: Final = 100
_LOG_MAGIC: Final = frozenset({0x377F0682, 0x377F0683})
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24
#: Types of pages.
TABLE_LEAF: Final = 13
TABLE_INTERIOR: Final = 5
INDEX_LEAF: Final = 10
INDEX_INTERIOR: Final = 2


class PageFile:
    """A database file and its log, opened for reading.

    Args:
        path: the file. The caller makes sure that nobody moves its log into it meanwhile.
    """

    def __init__(self, path: Path) -> None:
        self._files = contextlib.ExitStack()
        try:
            self._file: BinaryIO = self._files.enter_context(path.open("rb"))
            self._log: BinaryIO | None = None
            log = path.with_name(f"{path.name}-wal")
            if log.exists():
                self._log = self._files.enter_context(log.open("rb"))
            self.header = self._file.read(_HEADER)
            self.page_size = self._find_page_size()
            size = os.fstat(self._file.fileno()).st_size
            self.count = -(-size // self.page_size)
            #: The places in the log of the pages that are in it.
            self._in_log: dict[int, int] = {}
            self._read_log()
            self.header = self.page(1)[:_HEADER]
            self.usable = self.page_size - self._find_reserved()
        except BaseException:  # whatever it is, nobody has the object
            self._files.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def number(self, offset: int) -> int:
        """Return a number of four bytes in the header; 0 if that is missing."""
        return int.from_bytes(self.header[offset : offset + 4], "big")

    def page(self, number: int) -> bytes:
        """Return a page, filled up with zeros where the file ends in it; only zeros where the disk fails."""
        place = self._in_log.get(number)
        if place is not None and self._log is not None:
            return _read(self._log, place, self.page_size)
        if not 1 <= number <= self.count:
            return bytes(self.page_size)
        return _read(self._file, (number - 1) * self.page_size, self.page_size)

    def _find_page_size(self) -> int:
        value = int.from_bytes(self.header[16:18], "big")
        size = 65_536 if value == 1 else value
        if self.header[:16] == _MAGIC and _is_page_size(size):
            return size
        if self._log is not None:
            in_log = struct.unpack_from(">2L", self._log.read(_LOG_HEADER).ljust(_LOG_HEADER, b"\0"), 4)[1]
            if _is_page_size(in_log):
                return int(in_log)
        return size if _is_page_size(size) else _USUAL_SIZE

    def _find_reserved(self) -> int:
        """Return how many bytes at the end of each page are not SQLite's; a damaged number is not believed."""
        reserved = self.header[20] if len(self.header) > 20 else 0
        if reserved and self.page_size - reserved >= 480:
            for number in range(2, min(self.count, 100) + 1):
                page = self.page(number)
                if page[0] in (TABLE_LEAF, INDEX_LEAF) and any(page[-reserved:]):
                    return 0
            return reserved
        return 0

    def _read_log(self) -> None:
        """Find the pages in the log that were committed, as SQLite does when it recovers one."""
        if self._log is None:
            return
        self._log.seek(0)
        header = self._log.read(_LOG_HEADER)
        if len(header) < _LOG_HEADER:
            return
        magic, _, page_size, _, *salts, first, second = struct.unpack(">8L", header)
        order = ">" if magic & 1 else "<"
        sums = _checksum(header[:24], (0, 0), order)
        if magic not in _LOG_MAGIC or page_size != self.page_size or sums != (first, second):
            return
        place = _LOG_HEADER
        pending: dict[int, int] = {}
        end = os.fstat(self._log.fileno()).st_size  # others may go on writing to it
        while place + _FRAME_HEADER + page_size <= end:
            frame = self._log.read(_FRAME_HEADER + page_size).ljust(_FRAME_HEADER + page_size, b"\0")
            number, commit, salt, other, first, second = struct.unpack_from(">6L", frame)
            sums = _checksum(frame[_FRAME_HEADER:], _checksum(frame[:8], sums, order), order)
            if [salt, other] != salts or sums != (first, second):
                return
            pending[number] = place + _FRAME_HEADER
            place += _FRAME_HEADER + page_size
            if commit:
                self._in_log |= pending
                pending = {}
                self.count = max(commit, 1)


def _read(file: BinaryIO, place: int, size: int) -> bytes:
    try:
        file.seek(place)
        return file.read(size).ljust(size, b"\0")
    except OSError:  # a damaged place on the disk
        return bytes(size)


def _is_page_size(size: int) -> bool:
    return 512 <= size <= 65_536 and size & (size - 1) == 0


def _checksum(data: bytes, sums: tuple[int, int], order: str) -> tuple[int, int]:
    """Return the checksum of a log up to and with some bytes: https://www.sqlite.org/fileformat2.html#checksum."""
    first, second = sums
    words = memoryview(data).cast("I")
    if (order == "<") != (sys.byteorder == "little"):
        words = memoryview(struct.pack(f"={len(words)}I", *struct.unpack(f"{order}{len(words)}I", data))).cast("I")
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def free_pages(file: PageFile) -> tuple[set[int], bool]:
    """Return the pages that are not in use, and whether the list of them is whole."""
    free: set[int] = set()
    trunk, expected = file.number(32), file.number(36)
    while trunk:
        if trunk in free or not 1 < trunk <= file.count:
            return free, False
        free.add(trunk)
        page = file.page(trunk)
        following, length = struct.unpack_from(">2L", page)
        if length > file.usable // 4 - 2:
            return free, False
        leaves = struct.unpack_from(f">{length}L", page, 8)
        if any(not 1 < leaf <= file.count or leaf in free for leaf in leaves):
            return free, False
        free.update(leaves)
        trunk = following
    return free, len(free) == expected


def cell_places(page: bytes, start: int) -> Iterator[int]:
    """Yield where the cells of a b-tree page begin.

    Args:
        page: the page.
        start: where its header begins: 100 on page 1, else 0.
    """
    (count,) = struct.unpack_from(">H", page, start + 3)
    first = start + (8 if page[start] in (TABLE_LEAF, INDEX_LEAF) else 12)
    end = first + 2 * count
    if end > len(page):
        return
    for (place,) in struct.iter_unpack(">H", page[first:end]):
        if end <= place < len(page):
            yield place
