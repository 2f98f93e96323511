"""Backups become databases again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from ..arguments import check_callable, check_flag
from ..errors import (
    BackupError,
    DatabaseCorruptError,
    DatabaseMissingError,
    InvalidInputError,
    UnsupportedDatabaseError,
)
from ..paths import path_of
from ..storage import migrations
from ..storage.dialects import Dialect, Target
from .backups import CopyProgress, OnBackupProgress, part_of, stamp, writing
from .reports import RestoreReport

#: Seconds to wait for others that use the target.
_PATIENCE: Final = 5.0


def restore_backup(
    backup: str | os.PathLike[str],
    target: Target,
    *,
    dry_run: bool = False,
    on_progress: OnBackupProgress | None = None,
) -> RestoreReport:
    """Put a backup in the place of a database file, and keep what was there.

    The backup is copied next to the database and the copy is checked, before anything is changed. Then it takes the
    place of the database at once. What was there gets the name ``hermes.db.20261128T090500.123456Z.replaced``. An older
    revision of the schema is upgraded when the database is opened.

    Args:
        backup: the file, which stays as it is. Any whole database of this library is one.
        target: the database, as for `Store.open`: a path, or a URL of a file. It may be missing, or damaged.
        dry_run: check the backup as otherwise, by a copy that is removed again, and report what would be replaced. The
            target may be open meanwhile; the report says by which processes.
        on_progress: called after each 256 pages, and again and again while the copy is checked.

    Raises:
        InvalidInputError: an argument is not valid.
        DatabaseMissingError: there is no such backup.
        DatabaseCorruptError: the backup is damaged.
        UnsupportedDatabaseError: the backup or the target is another program's; or the target is a file that is no
            database, or on a server, whose own programs restore it.
        SchemaNewerError: a newer version of this library wrote the backup.
        DatabaseLockedError: somebody has the target open; it names the processes where the system tells.
        BackupError: the target cannot be written.
        DatabaseFullError: there is no space for it.

    None of them changes the target.
    """
    check_flag("dry_run", dry_run)
    if on_progress is not None:
        check_callable("on_progress", on_progress)
    dialect = migrations.dialect_of(target)
    source, path = _checked_paths(backup, dialect)
    started = time.monotonic()
    now = stamp()
    part = path.with_name(f"{path.name}.{now}.restored.part")
    aside = path.with_name(f"{path.name}.{now}.replaced")
    progress = CopyProgress(on_progress)
    with writing(path), part_of(part):
        if source.stat().st_size == 0:  # SQLite would remove its log
            raise DatabaseCorruptError(f"{source} is empty. Nothing was changed; name a backup.")
        if os.path.lexists(path) and path.stat().st_size > 0:
            migrations.require_ours(dialect)
        if not dry_run:
            dialect.require_unused()  # now, and not only after the copy, which may take long
        revision, facts = migrations.copy_backup(source, part, progress.on_pages, progress.on_step)
        size = part.stat().st_size
        if dry_run:
            part.unlink()
            replaced = os.path.lexists(path)
        else:
            replaced = dialect.put_in_place(part, aside, _PATIENCE)
    return RestoreReport(
        backup=str(source),
        target=dialect.display,
        replaced=str(aside) if replaced else None,
        size_bytes=size,
        schema_revision=revision,
        sessions=facts.sessions,
        messages=facts.messages,
        projects=facts.projects,
        seconds=time.monotonic() - started,
        dry_run=dry_run,
        open_in=[str(holder) for holder in dialect.holders()] if dry_run else [],
    )


def _checked_paths(backup: str | os.PathLike[str], dialect: Dialect) -> tuple[Path, Path]:
    """Return the paths of the backup and of the database that it is to replace; raises as `restore_backup`."""
    source = Path(os.path.abspath(path_of(backup, "backup")))  # noqa: PTH100 - resolve() would follow links
    if dialect.backup_programs:
        raise UnsupportedDatabaseError(f"{dialect.display} is no file: nothing was changed. {dialect.backup_programs}")
    if dialect.path is None:
        raise InvalidInputError("A database in memory is no target of a backup. Nothing was changed; name a file.")
    if not os.path.isfile(source):  # noqa: PTH113 - Path.is_file() fails where it may not look
        raise DatabaseMissingError(f"There is no backup {source}. Nothing was changed.")
    path = Path(os.path.realpath(dialect.path))  # a link stays one
    if os.path.exists(path) and os.path.samefile(source, path):  # noqa: PTH110, PTH121
        raise BackupError(f"{source} is the database itself. Nothing was changed; name a backup.")
    return source, path
