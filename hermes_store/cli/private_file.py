"""Writing a file that only its owner may read: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from .exits import CommandError, ExitCode


def write_private(path: Path, content: bytes, *, force: bool) -> None:
    """Write a file, readable for its owner only. At each moment there is nothing at its place, or the whole file.

    Args:
        force: replace a file that is there.

    Raises:
        CommandError: there is one, or something that is no file; or it cannot be written.
    """
    try:
        _write(path, content, force=force)
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror or error}.", ExitCode.UNUSABLE) from error


def _write(path: Path, content: bytes, *, force: bool) -> None:
    if os.path.lexists(path):
        if not (stat.S_ISREG(path.lstat().st_mode) or path.is_symlink()):
            raise CommandError(f"{path} is no file, and nothing was written. Name a file.", ExitCode.UNUSABLE)
        if not force:
            raise _exists(path)
    part = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if force:
            part.replace(path)
        else:
            _place_new(part, path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _place_new(part: Path, path: Path) -> None:
    """Give a file its name, unless another one has it by now."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise _exists(path) from None
    except OSError:  # there are file systems without hard links
        if os.path.lexists(path):
            raise _exists(path) from None
        part.rename(path)


def _exists(path: Path) -> CommandError:
    return CommandError(f"{path} exists already, and was left as it is; --force replaces it.", ExitCode.UNUSABLE)
