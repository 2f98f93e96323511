"""What text is in the files of a database that is open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def files_with(path: Path, word: str) -> list[str]:
    """Return the names of the database's files that have a word.

    Another process reads them: closing a file drops the locks that SQLite has on it for this process.
    """
    program = (
        "import pathlib, sys\n"
        "for name in sys.argv[2:]:\n"
        "    file = pathlib.Path(name)\n"
        "    if file.exists() and sys.argv[1].encode() in file.read_bytes():\n"
        "        print(file.name)\n"
    )
    files = [f"{path}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")]
    command = [sys.executable, "-S", "-c", program, word, *files]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
