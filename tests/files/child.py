"""What the tests let another process do: ``child.py VERB DATABASE DIRECTORY …``."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hermes_store import HermesStoreError, Store
from hermes_store.files import export_directory, import_directory


def kill_at(store: Store, directory: str, statement: str) -> None:
    """Import, and be killed before the n-th statement that reaches the database."""
    left = int(statement)

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    for event in ("before_cursor_execute", "commit"):
        sa.event.listen(store._database.engine, event, count)
    import_directory(store, directory)
    print(int(statement) - left)


def opened_files(store: Store, directory: str) -> None:
    """Import twice, and tell which files of the directory each import opened."""
    opened: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.fsdecode(arguments[0])
            if path.startswith(directory):
                opened.append(Path(path).name)

    sys.addaudithook(note)
    runs = []
    for _ in range(2):
        import_directory(store, directory)
        runs.append(sorted(opened))
        opened.clear()
    print(json.dumps(runs))


def memory(store: Store, directory: str) -> None:
    """Import, and tell by how many bytes the memory rose above that of an open store."""
    with Store.open(":memory:") as warm:  # what a first use of the library brings in
        warm.sessions.create(title="x")
    before = _status("VmRSS")
    report = import_directory(store, directory)
    print(json.dumps([_status("VmHWM") - before, {item.path: item.outcome.value for item in report.items}]))


def _status(field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def export_small(store: Store, directory: str, limit: str) -> None:
    """Export where no file may be longer than `limit` bytes, and tell the error."""
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
    try:
        export_directory(store, directory)
    except HermesStoreError as error:
        print(json.dumps([type(error).__name__, str(error)]))


if __name__ == "__main__":
    verb, database, *rest = sys.argv[1:]
    with Store.open(database, durability="normal") as opened:
        globals()[verb](opened, *rest)
