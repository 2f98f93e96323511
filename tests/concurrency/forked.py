"""A forked child of the test, with its way to say what became of it."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

_context = multiprocessing.get_context("fork")
PATIENCE = 30


class Child:
    """A forked process that runs a function; the function gets the other end of `connection`."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.connection, far_end = _context.Pipe()
        self._process = _context.Process(target=self._run, args=(function, far_end), daemon=True)
        self._process.start()
        far_end.close()

    @staticmethod
    def _run(function: Callable[[Any], Any], connection: Any) -> None:
        try:
            outcome = function(connection)
        except Exception as error:
            outcome = f"{type(error).__name__}: {error}"
        connection.send(outcome)

    def said(self, patience: float = PATIENCE) -> Any:
        """Return what the child sends next: in the end, what its function returned, or the error as text."""
        if self.connection.poll(patience):
            return self.connection.recv()
        raise AssertionError("the child hangs")

    def end(self) -> None:
        self._process.join(1)
        self._process.kill()
        self._process.join()
        self.connection.close()


@contextlib.contextmanager
def forked(function: Callable[[Any], Any]) -> Iterator[Child]:
    """Fork; the child is gone at the end of the block, whatever happens."""
    child = Child(function)
    try:
        yield child
    finally:
        child.end()
