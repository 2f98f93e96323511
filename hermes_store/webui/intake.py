"""JSON files that appear beside the store: an older process's, a restored backup's. They are taken in."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..errors import FilesError
from ..files.directory import StateDirectory
from ..files.importing import import_state_directory
from ..reports import Outcome
from ..store import Store

logger = logging.getLogger("hermes_store.webui")

#: A folder that changed so lately may change again under the same time: that of the system's clock ticks, or seconds.
_TICK_NS: Final = 50_000_000
_SECOND_NS: Final = 2_000_000_000


@dataclass
class _Seen:
    """A folder when its files were taken in."""

    mtime_ns: int
    #: When that was.
    at_ns: int

    def is_settled(self, mtime_ns: int) -> bool:
        """Whether nothing appeared since, as far as the folder's time can tell."""
        grain = _SECOND_NS if mtime_ns % 1_000_000_000 == 0 else _TICK_NS
        return mtime_ns == self.mtime_ns and mtime_ns + grain < self.at_ns


class Intake:
    """Takes in what appears in a folder of session files; nothing there is written, moved or deleted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: What was logged already: a conflict is met again at every look.
        self._said: set[tuple[str, str]] = set()
        self._seen: weakref.WeakKeyDictionary[Store, dict[Path, _Seen]] = weakref.WeakKeyDictionary()

    def take_in(self, store: Store, folder: Path) -> None:
        """Import the folder if anything appeared in it since: one look at its time tells."""
        now_ns = time.time_ns()  # before everything: an import takes long, and files may appear meanwhile
        try:
            mtime_ns = folder.stat().st_mtime_ns
        except OSError:
            return  # there is no folder, and nothing to take in
        seen = self._seen.get(store, {}).get(folder)
        if seen is not None and seen.is_settled(mtime_ns):
            return
        with self._lock:
            seen = self._seen.setdefault(store, {}).get(folder)
            if seen is None or not seen.is_settled(mtime_ns):
                self._import(store, folder)
                # The time is the one from before: what appeared meanwhile is looked at again.
                self._seen[store][folder] = _Seen(mtime_ns, now_ns)

    def _import(self, store: Store, folder: Path) -> None:
        try:
            report = import_state_directory(store, StateDirectory(folder.parent, folder))
        except FilesError as error:
            new = (str(folder), str(error)) not in self._said
            self._said.add((str(folder), str(error)))
            level = logging.WARNING if new else logging.DEBUG
            logger.log(level, "The session files in %s were not taken in: %s", folder, error)
            return
        fresh = [item for item in report.items if item.outcome in _NEWS and (item.path, item.reason) not in self._said]
        self._said.update((item.path, item.reason) for item in fresh)
        if fresh:
            counts = ", ".join(f"{count} {outcome}" for outcome, count in report.counts.items())
            logger.info("Session files in %s: %s.", folder, counts)
        for item in fresh:
            if item.outcome in _TROUBLE:
                logger.warning("%s was %s: %s", folder.parent / item.path, item.outcome, item.reason)


_TROUBLE: Final = frozenset({Outcome.FAILED, Outcome.RECOVERED, Outcome.CONFLICT})
_NEWS: Final = frozenset({Outcome.IMPORTED, Outcome.UPDATED}) | _TROUBLE
