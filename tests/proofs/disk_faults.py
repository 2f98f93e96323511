"""Processes whose calls of the operating system fail on demand: a full disk, a broken one, or the end in between.

`disk_faults.c` is compiled and loaded before the C library. So SQLite and Python get these failures as they get the
system's own.
"""

from __future__ import annotations

import ctypes
import enum
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.support.processes import function_command, with_tests

_SOURCE: Final = Path(__file__).with_name("disk_faults.c")
_LIBRARY: Final = "HERMES_STORE_DISK_FAULTS"
FOR_EVER: Final = 2**40


class Calls(enum.IntFlag):
    """Kinds of calls."""

    READ = 1
    WRITE = 2
    SYNC = 4
    TRUNCATE = 8
    OPEN = 16
    #: Giving and removing names: rename, link, unlink, mkdir.
    NAME = 32


class End(enum.IntEnum):
    """Where a process is killed, in the place of an error number."""

    BEFORE = -1
    #: After half of a write.
    HALFWAY = -2
    AFTER = -3


#: Half of a write is done, and said to be.
SHORT_WRITE: Final = -4


def why_not() -> str:
    """Return why there is no such process here; nothing if there can be."""
    if not sys.platform.startswith("linux"):
        return "failures of the disk are made by a library that takes the place of Linux's system calls"
    if shutil.which("cc") is None:
        return "there is no C compiler (cc) to make the library with"
    return ""


def call(function: Callable[..., dict[str, Any]], *arguments: object, timeout: float | None = None) -> dict[str, Any]:
    """Return what a function returns in a process of its own, in which calls can fail. It gets its arguments as text.

    What it returns is passed as JSON.
    """
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "disk_faults.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
        environment = {**with_tests(os.environ), "LD_PRELOAD": str(library), _LIBRARY: str(library)}
        done = subprocess.run(
            function_command(print_result, (function.__module__, function.__qualname__, *arguments)),
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"{function.__name__} ended with {done.returncode}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result


def print_result(module: str, name: str, *arguments: str) -> None:
    """Call a function, and print what it returns as JSON."""
    import importlib

    print(json.dumps(getattr(importlib.import_module(module), name)(*arguments)))


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(os.environ[_LIBRARY])
    library.disk_faults_set.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_long, ctypes.c_long, ctypes.c_int]
    library.disk_faults_seen.restype = ctypes.c_long
    return library


def fail(calls: Calls, text: str, failure: int, *, after: int = 0, times: int = FOR_EVER) -> None:
    """Let calls fail from now on, in the place of those that failed until now.

    Args:
        calls: which.
        text: only those on files that have this in their path, or at its end if a "$" follows.
        failure: the error number, an `End`, or `SHORT_WRITE`.
        after: how many of them still work.
        times: how many fail then.
    """
    _library().disk_faults_set(int(calls), text.encode(), after, times, int(failure))


def work() -> None:
    """Let all calls work again."""
    _library().disk_faults_set(0, b"", 0, 0, 0)


def seen() -> int:
    """Return how many calls there were since `fail` that it is about."""
    found: int = _library().disk_faults_seen()
    return found
