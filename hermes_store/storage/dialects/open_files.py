"""Which processes have a file open, where the system tells: on Linux, for the processes of the same user."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final, NamedTuple

_PROCESSES: Final = Path("/proc")
_SUFFIXES: Final = ("", "-wal", "-shm")


class Holder(NamedTuple):
    """A process that has a file open."""

    process: int
    name: str

    def __str__(self) -> str:
        return f"{self.process} ({self.name})"


def holders(path: Path, *, own: bool = False) -> str:
    """Return the processes that have a database open, for a message; nothing if that is not known."""
    found = found_holders(path, own=own)
    if not found:
        return ""
    if len(found) == 1:
        return f"Process {found[0]} has it open."
    return f"Processes {', '.join(map(str, found))} have it open."


def found_holders(path: Path, *, own: bool = False) -> list[Holder]:
    """Return the processes that have a database open; none if that is not known.

    No file is opened that SQLite uses: closing it would drop the locks of this process.

    Args:
        path: the database.
        own: whether this process counts.
    """
    real = os.path.realpath(path)
    names = {f"{real}{suffix}" for suffix in _SUFFIXES}
    try:
        processes = sorted(int(name) for name in os.listdir(_PROCESSES) if name.isdecimal())  # noqa: PTH208
    except OSError:
        return []
    return [
        Holder(process, _name(process))
        for process in processes
        if (own or process != os.getpid()) and _has_open(process, names)
    ]


#: The bytes of a database's -shm file that connections lock while they read: https://www.sqlite.org/walformat.html
_READ_LOCKS: Final = range(123, 128)


def readers(path: Path) -> list[Holder]:
    """Return the other processes that read a database in WAL mode at this moment, as far as Linux tells."""
    try:
        shared = os.stat(f"{os.path.realpath(path)}-shm")  # noqa: PTH116
        lines = (_PROCESSES / "locks").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    found = set()
    for line in lines:
        words = line.replace("->", "").split()
        if len(words) < 8 or not words[5].endswith(f":{shared.st_ino}") or not (words[4] + words[6]).isdecimal():
            continue
        if int(words[6]) in _READ_LOCKS and int(words[4]) != os.getpid():
            found.add(int(words[4]))
    return [Holder(process, _name(process)) for process in sorted(found)]


def held_by_this_process(path: Path) -> bool:
    """Whether this process has a database open, where the system tells."""
    real = os.path.realpath(path)
    return _has_open(os.getpid(), {f"{real}{suffix}" for suffix in _SUFFIXES})


def _has_open(process: int, names: set[str]) -> bool:
    folder = _PROCESSES / str(process) / "fd"
    try:
        descriptors = os.listdir(folder)  # noqa: PTH208
    except OSError:  # it has ended, or is another user's
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(folder / descriptor) in names:  # noqa: PTH115
                return True
        except OSError:
            continue
    return False


def _name(process: int) -> str:
    try:
        return (_PROCESSES / str(process) / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "?"
