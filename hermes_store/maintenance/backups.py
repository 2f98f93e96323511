"""Backups of a database file, while others write to it."""

from __future__ import annotations

import contextlib
import datetime
import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from ..arguments import check_callable, check_instance
from ..errors import BackupError, DatabaseFullError, InvalidInputError, UnsupportedDatabaseError
from ..paths import DATABASE_NAME, path_of
from ..quoting import quoted
from ..storage import migrations
from ..storage.dialects import Dialect
from ..storage.dialects.file_systems import sync
from ..store import Store
from .reports import BackupProgress, BackupReport

OnBackupProgress = Callable[[BackupProgress], None]

#: The folder next to a database that has its backups.
FOLDER: Final = "backups"
_PART: Final = ".part"
#: The time in the names of files, as `stamp` writes it.
STAMP: Final = r"\d{8}T\d{6}\.\d{6}Z"
_OWN_PART: Final = re.compile(rf"\.{STAMP}\.backup{re.escape(_PART)}$")
#: Seconds after which a part of a backup, that was not written to meanwhile, counts as left by a process that ended.
_ABANDONED: Final = 86_400.0


class _Place(NamedTuple):
    """Where a backup is to be."""

    path: Path
    #: The file name of the database, if the backup's name is made of it.
    named_after: str | None


def backup(
    store: Store,
    target: str | os.PathLike[str] | None = None,
    *,
    keep: int | None = None,
    on_progress: OnBackupProgress | None = None,
) -> BackupReport:
    """Copy the database to a file, while others write to it.

    The copy has the state of one moment. It is written next to its place, readable for you only, and gets its name when
    it was checked and is on the disk. The check compares the schema and the numbers of rows with the database, and runs
    SQLite's own check.

    Args:
        store: an open store, which may be read-only.
        target: the file to make, or a folder that exists. In a folder the backup is named after the database and the
            time, in UTC: ``hermes.db.20261128T090500.123456Z.backup``. None: the folder ``backups`` next to the
            database, which is made if it is missing.
        keep: how many backups of such names to keep in the folder, 1 or more; older ones are removed. None: all.
        on_progress: called after each 256 pages, and again and again while the copy is checked.

    Raises:
        InvalidInputError: an argument is not valid.
        UnsupportedDatabaseError: it is on a server, whose own programs back it up; it names them.
        BackupError: the target exists, or cannot be written; or an older backup could not be removed.
        DatabaseFullError: there is no space for it.
        DatabaseCorruptError: the database is damaged, or the disk of the copy.
    """
    check_instance("store", store, Store)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    if keep is not None and (type(keep) is not int or keep < 1):
        raise InvalidInputError(f"keep is a number of backups, 1 or more, not {quoted(keep)}. Nothing was written.")
    dialect = store.database.dialect
    if dialect.backup_programs:
        raise UnsupportedDatabaseError(
            f"{dialect.display} is no file, so no backup was made. {dialect.backup_programs}"
        )
    started = time.monotonic()
    place = _place(dialect, target)
    if keep is not None and place.named_after is None:
        raise InvalidInputError(
            f"keep needs a folder, and {place.path} is none. Nothing was written; make the folder, or leave keep out."
        )
    with writing(place.path):
        report = _write(store, place.path, on_progress)
    removed = [] if keep is None else _remove_older(place, keep)
    return report.model_copy(update={"removed": removed, "seconds": time.monotonic() - started})


