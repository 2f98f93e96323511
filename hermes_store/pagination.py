"""Opaque cursors: the key of the last row of a page, so that the next page begins after it."""

from __future__ import annotations

import base64
import hashlib
import math
from typing import Any, Final

from .errors import InvalidCursorError, InvalidInputError
from .quoting import number_of, quoted, text_of
from .transcripts import json_codec

MAX_LIMIT: Final = 1000
#: Where the databases' integers end.
MAX_KEY: Final = 2**63


def write_cursor(kind: str, *key: str | float | bool) -> str:
    """Return the cursor for the rows after `key` in the listing called `kind`."""
    return base64.urlsafe_b64encode(json_codec.encode([kind, *key])).decode("ascii").rstrip("=")


def read_cursor(kind: str, cursor: str, *types: type) -> tuple[Any, ...]:
    """Return the key inside a cursor that `write_cursor` made for the same `kind`.

    Raises:
        InvalidCursorError: it is of another listing, or no cursor at all.
    """
    found, *key = _parse(cursor)
    if found == kind and len(key) == len(types) and all(map(_fits, key, types)):
        return tuple(key)
    raise no_cursor(kind, cursor)


def no_cursor(kind: str, cursor: Any) -> InvalidCursorError:
    """Return the error for what is not a cursor of the listing called `kind`."""
    return InvalidCursorError(
        f"{quoted(cursor)} is not a cursor of this listing ({kind}). Nothing was read; start again without a cursor."
    )


def write_row_cursor(kind: str, row_id: int) -> str:
    """Return the cursor for the rows after one whose key is damaged, so that it is not in the cursor itself."""
    return write_cursor(kind, "row", row_id)


def read_row_cursor(kind: str, cursor: str) -> int | None:
    """Return the row id in a cursor of `write_row_cursor`; None when it is another one."""
    match _parse(cursor):
        case [found, "row", int(row_id)] if found == kind and _fits(row_id, int):
            return row_id
    return None


def _fits(value: Any, wanted: type) -> bool:
    """Whether `value` is of exactly this type, and within the range of the databases."""
    if type(value) is not wanted:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) < MAX_KEY


def _parse(cursor: str) -> list[Any]:
    """Return the parts of a cursor; a list with None for anything that is no cursor."""
    try:
        plain = text_of(cursor)
        if plain is None:
            return [None]
        padded = plain.encode("ascii") + b"=" * (-len(plain) % 4)
        parts = json_codec.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except ValueError:
        return [None]
    return parts if isinstance(parts, list) and parts else [None]


_TAG: Final = 12


def seal(key: bytes, data: bytes) -> str:
    """Return a cursor in which data, at most 64 bytes, can be neither read nor changed without a key.

    For what has row ids: from their differences one could tell how much other profiles wrote.
    """
    tag = hashlib.blake2b(data, key=key, digest_size=_TAG).digest()
    return base64.urlsafe_b64encode(tag + _hidden(key, tag, data)).decode("ascii").rstrip("=")


def open_sealed(key: bytes, cursor: Any, size: int) -> bytes | None:
    """Return the data, of a number of bytes, in a cursor of `seal`; None for anything else."""
    plain = text_of(cursor)
    if plain is None or len(plain) > 2 * (_TAG + size):
        return None
    try:
        sealed = base64.b64decode(plain.encode("ascii") + b"=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return None
    tag, data = sealed[:_TAG], _hidden(key, sealed[:_TAG], sealed[_TAG:])
    is_ours = len(data) == size and hashlib.blake2b(data, key=key, digest_size=_TAG).digest() == tag
    return data if is_ours else None


def _hidden(key: bytes, tag: bytes, data: bytes) -> bytes:
    mask = hashlib.blake2b(tag, key=key, person=b"cursor").digest()
    return bytes(one ^ other for one, other in zip(data, mask, strict=False))


def check_limit(limit: int, name: str = "limit") -> int:
    """Return `limit` when it is between 1 and 1000; `name` is what the caller calls it.

    Raises:
        InvalidInputError: it is not.
    """
    plain = number_of(limit)
    if not isinstance(plain, int) or not 1 <= plain <= MAX_LIMIT:
        raise InvalidInputError(f"{name} must be a whole number from 1 to {MAX_LIMIT}, not {quoted(limit)}.")
    return plain
