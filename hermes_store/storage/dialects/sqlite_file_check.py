"""Whether a path can be a database file, before SQLite opens it: SQLite's own errors do not say what is there.

The file is not opened here, as closing it would drop the locks that SQLite holds on it for this process.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from ... import errors

_KINDS: Final = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def require_openable(path: Path) -> None:
    """Do nothing if a path is a file that may be read, or if there is nothing.

    Raises:
        DatabaseUnavailableError: it is something else, or the way to it is barred.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise errors.DatabaseUnavailableError(
            f"{path} cannot be opened: {_obstacle(path, error)}. Nothing was opened; name another place"
            f"{', or have access granted' if isinstance(error, PermissionError) else ''}."
        ) from error
    if stat.S_ISDIR(status.st_mode):
        raise errors.DatabaseUnavailableError(
            f"{path} is a directory, and a database is a file. Nothing was opened; name a file in it, such as "
            f"{path / 'hermes.db'}."
        )
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "no regular file")
        raise errors.DatabaseUnavailableError(
            f"{path} is {kind}, and a database is a regular file. Nothing was opened; name another place."
        )
    if not _may(path, os.R_OK):
        raise errors.DatabaseUnavailableError(
            f"{path} may not be read by you: it belongs to {_owner(status)}. Nothing was opened; name another file, or "
            "have access granted."
        )


def _obstacle(path: Path, error: OSError) -> str:
    """Return what is in the way of looking at a path."""
    for parent in reversed(path.parents):
        try:
            status = parent.stat()
        except OSError:
            break
        if not stat.S_ISDIR(status.st_mode):
            return f"{parent} is a file, not a directory"
        if isinstance(error, PermissionError) and not _may(parent, os.X_OK):
            return f"you may not look into {parent}, which belongs to {_owner(status)}"
    return f"{error.strerror or error}"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _owner(status: os.stat_result) -> str:
    try:
        import pwd  # noqa: PLC0415 - Windows has none

        return pwd.getpwuid(status.st_uid).pw_name
    except (ImportError, KeyError):
        return f"user {status.st_uid}"
