"""Import of the folder of session files in a thread of its own: what takes long keeps no request waiting."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Final

from ..record_base import Record
from ..reports import ImportProgress
from ..storage.fork_gate import renew_after_fork
from ..store import Store
from .folder_import import FolderImport

logger = logging.getLogger("hermes_store.webui")

#: Seconds between two lines of the log about an import that takes long.
_INTERVAL: Final = 5.0


class ImportStatus(Record):
    """How far the import of the session files is, or what became of the last one."""

    #: Whether it is under way.
    running: bool = False
    #: The number of files that it has finished, and of all files; both 0 before it has looked at the folder.
    done: int = 0
    total: int = 0
    #: When it began, in epoch seconds; None before the first one.
    started_at: float | None = None
    #: When it ended; None while it is under way.
    ended_at: float | None = None
    #: Why it failed. The next call that reads sessions tries again.
    error: str | None = None


class BackgroundImport:
    """Runs the imports of a folder, one after the other.

    Args:
        imports: imports the folder if anything appeared in it.
    """

    _job: _Job | None

    def __init__(self, imports: FolderImport) -> None:
        self._imports = imports
        renew_after_fork(self, "_job", lambda: None)  # a forked child has not the thread

    @property
    def status(self) -> ImportStatus:
        """How far the present import is, or the last one."""
        job = self._job
        return ImportStatus() if job is None else job.status

    def run(self, store: Store, folder: Path, timeout: float) -> None:
        """Import the folder if anything appeared in it since the last time.

        Once an import has taken `timeout` seconds, it goes on and no call waits for it.

        Raises:
            HermesStoreError: it failed within the timeout.
        """
        if not self._imports.is_due(store, folder):
            return
        job, is_new = self._present(store, folder)
        job.wait(job.began + timeout)
        if job.is_over and not is_new and self._imports.is_due(store, folder):  # it began before this call
            job, _ = self._present(store, folder)
            job.wait(job.began + timeout)
        if job.is_over and job.error is not None:
            raise job.error

    @property
    def age(self) -> float:
        """How many seconds ago the present import, or the last one, began."""
        return 0.0 if self._job is None else time.monotonic() - self._job.began

    def wait(self, timeout: float) -> None:
        """Wait for the import that is under way, if there is one; at most `timeout` seconds."""
        job = self._job
        if job is not None and not job.is_over:
            job.wait(time.monotonic() + timeout)

    def _present(self, store: Store, folder: Path) -> tuple[_Job, bool]:
        """Return the import that is under way, or a new one, and whether it is new."""
        job = self._job
        if job is not None and not job.is_over:
            return job, False
        # (Two threads may both start one: the second finds that there is nothing to do.)
        self._job = job = _Job(self._imports, folder)
        try:
            job.start(store)
        except BaseException:
            self._job = None  # it would count as under way for ever, and nothing would be imported
            raise
        return job, True


class _Job:
    """One import."""

    def __init__(self, imports: FolderImport, folder: Path) -> None:
        self._imports = imports
        self._folder = folder
        self._thread: threading.Thread | None = None
        self.began = self._logged_at = time.monotonic()
        self.status = ImportStatus(running=True, started_at=time.time())
        self.error: Exception | None = None
        self.is_over = False

    def start(self, store: Store) -> None:
        # A thread drops its arguments when it ends: the last import does not keep a store alive.
        thread = threading.Thread(target=self._run, args=(store,), name="hermes-store-import", daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:  # no thread can be started (any more)
            self._run(store)

    def wait(self, deadline: float) -> None:
        if self._thread is not None:
            self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self, store: Store) -> None:
        try:
            self._imports.run(store, self._folder, on_progress=self._note)
        except Exception as error:  # whatever it is, whoever waits raises it, and the log has it
            self.error = error
            logger.warning("The session files in %s were not all imported: %s", self._folder, error)
        finally:
            error_text = None if self.error is None else str(self.error)
            self.status = self.status.model_copy(
                update={"running": False, "ended_at": time.time(), "error": error_text}
            )
            self.is_over = True

    def _note(self, progress: ImportProgress) -> None:
        self.status = self.status.model_copy(update={"done": progress.done, "total": progress.total})
        if time.monotonic() - self._logged_at > _INTERVAL:
            self._logged_at = time.monotonic()
            logger.info("Importing session files in %s: %d of %d.", self._folder, progress.done, progress.total)
