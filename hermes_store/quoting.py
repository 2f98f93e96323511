"""Any value as a few characters, for an error's message."""

from __future__ import annotations

import reprlib
from typing import Any, Final

_short: Final = reprlib.Repr()
_short.maxstring = _short.maxother = 140
_short.maxlevel = 2


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
