"""The WebUI's folder of session files: what appears in it is imported before sessions are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ..arguments import check_duration
from ..paths import path_of
from ..store import Store
from .background_import import BackgroundImport, ImportStatus
from .folder_import import FolderImport

#: How many times as long an empty list waits for the first sessions of an import, and how often it looks, in seconds.
_FIRST_WAIT: Final = 10
_LOOK: Final = 0.05
#: The most seconds that a session which an import may bring is waited for.
_LONGEST_WAIT: Final = 60.0


class SessionFiles:
    """The JSON files of a folder, which are imported in a thread of their own.

    Args:
        store: returns the store to import into.
        folder: the folder, or a callable that returns it; there is none while that is None.
        import_wait: how many seconds after the beginning of an import calls still wait for it.

    Raises:
        InvalidInputError: an argument is not of the right kind.
    """

    def __init__(
        self, store: Callable[[], Store], folder: Path | Callable[[], Path | None] | None, *, import_wait: float
    ) -> None:
        self._store = store
        self._folder_now = folder if callable(folder) else lambda: folder
        self._import_wait = check_duration("import_wait", import_wait)
        self._imports = BackgroundImport(FolderImport())
        if not callable(folder):
            self.folder()  # a wrong one is told now

    def folder(self) -> Path | None:
        """Return the folder, if there is one now."""
        folder = self._folder_now()
        return None if folder is None else path_of(folder, "folder of sessions")

    @property
    def status(self) -> ImportStatus:
        """How far the present import is, or the last one."""
        return self._imports.status

    def import_new(self) -> None:
        """Import the files that appeared; an import that takes long goes on.

        While there are no sessions yet, it waits longer for the first ones.
        """
        folder = self.folder()
        if folder is None:
            return
        store = self._store()
        self._imports.run(store, folder, self._import_wait)
        # An empty sidebar looks as if all were lost, and the WebUI does not read the list again by itself.
        longest = _FIRST_WAIT * self._import_wait
        while self._imports.status.running and self._imports.age < longest:
            if store.sessions.list(limit=1).items:
                break
            self._imports.wait(_LOOK)

    def wait_for(self, session_id: str) -> bool:
        """Wait for the import that is under way if it may bring a session, and return whether to look for it again."""
        folder = self.folder()
        if folder is None or not (folder / f"{session_id}.json").exists():
            return False
        self._imports.wait(_LONGEST_WAIT)
        return True  # also when none is under way: it may have ended since the session was looked for