def _place(dialect: Dialect, target: str | os.PathLike[str] | None) -> _Place:
    name = dialect.path.name if dialect.path is not None else DATABASE_NAME
    if target is not None:
        path = Path(os.path.abspath(path_of(target, "backup")))  # noqa: PTH100 - resolve() would follow links
        if not os.path.isdir(path):  # noqa: PTH112 - Path.is_dir() fails where it may not look
            return _Place(path, None)
        folder = path
    elif dialect.path is None:
        raise InvalidInputError("A database in memory has no folder for backups. Nothing was written; name a target.")
    else:
        folder = dialect.path.parent / FOLDER
        with writing(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
    return _Place(folder / f"{name}.{stamp()}.backup", name)


def stamp() -> str:
    """Return the time as it is in the names of files: in UTC, so that they sort by it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _write(store: Store, path: Path, on_progress: OnBackupProgress | None) -> BackupReport:
    """Write the backup, and return what is in it."""
    part = path.with_name(f"{path.name}{_PART}")
    if os.path.lexists(path):
        raise BackupError(f"{path} exists already, and was left as it is. Name another file, or a folder.")
    _remove_abandoned(path.parent)
    progress = CopyProgress(on_progress)
    with part_of(part):
        with store.database.read() as unit:
            facts = unit.dialect.back_up(unit, part, progress.on_pages, progress.on_step)
            revision = migrations.stored_revision(unit)
        size = part.stat().st_size
        rename_part(part, path)
    return BackupReport(
        source=store.database.dialect.display,
        path=str(path),
        size_bytes=size,
        schema_revision=revision,
        sessions=facts.sessions,
        messages=facts.messages,
        projects=facts.projects,
        seconds=0.0,
    )


class CopyProgress:
    """Tells a caller how far a copy of pages is, and then its check.

    Args:
        on_progress: what to call; nothing when None.
    """

    def __init__(self, on_progress: OnBackupProgress | None) -> None:
        self._on_progress = on_progress or (lambda _: None)
        self._pages = 0

    def on_pages(self, done: int, total: int) -> None:
        """Tell of the pages that were copied."""
        self._pages = total
        self._on_progress(BackupProgress(step="copy", done=done, total=total))

    def on_step(self) -> None:
        """Tell that the check goes on."""
        self._on_progress(BackupProgress(step="check", done=0, total=self._pages))


@contextlib.contextmanager
def part_of(part: Path) -> Iterator[None]:
    """Remove what was written to `part` when the block is left with an exception."""
    if os.path.lexists(part):
        raise BackupError(
            f"There is {part} already: another backup is writing it, or one was killed. No backup was made; remove it "
            "if no backup is under way."
        )
    try:
        yield
    except BaseException:  # whatever it is, a part of a backup is of no use
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def rename_part(part: Path, path: Path) -> None:
    """Give a whole file its name, in the same folder.

    Raises:
        BackupError: somebody else made a file of that name.
    """
    if os.path.lexists(path):
        raise BackupError(f"{path} was made by somebody else meanwhile, and was left as it is. Try again.")
    part.rename(path)
    sync(path.parent)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's errors about a path into this library's."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DatabaseFullError(
                f"There is no space for {path}: {error.strerror}. Nothing was changed; free some, or choose another "
                "place."
            ) from error
        raise BackupError(
            f"{error.filename or path} cannot be written: {error.strerror}. Nothing was changed; choose another place, "
            "or give yourself write permission there."
        ) from error


def _remove_abandoned(folder: Path) -> None:
    """Remove the parts of backups that a killed process left."""
    for file in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if _OWN_PART.search(file.name) and time.time() - file.stat().st_mtime > _ABANDONED:
                file.unlink()


def _remove_older(place: _Place, keep: int) -> list[str]:
    """Remove the backups of a database but for the newest, and return which."""
    own = re.compile(rf"{re.escape(place.named_after or '')}\.{STAMP}\.backup")
    removed: list[str] = []
    try:
        found = sorted(file.name for file in place.path.parent.iterdir() if own.fullmatch(file.name))
        for name in found[:-keep]:
            (place.path.parent / name).unlink(missing_ok=True)
            removed.append(str(place.path.parent / name))
    except OSError as error:
        raise BackupError(
            f"{place.path} was made and is whole, but an older backup, {error.filename}, cannot be removed: "
            f"{error.strerror}. Remove it yourself."
        ) from error
    return removed
