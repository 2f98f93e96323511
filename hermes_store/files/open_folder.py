"""Open folders: no link is followed in them, and a file is written as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

#: Windows opens no folders, and has no such links to guard against: files are named by their paths there.
_HAS_DESCRIPTORS: Final = os.open in os.supports_dir_fd
NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FOLDER: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | NO_LINK
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK


class OpenFolder:
    """An open folder. Its methods raise `OSError`.

    Args:
        path: the folder; its own name is not followed if it is a link.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, _FOLDER) if _HAS_DESCRIPTORS else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, name: str, content: bytes, mode: int, check: Callable[[], object] = lambda: None) -> None:
        """Write a file, so that readers see all of it or none. What has its name is replaced, not followed.

        Args:
            check: called before the file gets its name; an exception of it leaves everything as it was.
        """
        unfinished = f"{name}.tmp.{secrets.token_hex(4)}"
        descriptor = os.open(self._named(unfinished), _NEW_FILE, mode, dir_fd=self._descriptor)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            check()
            os.replace(
                self._named(unfinished), self._named(name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor
            )
        except BaseException:  # whatever it is, half a file is of no use
            with contextlib.suppress(OSError):
                self._unlink(unfinished)
            raise

    def _unlink(self, name: str) -> None:
        os.unlink(self._named(name), dir_fd=self._descriptor)

    def _named(self, name: str) -> str:
        return str(self._path / name) if self._descriptor is None else name


class PrivateFolder(OpenFolder):
    """A folder for private files, made for its owner alone if it was not there."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        super().__init__(path)

    def names(self) -> list[str]:
        """Return what is in it."""
        return os.listdir(self._path if self._descriptor is None else self._descriptor)  # noqa: PTH208

    def write(self, name: str, text: str) -> None:
        """Write a file for its owner alone, so that readers see all of it or none."""
        self._write(name, text.encode(), 0o600)

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._unlink(name)

    def sync(self) -> None:
        """Write the names of its files to the disk."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)
