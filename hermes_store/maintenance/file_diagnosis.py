"""What `doctor` looks at around a database's file: who may read it, free space, backups, and what is left over.

No file is opened here: closing the database's would drop SQLite's locks.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..quoting import count, size
from .backups import FOLDER, STAMP
from .diagnosis import Diagnosis, Severity

_SUFFIXES: Final = ("", "-wal", "-shm", "-journal")
#: Days after which the newest backup is old.
_OLD: Final = 30
_DAY: Final = 86_400.0
#: Less free space than this is little, in bytes.
_LITTLE: Final = 100 * 2**20


def diagnose_files(path: Path) -> Iterator[Diagnosis]:
    """Yield what is to be said of a database's file, if there is one, and of its folder."""
    files = {name: status for name in (path.name + suffix for suffix in _SUFFIXES) if (status := _status(path, name))}
    if path.name in files:
        yield _modes(files)
        yield _folder(path.parent)
        yield _space(path.parent, sum(status.st_size for status in files.values()))
        yield _backups(path)
        yield from _left_over(path)


def _status(path: Path, name: str) -> os.stat_result | None:
    try:
        return os.stat(path.parent / name)  # noqa: PTH116 - what may not be looked at counts as missing
    except OSError:
        return None


def _modes(files: dict[str, os.stat_result]) -> Diagnosis:
    open_to_others = [name for name, status in files.items() if stat.S_IMODE(status.st_mode) & 0o077]
    if os.name == "nt" or not open_to_others:
        return Diagnosis(check="modes", severity=Severity.OK, text="Only its owner may read the database.")
    return Diagnosis(
        check="modes",
        severity=Severity.WARNING,
        text=f"Others than the owner may read or write {', '.join(open_to_others)}.",
        advice=f"The conversations are in it. Take their rights away: chmod 600 {' '.join(open_to_others)}",
    )


def _folder(folder: Path) -> Diagnosis:
    status = os.stat(folder)  # noqa: PTH116
    mode = stat.S_IMODE(status.st_mode)
    if not os.access(folder, os.W_OK):
        return Diagnosis(
            check="folder",
            severity=Severity.NOTE,
            text=f"You may not write to {folder}.",
            advice="SQLite makes its log there: you can only read the database, and not even that in WAL mode while "
            "nobody has it open.",
        )
    if os.name != "nt" and mode & 0o022 and not mode & stat.S_ISVTX:
        return Diagnosis(
            check="folder",
            severity=Severity.WARNING,
            text=f"Others than the owner may write to {folder}.",
            advice=f"They can put another file in the place of the database. Take that right away: chmod go-w {folder}",
        )
    return Diagnosis(check="folder", severity=Severity.OK, text="Nobody else may write to its folder.")


def _space(folder: Path, used: int) -> Diagnosis:
    free = shutil.disk_usage(folder).free
    text = f"{size(free)} are free on its disk, and the database has {size(used)}."
    if free < _LITTLE:
        return Diagnosis(
            check="disk",
            severity=Severity.WARNING,
            text=text,
            advice="When the disk is full, nothing can be written. Free some space. `hermes-store purge` makes room in "
            "the database for what is new.",
        )
    if free < 2 * used:
        return Diagnosis(
            check="disk",
            severity=Severity.NOTE,
            text=text,
            advice="`hermes-store compact` takes twice the size of the data.",
        )
    return Diagnosis(check="disk", severity=Severity.OK, text=text)


def _backups(path: Path) -> Diagnosis:
    own = re.compile(rf"{re.escape(path.name)}\.{STAMP}\.backup")
    ages = [time.time() - status.st_mtime for name, status in _scanned(path.parent / FOLDER) if own.fullmatch(name)]
    if not ages:
        return Diagnosis(
            check="backups",
            severity=Severity.NOTE,
            text=f"There is no backup in {path.parent / FOLDER}.",
            advice="If there is none elsewhere, `hermes-store backup FOLDER` makes one, on another disk if possible.",
        )
    days = min(ages) / _DAY
    text = f"The newest of {len(ages):,} in {path.parent / FOLDER} is {count(round(max(0.0, days)), 'day')} old."
    if days > _OLD:
        return Diagnosis(
            check="backups", severity=Severity.WARNING, text=text, advice="`hermes-store backup --keep 7` makes one."
        )
    return Diagnosis(check="backups", severity=Severity.OK, text=text)


def _left_over(path: Path) -> Iterator[Diagnosis]:
    name = re.escape(path.name)
    kinds = {
        rf"{name}\.{STAMP}\.replaced(-wal|-shm|-journal)?": "databases that a restore replaced",
        rf"{name}\.\d{{4}}-\w+\.bak": "copies that were made before an upgrade",
        rf"{name}\.{STAMP}\.restored\.part.*": "parts of restores that did not end",
    }
    for pattern, what in kinds.items():
        sizes = [status.st_size for file, status in _scanned(path.parent) if re.fullmatch(pattern, file)]
        if sizes:
            yield Diagnosis(
                check="left over",
                severity=Severity.NOTE,
                text=f"Next to the database are {what}: {count(len(sizes), 'file')}, {size(sum(sizes))}.",
                advice="They have conversations in them, also purged ones. Remove them when you do not need them.",
            )


def _scanned(folder: Path) -> list[tuple[str, os.stat_result]]:
    """Return the files in a folder; none if there is no such folder, or it may not be read."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # it was removed meanwhile
                if entry.is_file(follow_symlinks=False):
                    found.append((entry.name, entry.stat(follow_symlinks=False)))
    return found
