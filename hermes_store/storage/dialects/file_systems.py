"""File systems: which are shared, and how what is on them is made to survive a power loss.

Where several machines, or a machine and its guests, share a file system, write-ahead logging fails silently. It needs
memory that all processes share, and of other machines none is shared: https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

#: What Linux says is mounted; elsewhere there is no such file.
MOUNTS: Final = Path("/proc/self/mountinfo")
_SHARED: Final = re.compile(r"nfs\d?|cifs|smb\d?|smbfs|9p|virtiofs|ceph|glusterfs|afs|fuse(\..+)?")
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def shared_file_system(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the file system that a folder is on, if it is one that others may share; else None.

    Args:
        folder: an existing folder.
        mounts: the list of what is mounted, as Linux has it.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    place = os.path.realpath(folder)
    found, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
        inside = place == point or place.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # of two at one point, the later one is on top
            found, longest = after.split(" ")[0], len(point)
    return found if _SHARED.fullmatch(found) else None


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
