"""Exceptions at every point where Python runs signal handlers, one at a time."""

from __future__ import annotations

import dis
import functools
import opcode
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

#: Besides at the entry of a function, CPython looks for signals after these instructions. (Entering a `with` block is
#: an instruction of its own, after which it does not look.)
_LOOKS = frozenset({"CALL", "CALL_KW", "CALL_FUNCTION_EX", "JUMP_BACKWARD"})


class Interrupt(BaseException):
    """What a signal handler raised."""


def interrupted_at(
    point: int,
    callback: Callable[[], object],
    *,
    error: type[BaseException] = Interrupt,
    swallow: bool = True,
) -> bool:
    """Run `callback`, raising `error` at its `point`-th chance, and return whether it had so many.

    Chances in every function that it calls count, those of other libraries included.

    Args:
        swallow: catch the error here; otherwise it is the caller's.
    """
    left = point
    before: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        chance = event == "call" and frame.f_code is not run.__code__
        if event == "opcode":
            chance = _is_chance(frame.f_code, before.get(frame, -1), frame.f_lasti)
            before[frame] = frame.f_lasti
        elif event == "return":
            before.pop(frame, None)
        if chance:
            left -= 1
            if left < 0:
                before.clear()
                raise error
        return trace

    def run() -> None:
        callback()

    sys.settrace(trace)
    try:
        run()
    except error:
        if not swallow:
            raise
        return True
    finally:
        sys.settrace(None)
    return False


@functools.cache
def _is_chance(code: CodeType, before: int, now: int) -> bool:
    """Whether an exception can come between two instructions of a function, which are given by their offsets."""
    if before < 0 or opcode.opname[code.co_code[before]] not in _LOOKS:
        return False
    # It is raised by the instruction before. This program can only raise it at the next one, which is the same if the
    # same handler is in charge of both.
    return _handler(code, before) == _handler(code, now)


@functools.cache
def _handler(code: CodeType, offset: int) -> int | None:
    bytecode: Any = dis.Bytecode(code)
    entries = bytecode.exception_entries
    return next((entry.target for entry in entries if entry.start <= offset < entry.end), None)
