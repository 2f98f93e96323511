"""Places between two pages of a search, and the cursors that say them."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ..pagination import MAX_KEY, no_cursor, open_sealed, seal
from ..records import SearchOrder


class Place(NamedTuple):
    """Where a group begins: the row ids below which its messages and titles are.

    If a part of it was on pages before, also where it ends, and the key of the last hit. (With the same bounds it has
    the same candidates, whatever others write between two pages.)
    """

    messages: int
    titles: int
    last_message: int | None = None
    last_title: int | None = None
    key: tuple[float, float, bool, int] | None = None


START: Final = Place(MAX_KEY - 1, MAX_KEY - 1)


#: The order, where the messages and the titles of the group begin, and whether the rest follows: where they end, and a
#: key, which is two numbers, whether it is a title, and a row id.
_LAYOUT: Final = struct.Struct(">BqqBqqddBq")
_ORDERS: Final[tuple[SearchOrder, ...]] = ("relevance", "recent")


def write_cursor(key: bytes, order: SearchOrder, place: Place) -> str:
    """Return a place as a text in which nothing can be read."""
    last = place.key or (0.0, 0.0, False, 0)
    ends = (place.last_message or 0, place.last_title or 0)
    data = _LAYOUT.pack(_ORDERS.index(order), place.messages, place.titles, place.key is not None, *ends, *last)
    return seal(key, data)


def read_cursor(key: bytes, order: SearchOrder, cursor: str) -> Place:
    """Return the place in a cursor.

    Raises:
        InvalidCursorError: it is none of a search in this order.
    """
    kind = f"search, {order}"
    data = open_sealed(key, cursor, _LAYOUT.size)
    if data is None:
        raise no_cursor(kind, cursor)
    index, messages, titles, has_key, last_message, last_title, *last = _LAYOUT.unpack(data)
    if _ORDERS[index] != order:
        raise no_cursor(kind, cursor)
    if not has_key:
        return Place(messages, titles)
    first, time, is_title, row_id = last
    return Place(messages, titles, last_message, last_title, (first, time, bool(is_title), row_id))
