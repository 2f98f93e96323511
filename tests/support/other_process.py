"""Processes that stay for a while: a forked child that runs a function, and a fresh one that has an object."""

from __future__ import annotations

import contextlib
import multiprocessing
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

_fork = multiprocessing.get_context("fork")
_spawn = multiprocessing.get_context("spawn")
PATIENCE = 60


class Child:
    """A forked process that runs a function; the function gets the other end of `connection`."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.connection, far_end = _fork.Pipe()
        self._process = _fork.Process(target=self._run, args=(function, far_end), daemon=True)
        self._process.start()
        far_end.close()

    @staticmethod
    def _run(function: Callable[[Any], Any], connection: Any) -> None:
        try:
            outcome = function(connection)
        except Exception as error:  # whatever it is, the test judges it
            outcome = f"{type(error).__name__}: {error}"
        connection.send(outcome)

    def said(self, patience: float = PATIENCE) -> Any:
        """Return what the child sends next: in the end, what its function returned, or the error as text."""
        if self.connection.poll(patience):
            return self.connection.recv()
        raise AssertionError("the child hangs")

    def kill(self) -> int | None:
        """End it at once, and return its exit code."""
        self._process.kill()
        self._process.join()
        return self._process.exitcode

    def end(self) -> None:
        self._process.join(1)
        self.kill()
        self.connection.close()


@contextlib.contextmanager
def forked(function: Callable[[Any], Any]) -> Iterator[Child]:
    """Fork; the child is gone at the end of the block, whatever happens."""
    child = Child(function)
    try:
        yield child
    finally:
        child.end()


class Remote:
    """An object in a fresh process, to which a warning is an error. What is called here is called there.

    Arguments and results are pickled; what goes wrong there is raised here as an `AssertionError`.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._connection, far_end = _spawn.Pipe()
        self._process = _spawn.Process(target=_serve, args=(make, far_end), daemon=True)
        self._process.start()
        far_end.close()

    def begin(self, verb: str, *arguments: Any, **named: Any) -> None:
        """Call a method there, and do not wait."""
        self._connection.send((verb, arguments, named))

    def finish(self) -> Any:
        """Wait until it is done, and return what it returned."""
        assert self._connection.poll(PATIENCE), "the other process hangs"
        trouble, result = self._connection.recv()
        assert trouble is None, trouble
        return result

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self.begin(verb, *arguments, **named)
            return self.finish()

        return call

    def end(self) -> None:
        self._connection.close()
        self._process.join(PATIENCE)
        assert self._process.exitcode == 0


def _serve(make: Callable[[], Any], connection: Connection) -> None:
    """Do what the test asks for until it closes its end of the connection."""
    warnings.simplefilter("error")
    there = make()
    while True:
        try:
            verb, arguments, named = connection.recv()
        except EOFError:
            return
        trouble = result = None
        try:
            result = getattr(there, verb)(*arguments, **named)
        except Exception as error:  # whatever it is, the test judges it
            trouble = f"{type(error).__name__}: {error}"
        connection.send((trouble, result))
