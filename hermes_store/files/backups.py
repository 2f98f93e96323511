"""Import of the backup copies of session files: what a session does not have any more becomes a former state of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from ..errors import DatabaseCorruptError
from ..outcomes import Outcome
from ..reports import ImportItem
from ..storage import cut_rows, import_log, kept_states, message_differences, message_lookup
from ..storage.engine import Database
from ..storage.row_locks import Reserved, RowLock
from ..storage.session_keys import SessionKey
from ..storage.turns import Turns
from ..storage.unit_of_work import REFUSED_VALUES, UnitOfWork, why_refused
from ..transcripts.encoding import Encoded
from ..webui_format.session_json import SessionContent
from .decided import Decisions
from .directory import Entry
from .parsing import FileParser
from .reading import SessionFile
from .sessions import session_of, was_purged

#: The most bytes of messages that are kept of one copy: they are written in one transaction.
_MOST_BYTES: Final = cut_rows.SESSION_BYTES


#: What a copy is compared with: a session; in a dry run, what would be one; or the report, if there is neither.
_Target = SessionKey | SessionContent | ImportItem


class BackupImporter:
    """Imports the backup copies of one directory, after its sessions.

    Args:
        origin: the directory's name in the import log.
        parser: of its files.
        decisions: what is decided about its files.
        dry_run: write nothing.
    """

    def __init__(self, origin: str, parser: FileParser, decisions: Decisions, *, dry_run: bool) -> None:
        self._origin = origin
        self._parser = parser
        self._decisions = decisions
        self._dry_run = dry_run

    def is_of_session(self, unit: UnitOfWork, entry: Entry) -> bool:
        """Whether a file is the copy of another file, or of a session of the store; any other copy is a session."""
        if not entry.is_backup:
            return False
        if self._parser.has_session_file(entry):
            return True
        own = import_log.sessions_of(unit, import_log.SESSION_FILE, self._origin, [entry.path.name])
        return not own and self._session(unit, entry) is not None

    def run(
        self, database: Database, turns: Turns, entries: Sequence[Entry], planned: Mapping[str, SessionContent]
    ) -> Iterator[ImportItem]:
        """Import copies, and yield the report on each.

        Args:
            entries: those of which `is_of_session` is true.
            planned: in a dry run, the sessions that the import would create, by id.
        """
        for entry in entries:
            begun = time.time()
            with database.read() as unit:
                target = self._target(unit, entry, planned, lock=None)
            known = None if isinstance(target, ImportItem) else self._decisions.find_backup(entry)
            if known is not None:
                yield known
                continue
            found = target if isinstance(target, ImportItem) else self._parser.read_backup(entry)
            if isinstance(found, ImportItem):
                self._note(entry, found, begun, target)
                yield found
                continue
            turns.wait()
            yield self._import(database, entry, found, begun, planned)

    def _session(self, unit: UnitOfWork, entry: Entry, *, lock: RowLock | None = None) -> SessionKey | None:
        return session_of(unit, self._origin, entry.stem, lock=lock)

    def _target(
        self, unit: UnitOfWork, entry: Entry, planned: Mapping[str, SessionContent], *, lock: RowLock | None
    ) -> _Target:
        key = self._session(unit, entry, lock=lock)
        if key is None:
            content = planned.get(entry.stem)
            if content is not None:
                return content
            is_purged = was_purged(unit, self._origin, entry.stem)
            return _skipped(entry, None, "was purged from the store" if is_purged else "is not in the store")
        return key if key.deleted_at is None else _skipped(entry, key.session_id, "is deleted in the store")

    def _note(self, entry: Entry, item: ImportItem, begun: float, target: _Target) -> None:
        self._decisions.note_backup(entry, item, begun, target.id if isinstance(target, SessionKey) else None)

    def _import(
        self, database: Database, entry: Entry, file: SessionFile, begun: float, planned: Mapping[str, SessionContent]
    ) -> ImportItem:
        try:
            with database.read() if self._dry_run else database.write() as unit:
                if not self._dry_run:
                    unit.reserve(Reserved.SESSIONS)
                target = self._target(unit, entry, planned, lock=None if self._dry_run else RowLock.CHANGE)
                item = target if isinstance(target, ImportItem) else self._keep(unit, entry, file, target)
        except (*REFUSED_VALUES, DatabaseCorruptError) as error:
            item = ImportItem(path=entry.name, outcome=Outcome.FAILED, reason=why_refused(error))
            self._decisions.note_refused(entry, item)
            return item
        self._note(entry, item, begun, target)
        return item

    def _keep(
        self, unit: UnitOfWork, entry: Entry, file: SessionFile, target: SessionKey | SessionContent
    ) -> ImportItem:
        """Keep what the session does not have, if there is anything, and return the report on the copy."""
        if isinstance(target, SessionContent):
            session_id, stored = entry.stem, [message.digest for message in target.messages]
            kept: Collection[bytes] = ()
        else:
            session_id, stored = target.session_id, message_lookup.digests(unit, target.id)
            kept = cut_rows.digests(unit, target.id)
        item = ImportItem(
            path=entry.name,
            outcome=Outcome.UNCHANGED,
            id=session_id,
            messages=len(file.messages),
        )
        damage = [] if file.damage is None else [file.damage]
        missing = _missing(file.messages, stored)
        if not _missing(missing, kept):
            return item.model_copy(update={"notes": damage})
        size = sum(len(message.payload) for message in missing)
        what = f"messages that the session does not have: {len(missing)}"
        if size > _MOST_BYTES:
            reason = f"{what}, of {size} bytes; none is kept, because that is more than {_MOST_BYTES}"
            return item.model_copy(update={"outcome": Outcome.FAILED, "reason": reason})
        revision = self._write(unit, file, target, stored) if isinstance(target, SessionKey) else 2
        outcome = Outcome.RECOVERED if damage else Outcome.IMPORTED
        notes = [f"{what}; they are kept as its state at revision {revision}"]
        return item.model_copy(update={"outcome": outcome, "reason": "".join(damage), "notes": notes})

    def _write(self, unit: UnitOfWork, file: SessionFile, key: SessionKey, stored: Sequence[bytes]) -> int:
        """Keep a copy as a former state of its session, and return the revision of that state."""
        difference = message_differences.compare_digests(
            unit, key.id, stored, [message.digest for message in file.messages]
        )
        if difference.row_ids is None:
            raise DatabaseCorruptError(
                f"The positions of the messages of session {key.session_id!r} are damaged; `repair` puts them right."
            )
        if self._dry_run:
            return key.revision + 1
        with unit.savepoint():
            revision = kept_states.add_former(unit, key, file.messages, difference)
            import_log.carry_forward(unit, key.id, key.revision, revision)
        self._decisions.carry_forward(key.id, key.revision, revision)
        return revision - 1


def _missing(messages: Sequence[Encoded], stored: Collection[bytes]) -> list[Encoded]:
    stored = set(stored)
    return [message for message in messages if message.digest not in stored]


def _skipped(entry: Entry, session_id: str | None, what: str) -> ImportItem:
    return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=session_id, reason=f"its session {what}")
