"""The threads in which the bridge reads beside the one that called it."""

from __future__ import annotations

import _thread
import time


def threads() -> int:
    """Return how many threads there are, those that `threading` knows nothing of among them."""
    return _thread._count()  # type: ignore[attr-defined]


def readers_end(before: int) -> bool:
    """Return whether soon there are no more threads than before; one may still be about to begin, and to end."""
    until = time.monotonic() + 10
    while threads() > before:
        if time.monotonic() > until:
            return False
        time.sleep(0.001)
    return True
