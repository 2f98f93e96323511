"""What was decided about the files that did not become sessions: an import need not read them again.

A session file that was imported has an entry in the import log with its session. One that failed, was skipped, or is in
conflict with the store's session has an entry of another kind, which says what was decided, and what that depends on:
the file's size and times, the store's session as it was then, and the arguments of the import.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

from ..outcomes import ItemKind, Outcome
from ..reports import ImportItem
from ..storage import import_log
from ..storage.engine import Database
from ..storage.import_log import Entry as LogEntry
from ..storage.row_locks import Reserved
from ..storage.session_keys import SessionKey
from ..storage.turns import Turns
from ..storage.unit_of_work import REFUSED_VALUES, UnitOfWork, driver_error
from .decision import Prefer
from .directory import SESSIONS, Entry
from .parsing import FileParser

logger = logging.getLogger("hermes_store")

#: The kind of these entries in the import log.
KIND: Final = import_log.OTHER_FILE
#: Grows when files are read or judged by other rules: what was decided by earlier ones is decided anew.
RULES: Final = 2
#: Entries that one transaction writes, at most.
_CHUNK: Final = 200
#: The values of an entry that no later import goes by.
_UNCONDITIONAL: Final = {"session": None, "revision": None, "size": None, "mtime_ns": None}
_NOTHING: Final[Mapping[str, Any]] = {}
_KEPT: Final = frozenset({Outcome.FAILED, Outcome.SKIPPED, Outcome.CONFLICT})


class Decisions:
    """What is decided about the files of one directory.

    Args:
        origin: the directory's name in the import log.
        parser: of its files, which knows the lists of deleted sessions.
        prefer, limit: the arguments `prefer` and `max_file_size` of the import.
    """

    def __init__(self, origin: str, parser: FileParser, *, prefer: Prefer, limit: int) -> None:
        self._origin = origin
        self._parser = parser
        self._prefer = prefer
        self._limit = limit
        self._known: dict[str, LogEntry] = {}
        self._now: dict[str, dict[str, Any]] = {}
        #: The files of which what is known still holds.
        self._held: set[str] = set()

    def load(self, database: Database) -> None:
        """Read what was decided by former imports."""
        with database.read() as unit:
            self._known = import_log.of_origin(unit, KIND, self._origin)

    def notes_on(self, entry: Entry) -> Mapping[str, Any]:
        """Return what a former import kept with its decision about a file; nothing, if it made none."""
        known = self._known.get(entry.key)
        return known.notes if known is not None and isinstance(known.notes, dict) else {}

    def find(self, entry: Entry, depends: Mapping[str, Any] = _NOTHING) -> ImportItem | None:
        """Return the report on a file about which nothing has to be decided anew; None for any other.

        Args:
            depends: what the decision depends on besides the file and the session, as it is now; see `note`.
        """
        known = self._known.get(entry.key)
        if known is None or not self._holds(entry, known, depends):
            return None
        self._held.add(entry.key)
        return item_of(known)

    def _holds(self, entry: Entry, known: LogEntry, depends: Mapping[str, Any]) -> bool:
        if not entry.is_as_recorded(known):
            return False
        if known.revision is not None and known.revision != known.session_revision:
            return False  # the store's session was changed, restored or purged since
        if not isinstance(known.notes, dict):
            return False
        return {**self._circumstances(entry), **depends}.items() <= known.notes.items()

    def _circumstances(self, entry: Entry) -> dict[str, Any]:
        """Return what a decision depends on besides the file and the session."""
        common = {
            "rules": RULES,
            "prefer": self._prefer,
            "limit": self._limit,
            "changed_ns": entry.changed_ns,
        }
        if entry.folder != SESSIONS:
            return common
        return {**common, "listed": self._parser.list_of(entry), "backup": self._parser.backup_of(entry)}

    def note(
        self,
        entry: Entry,
        item: ImportItem,
        decided_at: float,
        compared: SessionKey | None = None,
        depends: Mapping[str, Any] = _NOTHING,
    ) -> None:
        """Keep what was decided about a file, if it is to be known to the next import.

        Args:
            entry: the file.
            item: the report on it.
            decided_at: when it was read, in epoch seconds.
            compared: the store's session that it was compared with.
            depends: what else the decision depends on, as JSON values.
        """
        if item.outcome in _KEPT:
            row_id, revision = (None, None) if compared is None else (compared.id, compared.revision)
            self._note(entry, item, decided_at, row_id, revision, depends)

    def note_backup(self, entry: Entry, item: ImportItem, decided_at: float, session: int | None) -> None:
        """Keep what became of the backup copy of a session's file. That holds however the session changes.

        Args:
            entry, item, decided_at: as in `note`.
            session: the row id of the session; None if the store has none, and the next import looks again.
        """
        self._note(entry, item, decided_at, session, None, {"has_session": session is not None})

    def find_backup(self, entry: Entry) -> ImportItem | None:
        """Return the report on a backup copy that a former import found the session of; None for any other."""
        item = self.find(entry, {"has_session": True})
        if item is None or item.outcome is Outcome.FAILED:
            return item
        return item.model_copy(update={"outcome": Outcome.UNCHANGED, "reason": ""})

    def _note(  # noqa: PLR0917 - the parts of an entry
        self,
        entry: Entry,
        item: ImportItem,
        decided_at: float,
        session: int | None,
        revision: int | None,
        depends: Mapping[str, Any],
    ) -> None:
        values = {
            "session": session,
            "revision": revision,
            "size": entry.size,
            "mtime_ns": entry.mtime_ns,
            "notes": {**_notes_on(item), **self._circumstances(entry), **depends},
        }
        self._keep(entry.key, values, decided_at)

    def carry_forward(self, session: int, before: int, after: int) -> None:
        """Carry what was decided now about a session at a revision to another one; as `import_log.carry_forward`."""
        for values in self._now.values():
            if (values["session"], values["revision"]) == (session, before):
                values["revision"] = after

    def note_other(self, item: ImportItem) -> None:
        """Keep what was decided about a project, or a folder next to the sessions folder, if nothing was imported.

        That is for the record: the next import looks at them again.
        """
        if item.outcome in _KEPT:  # no file of the sessions folder has a name with a slash
            self._keep(f"../{item.path}", {**_UNCONDITIONAL, "notes": _notes_on(item)}, time.time())

    def note_refused(self, entry: Entry, item: ImportItem) -> None:
        """Keep that the database refused a file, for the record: the next import tries again."""
        self._keep(entry.key, {**_UNCONDITIONAL, "notes": _notes_on(item)}, time.time())

    def _keep(self, name: str, values: dict[str, Any], decided_at: float) -> None:
        values = {"digest": b"", **values}
        known = self._known.get(name)
        if known is not None and values == {name: getattr(known, name) for name in values}:
            self._held.add(name)
        else:
            self._now[name] = {**values, "imported_at": decided_at}

    def write(self, database: Database, turns: Turns) -> None:
        """Write what was decided now, and remove what does not hold any more; nothing, if nothing changed."""
        gone = sorted(self._known.keys() - self._held - self._now.keys())
        names = sorted(self._now)
        for start in range(0, len(names), _CHUNK):
            turns.wait()
            with database.write() as unit:
                unit.reserve(Reserved.SESSIONS)
                for name in names[start : start + _CHUNK]:
                    self._put(unit, name)
        if gone:
            turns.wait()
            with database.write() as unit:
                import_log.remove(unit, KIND, self._origin, gone)

    def _put(self, unit: UnitOfWork, name: str) -> None:
        try:
            with unit.savepoint():
                import_log.put(unit, KIND, self._origin, name, self._now[name])
        except REFUSED_VALUES as error:  # the report has what was decided; the next import decides again
            logger.warning("What was decided about %s could not be kept: %s", name, driver_error(error))


def _notes_on(item: ImportItem) -> dict[str, Any]:
    """Return what the import log keeps of a report, to give it again; see `item_of`."""
    notes = item.model_dump(mode="json", include={"kind", "path", "outcome", "reason", "notes", "messages", "id"})
    return notes if item.kind is not ItemKind.SESSION else {name: notes[name] for name in notes if name != "kind"}


def item_of(entry: LogEntry) -> ImportItem:
    """Return the report on a file that an entry of the import log keeps."""
    notes: Mapping[str, Any] = entry.notes if isinstance(entry.notes, dict) else {}
    return ImportItem(
        kind=ItemKind(notes.get("kind", ItemKind.SESSION)),
        path=str(notes.get("path", entry.item)),
        outcome=Outcome(notes.get("outcome", Outcome.SKIPPED)),
        id=notes.get("id"),
        reason=str(notes.get("reason", "")),
        notes=list(notes.get("notes", [])),
        messages=int(notes.get("messages", 0)),
    )
