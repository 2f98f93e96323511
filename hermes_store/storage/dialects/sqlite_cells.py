"""The cells of b-tree pages, and the records in them: https://www.sqlite.org/fileformat2.html#record_format."""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from .sqlite_pages import PageFile

Values = tuple[Any, ...]


class DamageError(Exception):
    """Some bytes are not what they have to be."""


class Row(NamedTuple):
    """A row of a table."""

    rowid: int
    #: As they are stored: the column that is the row id is None, and columns that were added later may be missing.
    values: Values


def varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number at a place, without a sign, and where what follows begins."""
    value = 0
    for index in range(place, place + 8):
        byte = data[index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, index + 1
    return value << 8 | data[place + 8], place + 9


def signed(value: int) -> int:
    """Return a number of 64 bits with its sign."""
    return value - (1 << 64) if value >= 1 << 63 else value


def table_row(file: PageFile, page: bytes, place: int) -> Row:
    """Return the row in a cell of a table's leaf page.

    Raises:
        DamageError: it is damaged.
    """
    try:
        size, after = varint(page, place)
        rowid, after = varint(page, after)
        payload = _payload(file, page, after, size, file.usable - 35)
        return Row(signed(rowid), record(payload))
    except (IndexError, struct.error) as error:
        raise DamageError from error


def index_entry(file: PageFile, page: bytes, place: int) -> Values:
    """Return the entry in a cell of an index's page, after the number of a page; as `table_row`."""
    try:
        size, after = varint(page, place)
        return record(_payload(file, page, after, size, (file.usable - 12) * 64 // 255 - 23))
    except (IndexError, struct.error) as error:
        raise DamageError from error


def _payload(file: PageFile, page: bytes, place: int, size: int, most: int) -> bytes:
    """Return the record of a cell, from the page and those that it goes on in.

    Args:
        place: where it begins on its page.
        size: of the record.
        most: how many bytes of a record that goes on elsewhere its page may have.
    """
    if size > file.count * file.page_size:
        raise DamageError
    local = size
    if size > most:
        least = (file.usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (file.usable - 4)
        local = least if local > most else local
    if place + local > file.usable:
        raise DamageError
    if local == size:
        return page[place : place + size]
    parts = [page[place : place + local]]
    left = size - local
    following = int.from_bytes(page[place + local : place + local + 4], "big")
    chain: set[int] = set()
    while left:
        if not 1 < following <= file.count or following in chain:
            raise DamageError
        chain.add(following)
        rest = file.page(following)
        parts.append(rest[4 : 4 + min(left, file.usable - 4)])
        left -= len(parts[-1])
        following = int.from_bytes(rest[:4], "big")
    if following:
        raise DamageError
    return b"".join(parts)


#: The sizes of numbers, by serial type.
_INTEGERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def record(data: bytes) -> Values:
    """Return the values of a record, which has to be as long as its header says.

    Raises:
        DamageError: it is damaged. (A text that is not UTF-8 has replacement characters, as everywhere.)
    """
    try:
        end, place = varint(data, 0)
        body = end
        values: list[Any] = []
        while place < end:
            kind, place = varint(data, place)
            if kind in _INTEGERS:
                size = _INTEGERS[kind]
                values.append(int.from_bytes(data[body : body + size], "big", signed=True))
            elif kind == 7:
                size = 8
                values.append(struct.unpack_from(">d", data, body)[0])
            elif kind >= 12:
                size = (kind - 12) // 2
                content = data[body : body + size]
                values.append(content.decode(errors="replace") if kind & 1 else content)
            elif kind in (10, 11):
                raise DamageError
            else:
                size = 0
                values.append(None if kind == 0 else kind - 8)
            body += size
        if place != end or body != len(data):
            raise DamageError
    except (IndexError, struct.error) as error:
        raise DamageError from error
    return tuple(values)
