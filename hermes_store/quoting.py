"""Any value as a few characters, for a message; numbers as people say them; and which values are text or numbers."""

from __future__ import annotations

import reprlib
from typing import Any, Final

_short: Final = reprlib.Repr()
_short.maxstring = _short.maxother = 140
_short.maxlevel = 2


def text_of(value: Any) -> str | None:
    """Return a text as a plain one, and None for anything else.

    A class that is derived from text may do anything when it is compared, and a mock says that it is of a class that it
    is not of.
    """
    if type(value) is str:
        return value
    return str.__str__(value) if issubclass(type(value), str) else None


def number_of(value: Any) -> int | float | None:
    """Return a number as a plain one, and None for anything else, booleans included; as `text_of`."""
    kind = type(value)
    if kind is int or kind is float:
        return value  # type: ignore[no-any-return]
    if issubclass(kind, int) and kind is not bool:
        return int.__int__(value)
    return float.__float__(value) if issubclass(kind, float) else None


def quoted(value: Any) -> str:
    """Return a value as Python writes it, shortened to about 150 characters.

    It never fails: an integer may have too many digits to be written, a list may be nested too deep, and an object may
    raise whatever it likes.
    """
    try:
        text = _short.repr(value)
    except Exception:  # whatever the object raises
        return f"an object of type {type(value).__name__}"
    return text if len(text) <= 150 else f"{text[:150]}…"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, as in "1 session" and "1,200 sessions"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: int) -> str:
    """Return a number of bytes as people say it."""
    amount, unit = float(number), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:,.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
