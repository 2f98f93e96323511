"""The trees of a damaged SQLite file: which pages are whose, and the rows that can be read of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from .sqlite_cells import DamageError, Row, Values, index_entry, signed, table_row, varint
from .sqlite_pages import (
    INDEX_INTERIOR,
    INDEX_LEAF,
    TABLE_INTERIOR,
    TABLE_LEAF,
    PageFile,
    cell_places,
    free_pages,
)


class SchemaEntry(NamedTuple):
    """A row of ``sqlite_schema``."""

    kind: Any
    name: Any
    table: Any
    root: Any
    sql: Any


class Gap(NamedTuple):
    """Row ids of a table of which some may be lost: those between two."""

    after: float
    before: float


class Leaf(NamedTuple):
    """A leaf page of a table."""

    number: int
    rows: list[Row]
    gaps: list[Gap]


_ALL: Final = Gap(-math.inf, math.inf)


class Trees:
    """Reads the trees of a file, each page once, unless a damaged number led to it from another tree.

    Args:
        file: the file.
        on_page: called with how many pages were read, again and again.
    """

    def __init__(self, file: PageFile, on_page: Callable[[int], None]) -> None:
        self._file = file
        self._on_page = on_page
        #: By the number of a page: whether it was read. (A byte each, as there may be millions.)
        self._was_read = bytearray(file.count + 1)
        self._number_read = 0
        #: Whether the list of free pages is whole. If not, a stray page may be one of them.
        self.free, self.free_is_whole = free_pages(file)
        #: By the name of a table: where rows may be lost.
        self.gaps: dict[str, list[Gap]] = {}

    def schema(self) -> list[SchemaEntry]:
        """Return the rows of the schema that can be read."""
        found: list[SchemaEntry] = []
        for leaf in self.leaves("sqlite_schema", 1):
            entries = [SchemaEntry._make(row.values) for row in leaf.rows if len(row.values) == 5]
            found += entries
            if leaf.rows and not entries:  # it is another table's, which a damaged number led to
                self._give_back(leaf.number)
        return found

    def leaves(self, name: str, root: int) -> Iterator[Leaf]:
        """Yield the leaf pages of a table's tree, in order.

        Args:
            name: the table's, under which its gaps are noted.
            root: the number of its first page.
        """
        gaps = self.gaps.setdefault(name, [])
        waiting = [(root, _ALL)]
        while waiting:
            number, limits = waiting.pop()
            page = self._take(number)
            start = _start(number)
            kind = page[start] if page else 0
            if kind == TABLE_LEAF:
                leaf = self.leaf(number, limits, page)
                gaps += leaf.gaps
                yield leaf
            elif kind == TABLE_INTERIOR:
                waiting += reversed(_children(page, start, limits, gaps))
            else:
                gaps.append(limits)
                if page:
                    self._give_back(number)

    def leaf(self, number: int, limits: Gap = _ALL, page: bytes | None = None) -> Leaf:
        """Return what can be read of a leaf page; its row ids ascend, and those that do not are not believed."""
        content = self._file.page(number) if page is None else page
        rows: list[Row] = []
        gaps: list[Gap] = []
        is_broken = False
        for place in cell_places(content, _start(number)):
            try:
                row = table_row(self._file, content, place)
            except DamageError:
                is_broken = True
                continue
            if rows and row.rowid <= rows[-1].rowid:  # nobody knows which of the two is wrong
                rows.pop()
                is_broken = True
                continue
            if is_broken:
                gaps.append(Gap(rows[-1].rowid if rows else limits.after, row.rowid))
                is_broken = False
            rows.append(row)
        if is_broken:
            gaps.append(Gap(rows[-1].rowid if rows else limits.after, max(limits.before, limits.after)))
        return Leaf(number, rows, gaps)

    def entries(self, root: int) -> Iterator[Values]:
        """Yield the entries of an index that can be read, in no order."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            page = self._take(number)
            kind = page[0] if page else 0
            if kind not in (INDEX_LEAF, INDEX_INTERIOR):
                if page:
                    self._give_back(number)
                continue
            inner = 4 if kind == INDEX_INTERIOR else 0
            if inner:
                waiting.append(int.from_bytes(page[8:12], "big"))
            for place in cell_places(page, 0):
                if inner:
                    waiting.append(int.from_bytes(page[place : place + 4], "big"))
                try:
                    yield index_entry(self._file, page, place + inner)
                except DamageError:
                    continue

    def stray_leaves(self) -> Iterator[Leaf]:
        """Yield the leaf pages of tables that no tree had, and that are not free."""
        for number in range(1, self._file.count + 1):
            if self._was_read[number] or number in self.free:
                continue
            page = self._take(number)
            if page and page[_start(number)] == TABLE_LEAF:
                yield self.leaf(number, page=page)

    def _take(self, number: int) -> bytes:
        """Return a page that was not read before; nothing for any other."""
        if not 1 <= number <= self._file.count or self._was_read[number]:
            return b""
        self._was_read[number] = True
        self._number_read += 1
        self._on_page(self._number_read)
        return self._file.page(number)

    def _give_back(self, number: int) -> None:
        """Allow a page to be read again: it is not of the tree that led to it."""
        self._was_read[number] = False
        self._number_read -= 1


def _start(number: int) -> int:
    return 100 if number == 1 else 0


def _children(page: bytes, start: int, limits: Gap, gaps: list[Gap]) -> list[tuple[int, Gap]]:
    """Return the pages below an inner page of a table, each with the limits of its row ids."""
    found: list[tuple[int, Gap]] = []
    last = limits.after
    for place in cell_places(page, start):
        child = int.from_bytes(page[place : place + 4], "big")
        try:
            key: float = signed(varint(page, place + 4)[0])
        except IndexError:
            key = -math.inf
        if last < key <= limits.before:
            found.append((child, Gap(last, key)))
            last = key
        else:
            gaps.append(limits)
            found.append((child, limits))
    found.append((int.from_bytes(page[start + 8 : start + 12], "big"), Gap(last, limits.before)))
    return found
