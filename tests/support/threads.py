"""Functions that run in threads, all at once, and the threads that are left of them."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from typing import Any


def together(*functions: Callable[[], Any], seconds: float = 90) -> list[Any]:
    """Run each function in a thread of its own, all at once, and return what each returned or raised.

    Args:
        seconds: after which a thread hangs.
    """
    barrier = threading.Barrier(len(functions))
    outcomes: list[Any] = [None] * len(functions)

    def run(index: int) -> None:
        barrier.wait(60)
        try:
            outcomes[index] = functions[index]()
        except Exception as error:  # whatever it is, the test judges it
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    return outcomes


def all_well(outcomes: list[Any]) -> list[Any]:
    """Return the outcomes if none is an error; else raise the first."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return outcomes


def in_a_thread(function: Callable[[], Any]) -> Any:
    """Return what a function returns in another thread, or its error; a thread that hangs is a failure."""
    return together(function)[0]


def threads() -> int:
    """Return how many threads there are, those that `threading` knows nothing of among them."""
    return _thread._count()


def readers_end(before: int) -> bool:
    """Return whether soon there are no more threads than before; one may still be about to begin, and to end."""
    until = time.monotonic() + 10
    while threads() > before:
        if time.monotonic() > until:
            return False
        time.sleep(0.001)
    return True
