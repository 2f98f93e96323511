"""A folder of other programs' files from which some are removed: no link is followed, and only what was read goes."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path
from typing import Final, NamedTuple

from .directory import MAX_FILE_SIZE
from .open_folder import NO_LINK, OpenFolder

_READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | NO_LINK


class Found(NamedTuple):
    """A file's bytes, and what tells whether it is still that file."""

    content: bytes
    status: os.stat_result


class ChangedError(Exception):
    """A file is not as it was read; it was left where it was, or the message says where it is."""


class HeldFolder(OpenFolder):
    """An open folder of other programs' files. Its methods raise `OSError`, also for what is no regular file."""

    def __init__(self, path: Path) -> None:
        if stat.S_ISLNK(path.lstat().st_mode):
            raise OSError(errno.ELOOP, "it is a link, which is not followed", str(path))
        super().__init__(path)

    def read(self, name: str) -> Found:
        """Return a regular file's bytes."""
        mode = self._status(name).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, "it is a link, which is not followed", name)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file", name)
        descriptor = os.open(self._named(name), _READ, dir_fd=self._descriptor)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is not a regular file", name)
            content = file.read(MAX_FILE_SIZE + 1)
        if len(content) > MAX_FILE_SIZE:
            raise OSError(errno.EFBIG, f"it has more than {MAX_FILE_SIZE} bytes", name)
        return Found(content, status)

    def remove(self, name: str, found: Found) -> None:
        """Remove a file that is still as it was read.

        It is moved aside first: what another program writes under its name after that stays.

        Raises:
            ChangedError: it is another file, or was written to. It is where it was.
        """
        self._require_same(name, found)
        aside = f"{name}.removed.{secrets.token_hex(4)}"
        os.rename(self._named(name), self._named(aside), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        try:
            self._require_same(aside, found)
        except ChangedError:
            self._put_back(aside, name)
            raise
        self._unlink(aside)

    def _put_back(self, aside: str, name: str) -> None:
        try:  # a link, because renaming would overwrite what is there again
            os.link(self._named(aside), self._named(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        except OSError as error:
            raise ChangedError(f"it was changed meanwhile, and is called {aside} now") from error
        self._unlink(aside)

    def overwrite(self, name: str, content: bytes, found: Found) -> None:
        """Replace a file that is still as it was read; readers see all of the new content or none.

        Raises:
            ChangedError: it is another file, or was written to. It was left as it is.
        """
        mode = stat.S_IMODE(found.status.st_mode)
        self._write(name, content, mode, lambda: self._require_same(name, found))

    def _require_same(self, name: str, found: Found) -> None:
        if _identity(self._status(name)) != _identity(found.status):
            raise ChangedError("it was changed meanwhile")

    def _status(self, name: str) -> os.stat_result:
        return os.stat(self._named(name), dir_fd=self._descriptor, follow_symlinks=False)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
