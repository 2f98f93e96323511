"""A lock whose every wait has a bound, and which a holder that was interrupted cannot keep."""

from __future__ import annotations

import threading
from typing import Final

from .write_queue import WriteQueue


class HeldLock:
    """A reentrant lock for what may take long, such as reading from a database.

    It is held by the object of a `with` statement, which the lock knows by a weak reference: when an exception from a
    signal handler ends that statement, at whatever instruction, the object is gone and the lock is free.
    """

    def __init__(self) -> None:
        self._queue: Final = WriteQueue()

    def hold(self, timeout: float) -> _Hold:
        """Hold the lock for a `with` block, whose target says whether it is held; a thread that has it already goes on.

        Args:
            timeout: the most seconds to wait for another thread.
        """
        return _Hold(self._queue, timeout)


class _Hold:
    def __init__(self, queue: WriteQueue, timeout: float) -> None:
        self._queue = queue
        self._timeout = timeout
        self.thread: Final = threading.get_ident()

    def __enter__(self) -> bool:
        holder = self._queue.holder
        if isinstance(holder, _Hold) and holder.thread == self.thread:
            return True
        return self._queue.acquire(self, self._timeout)

    def __exit__(self, *exception: object) -> None:
        self._queue.release(self)
