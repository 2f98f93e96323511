"""Imports and exports for processes of their own (`processes.run_function`): killed, counted, or short of space."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hermes_store import HermesStoreError, Store
from hermes_store.files import export_directory, import_directory, remove_imported_files
from tests.support.internals import configure_connections
from tests.support.processes import become_nobody


class _Countdown:
    """Kills this process before the n-th statement that a store's SQLite database executes."""

    def __init__(self, store: Store, number: int, words: str) -> None:
        self.reached = 0
        self._number = number
        self._words = words
        configure_connections(store, lambda connection: connection.set_trace_callback(self._count))

    def _count(self, statement: str) -> None:
        self.reached += statement.startswith(self._words)
        if self.reached == self._number:
            os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _killed(database: str, number: str, words: str = "") -> Iterator[Store]:
    """Open a store in a process that is killed before the n-th statement that begins so; print how many there were."""
    with Store.open(database, durability="normal") as store:
        countdown = _Countdown(store, int(number), words)
        yield store
    print(countdown.reached)


def import_folder_and_be_killed(database: str, directory: str, number: str, words: str = "") -> None:
    """Import a state directory, and be killed before the n-th statement that begins with some words.

    Of 0, the import is left to end.
    """
    with _killed(database, number, words) as store:
        import_directory(store, directory)


def import_agent_and_be_killed(database: str, path: str, number: str, words: str = "") -> None:
    """Import all of the agent's file, and be killed before the n-th statement that begins with some words."""
    from hermes_store import AgentBridge  # the programs of the files need not wait for it

    with _killed(database, number, words) as store:
        AgentBridge(path, store=store).import_sessions()


def opened_files(database: str, directory: str) -> None:
    """Import twice, and print which files of the directory each import opened."""
    opened: list[str] = []

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.fsdecode(arguments[0])
            if path.startswith(directory):
                opened.append(Path(path).name)

    sys.addaudithook(note)
    runs = []
    with Store.open(database, durability="normal") as store:
        for _ in range(2):
            import_directory(store, directory)
            runs.append(sorted(opened))
            opened.clear()
    print(json.dumps(runs))


def memory(database: str, directory: str) -> None:
    """Import, and print by how many bytes the memory rose above that of an open store."""
    with Store.open(database, durability="normal") as store:
        with Store.open(":memory:") as warm:  # what a first use of the library brings in
            warm.sessions.create(title="x")
        before = _status("VmRSS")
        report = import_directory(store, directory)
        print(json.dumps([_status("VmHWM") - before, {item.path: item.outcome.value for item in report.items}]))


def _status(field: str) -> int:
    match = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) * 1024


def export_small(database: str, directory: str, limit: str) -> None:
    """Export where no file may be longer than `limit` bytes, and print the error."""
    import resource

    with Store.open(database, durability="normal") as store:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
        try:
            export_directory(store, directory)
        except HermesStoreError as error:
            print(json.dumps([type(error).__name__, str(error)]))


def remove_as_nobody(directory: str, session_id: str) -> None:
    """Import a directory, remove the files of a session without the rights to, and print why they were kept."""
    with Store.open(":memory:") as store:
        import_directory(store, directory)
        become_nobody()
        print([f"{item.outcome}: {item.reason}" for item in remove_imported_files(store, session_id)])
