"""The threads in which the bridge reads beside the one that called it."""

from __future__ import annotations

import threading
import time


def readers_end() -> bool:
    """Return whether none is left soon: one whose query was stopped early may still be about to begin, and to end."""
    until = time.monotonic() + 10
    while any(thread.name == "hermes-agent-read" for thread in threading.enumerate()):
        if time.monotonic() > until:
            return False
        time.sleep(0.001)
    return True
