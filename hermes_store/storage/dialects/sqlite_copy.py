"""The copy of a database file that is made before an upgrade."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path


def copy_database(connect: Callable[[], sqlite3.Connection], path: Path, label: str) -> Path:
    """Copy a database next to it, and return the copy.

    Args:
        connect: opens a connection to it.
        path: its file.
        label: what the copy's name has before ``.bak``.
    """
    copy = path.with_name(f"{path.name}.{label}.bak")
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with contextlib.closing(connect()) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy
