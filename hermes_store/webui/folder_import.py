"""Import of JSON files that appear in the folder of session files, from an older process or a restored backup."""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import FilesError
from ..files.directory import StateDirectory
from ..files.importing import OnProgress, import_state_directory
from ..outcomes import Outcome
from ..reports import ImportReport
from ..storage.fork_gate import renew_after_fork
from ..storage.held_lock import HeldLock
from ..store import Store

logger = logging.getLogger("hermes_store.webui")

#: A folder that changed less than this before it was read may change again without another time: that of the system's
#: clock ticks, or whole seconds.
_TICK_NS: Final = 50_000_000
_SECOND_NS: Final = 2_000_000_000
#: The most seconds to wait for another thread's import; then the store is used as it is.
_PATIENCE: Final = 60.0


@dataclass
class _Seen:
    """A folder that had a modification time when its files were imported."""

    mtime_ns: int
    #: Since when it has had that time, as far as is known, by the clock of this machine that is never set.
    since_ns: int
    #: When the import began, by the same clock.
    imported_ns: int

    def is_current(self, mtime_ns: int) -> bool:
        """Whether nothing appeared since, as far as the folder's time shows that.

        The time itself is not compared with a clock: that of a file server may be ahead.
        """
        resolution = _SECOND_NS if mtime_ns % 1_000_000_000 == 0 else _TICK_NS
        return mtime_ns == self.mtime_ns and self.since_ns + resolution < self.imported_ns


class FolderImport:
    """Imports what appears in a folder of session files; nothing there is written, moved or deleted."""

    _lock: HeldLock

    def __init__(self) -> None:
        renew_after_fork(self, "_lock", HeldLock)
        #: What was logged already: a conflict is found again by every import.
        self._logged: set[tuple[str, str]] = set()
        self._seen: weakref.WeakKeyDictionary[Store, dict[Path, _Seen]] = weakref.WeakKeyDictionary()

    def is_due(self, store: Store, folder: Path) -> bool:
        """Whether anything appeared in the folder since the last time, which one `stat` of it shows."""
        try:
            return not self._is_current(store, folder, folder.stat().st_mtime_ns)
        except OSError:
            return False  # there is no folder, and nothing to import

    def run(self, store: Store, folder: Path, on_progress: OnProgress | None = None) -> None:
        """Import the folder if anything appeared in it since the last time, and log what was imported.

        While another thread imports, this one waits for it, for a minute at most.
        """
        try:
            report = self.report(store, folder, on_progress)
        except FilesError as error:
            level = logging.WARNING if self._is_new(str(folder), str(error)) else logging.DEBUG
            logger.log(level, "The session files in %s were not imported: %s", folder, error)
        else:
            if report is not None:
                self._log(report, folder)

    def report(self, store: Store, folder: Path, on_progress: OnProgress | None = None) -> ImportReport | None:
        """Import the folder if anything appeared in it since the last time, which one `stat` of it shows.

        Returns:
            What was imported; None if nothing appeared, there is no folder, or another thread has been importing it for
            more than a minute.

        Raises:
            FilesError: it cannot be read. It is not read again before anything appears in it.
        """
        # Both before everything: an import takes long, and files may appear meanwhile.
        now_ns, clock_ns = time.monotonic_ns(), time.time_ns()
        try:
            mtime_ns = folder.stat().st_mtime_ns
        except OSError:
            return None  # there is no folder, and nothing to import
        if self._is_current(store, folder, mtime_ns):
            return None
        with self._lock.hold(_PATIENCE) as is_held:
            if not is_held:
                logger.warning("The session files in %s are still being imported; some may be missing now.", folder)
            elif not self._is_current(store, folder, mtime_ns):
                # With the time from before: the next call looks for what appeared meanwhile.
                seen = _Seen(mtime_ns, now_ns - max(0, clock_ns - mtime_ns), now_ns)
                try:
                    report = import_state_directory(store, StateDirectory(folder.parent, folder), on_progress)
                except FilesError:
                    self._note(store, folder, seen)
                    raise
                self._note(store, folder, seen)
                return report
        return None

    def _note(self, store: Store, folder: Path, seen: _Seen) -> None:
        known = self._seen.setdefault(store, {})
        before = known.get(folder)
        if before is not None and before.mtime_ns == seen.mtime_ns:
            seen.since_ns = min(seen.since_ns, before.since_ns)
        known[folder] = seen

    def _is_current(self, store: Store, folder: Path, mtime_ns: int) -> bool:
        seen = self._seen.get(store, {}).get(folder)
        return seen is not None and seen.is_current(mtime_ns)

    def _log(self, report: ImportReport, folder: Path) -> None:
        new = [item for item in report.items if item.outcome in _LOGGED and self._is_new(item.path, item.reason)]
        if new:
            counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items())
            logger.info("Session files in %s: %s.", folder, counts)
        for item in new:
            if item.outcome in _PROBLEMS:
                logger.warning("%s was %s: %s", folder.parent / item.path, item.outcome, item.reason)

    def _is_new(self, path: str, reason: str) -> bool:
        new = (path, reason) not in self._logged
        self._logged.add((path, reason))
        return new


_PROBLEMS: Final = frozenset({Outcome.FAILED, Outcome.RECOVERED, Outcome.CONFLICT})
_LOGGED: Final = frozenset({Outcome.IMPORTED, Outcome.UPDATED}) | _PROBLEMS
