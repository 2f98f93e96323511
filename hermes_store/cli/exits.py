"""How a command ends: the exit codes, and every error as one line on standard error."""

from __future__ import annotations

import contextlib
import enum
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

import typer

from ..errors import (
    AgentMissingError,
    DatabaseMissingError,
    HermesStoreError,
    InvalidInputError,
    NotFoundError,
    SessionDeletedError,
)
from .text import printable


class ExitCode(enum.IntEnum):
    """The exit codes, and what each means."""

    meaning: str

    def __new__(cls, value: int, meaning: str) -> ExitCode:
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "done"
    SOME_FAILED = (
        1,
        (
            "an import or export finished, but a file or session failed; a purged session's file was kept; there was "
            "nothing to undo; the tables differ from this version's; `verify` or `doctor` found something wrong, or "
            "`repair` left it; or something is missing in what `salvage` read"
        ),
    )
    USAGE = 2, "wrong usage"
    NOT_FOUND = 3, "there is no such session, project, database, directory or agent's file"
    UNUSABLE = 4, "the database, a directory or a file could not be used"
    INTERRUPTED = 130, "interrupted"


EPILOG = "Exit codes: " + "; ".join(f"{code.value} {code.meaning}" for code in ExitCode) + "."


class CommandError(Exception):
    """Why a command ends, for standard error, and its exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.code = code


@contextlib.contextmanager
def reported() -> Iterator[None]:
    """Turn what a command may raise into its exit code."""
    try:
        yield
        sys.stdout.flush()
    except CommandError as error:
        _end(str(error), error.code)
    except KeyboardInterrupt:
        _end("Interrupted.", ExitCode.INTERRUPTED)
    except HermesStoreError as error:
        _end(str(error), _code(error))
    except BrokenPipeError:  # whoever reads (`head`, say) has enough
        _drop_output()
        raise typer.Exit(ExitCode.DONE) from None
    except OSError as error:
        if error.filename is None:
            _drop_output()
        _end(f"{error.filename or 'The output'} cannot be used: {error.strerror or error}.", ExitCode.UNUSABLE)


def _drop_output() -> None:
    """Discard the rest of the output, which the interpreter would write when it ends, and then complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def deferred_interrupt() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back; the function that this gives raises `KeyboardInterrupt` once it was pressed.

    So long work ends where it has nothing half done. Pressed again, it ends at once.
    """
    pressed = False

    def on_press(number: int, frame: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, as in a background job of a script: so it stays
        yield check
        return
    signal.signal(signal.SIGINT, on_press)
    try:
        yield check
    finally:
        signal.signal(signal.SIGINT, before)


def _end(message: str, code: ExitCode) -> NoReturn:
    sys.stderr.write(f"{printable(message)}\n")
    raise typer.Exit(code) from None


def _code(error: HermesStoreError) -> ExitCode:
    if isinstance(error, NotFoundError | SessionDeletedError | DatabaseMissingError | AgentMissingError):
        return ExitCode.NOT_FOUND
    return ExitCode.USAGE if isinstance(error, InvalidInputError) else ExitCode.UNUSABLE
