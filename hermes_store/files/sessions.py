"""Import of one session file: find what the store has of it, decide what to do, do that, and report it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from ..errors import DatabaseCorruptError, SessionExistsError
from ..outcomes import Outcome
from ..reports import ImportItem
from ..storage import (
    document_reading,
    import_log,
    message_lookup,
    retired_ids,
    session_keys,
    session_records,
    session_rows,
)
from ..storage.import_log import Entry as LogEntry
from ..storage.part_writer import PartWriter
from ..storage.row_locks import RowLock
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import REFUSED_VALUES, UnitOfWork, why_refused
from ..validation import is_id
from ..webui_format import session_json
from ..webui_format.session_json import SessionContent
from .decision import PURGED, Action, Decision, Prefer, StoredSession, decide, is_imported
from .directory import Entry
from .parsing import ParsedFile
from .projects import ProjectImporter

#: The sessions' kind in the import log.
KIND: Final = import_log.SESSION_FILE


def report_if_unchanged(entry: Entry, recorded: LogEntry | None) -> ImportItem | None:
    """Return the report on a file that is as it was recorded; None if it has to be read."""
    if recorded is None or not entry.is_as_recorded(recorded):
        return None
    if recorded.session is None:
        return _skipped(entry, entry.stem, PURGED.reason)
    if recorded.deleted_at is not None:
        return _skipped(entry, recorded.public_id, "it is deleted in the store")
    return ImportItem(path=entry.name, outcome=Outcome.UNCHANGED, id=recorded.public_id)


def _skipped(entry: Entry, session_id: str | None, reason: str) -> ImportItem:
    return ImportItem(path=entry.name, outcome=Outcome.SKIPPED, id=session_id, reason=reason)


class SessionImporter:
    """Imports session files, one by one.

    Args:
        projects: the projects of the same import.
        origin: the directory's name in the import log.
        prefer: whose version is kept when a file and the store's session were both changed.
        dry_run: write nothing.
    """

    def __init__(self, *, projects: ProjectImporter, origin: str, prefer: Prefer, dry_run: bool) -> None:
        self._projects = projects
        self._origin = origin
        self._prefer = prefer
        self._dry_run = dry_run
        #: In a dry run: the sessions that an import would have created by now.
        self._simulated: dict[str, SessionContent] = {}
        #: The content that was read last of one of the store's sessions, with the session as it was then.
        self._content: tuple[SessionKey, SessionContent] | None = None
        #: By file name: the store's session that a file was compared with, where nothing was done.
        self.compared: dict[str, SessionKey] = {}

    @property
    def simulated(self) -> Mapping[str, SessionContent]:
        """In a dry run: the sessions that an import would have created by now, by id, without payloads."""
        return self._simulated

    def read_stored(self, unit: UnitOfWork, file: ParsedFile, entry: LogEntry | None, writer: PartWriter) -> None:
        """Read what the store has for a session file, so that `import_file` need not; as that, but nothing is written.

        Args:
            unit: a transaction that reads.
        """
        key = self._find(unit, file, entry, lock=None)
        with contextlib.suppress(DatabaseCorruptError):  # `import_file` reports it
            self._stored(unit, file, key, entry, writer)

    def import_file(self, unit: UnitOfWork, file: ParsedFile, entry: LogEntry | None, writer: PartWriter) -> ImportItem:
        """Bring the store up to a session file, as far as that is right, and return the report on it.

        Args:
            unit: the transaction. A file that cannot be stored leaves it as it was.
            file: the file.
            entry: the import log's entry of it; None when it was not imported yet.
            writer: of the file's content.

        Raises:
            UnpreparedError, UnreadError: the session is so large that this has to be done by `writer.write`.
        """
        try:
            key = self._find(unit, file, entry, lock=None if self._dry_run else RowLock.REMOVE)
            if key is None and _is_purged(unit, file, entry):
                return _report(file, PURGED, file.session_id)
            stored = self._stored(unit, file, key, entry, writer)
            decision = decide(file, stored, entry, self._prefer)
            if decision.action is Action.NOTHING and key is not None:
                self.compared[file.entry.path.name] = key
            self._carry_out(unit, file, key, entry, decision, writer)
        except (*REFUSED_VALUES, SessionExistsError) as error:  # this file's: the others of the transaction go on
            failed = Decision(Action.NOTHING, Outcome.FAILED, why_refused(error))
            return _report(file, failed, file.session_id)
        except DatabaseCorruptError as error:  # a damaged value of the store's session, which is compared with the file
            return _report(file, Decision(Action.NOTHING, Outcome.FAILED, str(error)), file.session_id)
        return _report(file, decision, file.session_id if stored is None else stored.session_id)

    @staticmethod
    def _find(unit: UnitOfWork, file: ParsedFile, entry: LogEntry | None, *, lock: RowLock | None) -> SessionKey | None:
        """Return the session that the file became, whatever its id is now; else the one with the file's id."""
        if entry is None:
            return session_keys.find_current_or_former(unit, file.session_id, lock=lock)
        return None if entry.session is None else session_keys.find_row(unit, entry.session, lock=lock)

    def _stored(
        self, unit: UnitOfWork, file: ParsedFile, key: SessionKey | None, entry: LogEntry | None, writer: PartWriter
    ) -> StoredSession | None:
        if key is None:
            simulated = self._simulated.get(file.session_id)
            if simulated is None:
                return None
            return StoredSession(session_id=file.session_id, revision=1, is_deleted=False, content=simulated)
        is_deleted = key.deleted_at is not None
        is_read = not is_deleted and not is_imported(file, entry)
        content = self._read(unit, key, writer) if is_read else None
        return StoredSession(session_id=key.session_id, revision=key.revision, is_deleted=is_deleted, content=content)

    def _read(self, unit: UnitOfWork, key: SessionKey, writer: PartWriter) -> SessionContent:
        if self._content is not None and self._content[0] == key:
            return self._content[1]
        if unit.writes:
            writer.require_short(key)
            return _read_content(unit, key)
        content = _read_content(unit, key)
        self._content = (key, content)
        return content

    def _carry_out(  # noqa: PLR0917 - what is to be done, and of what
        self,
        unit: UnitOfWork,
        file: ParsedFile,
        key: SessionKey | None,
        entry: LogEntry | None,
        decision: Decision,
        writer: PartWriter,
    ) -> None:
        if decision.action is Action.NOTHING:
            return
        project = None
        if decision.action is not Action.RECORD:
            # Before the savepoint: a project is created even if its first session cannot be stored.
            project = self._projects.link(unit, file.content)
            if self._dry_run and key is None:
                self._simulated[file.session_id] = file.content.without_payloads()
        if self._dry_run:
            return
        with unit.savepoint():
            row_id, revision = _write(unit, file, key, project, decision, writer)
            self._record(unit, file, row_id, revision, entry, _notes(file, entry, decision))

    def _record(  # noqa: PLR0917 - the parts of an entry
        self,
        unit: UnitOfWork,
        file: ParsedFile,
        row_id: int,
        revision: int | None,
        entry: LogEntry | None,
        notes: Any,
    ) -> None:
        import_log.record(
            unit,
            KIND,
            self._origin,
            file.entry.path.name,
            new=entry is None,
            session=row_id,
            digest=file.digest,
            size=file.entry.size,
            mtime_ns=file.entry.mtime_ns,
            revision=revision,
            imported_at=file.read_at,
            notes=notes,
        )


def _notes(file: ParsedFile, entry: LogEntry | None, decision: Decision) -> Any:
    """Return what the import log keeps of the import of a file: its outcome, the reason, and notes on the content."""
    if entry is not None and is_imported(file, entry):
        return entry.notes
    outcome = Outcome.IMPORTED if decision.outcome is Outcome.UNCHANGED else decision.outcome
    if file.damage is not None:
        outcome = Outcome.RECOVERED
    return {"outcome": outcome.value, "reason": file.damage or "", "notes": file.content.notes}


def session_of(unit: UnitOfWork, origin: str, stem: str, *, lock: RowLock | None) -> SessionKey | None:
    """Return the session that a file of a directory became, or else the one with its id; also a deleted one.

    Args:
        origin: the directory's name in the import log.
        stem: the file's name without ``.json``.
        lock: as in `session_keys.find`.
    """
    name = f"{stem}.json"
    imported = import_log.sessions_of(unit, KIND, origin, [name])
    if name in imported:
        row = imported[name]
        return None if row is None else session_keys.find_row(unit, row, lock=lock)
    return session_keys.find_current_or_former(unit, stem, lock=lock) if is_id(stem) else None


def was_purged(unit: UnitOfWork, origin: str, stem: str) -> bool:
    """Whether the session was purged that a file became, or would become; as `session_of`, which found none."""
    is_imported = f"{stem}.json" in import_log.sessions_of(unit, KIND, origin, [f"{stem}.json"])
    return is_imported or (is_id(stem) and retired_ids.is_purged(unit, stem))


def _is_purged(unit: UnitOfWork, file: ParsedFile, entry: LogEntry | None) -> bool:
    return entry is not None or retired_ids.is_purged(unit, file.session_id)


def _read_content(unit: UnitOfWork, key: SessionKey) -> SessionContent:
    """Return the store's session as an import of its own export would read it."""
    record = session_records.get_existing(unit, key.session_id)
    data = session_json.to_json(record, document_reading.read(unit, key.id, key.session_id), [])
    del data["messages"]
    return session_json.from_json(data, message_lookup.without_payloads(unit, key.id), written_at=0.0)


def _write(  # noqa: PLR0917 - what is to be done, and of what
    unit: UnitOfWork,
    file: ParsedFile,
    key: SessionKey | None,
    project: int | None,
    decision: Decision,
    writer: PartWriter,
) -> tuple[int, int | None]:
    """Write a file's content, and return the session's row id and the revision that has the content."""
    columns = {**file.content.columns, "project_id": project, "recovered": file.damage is not None}
    if key is None:
        return writer.add(unit, file.session_id, columns), 1
    if decision.action is Action.RECORD:
        if not file.damage:  # the store has all that is in the file
            session_rows.write_row(unit, key.id, {"recovered": False})
        return key.id, decision.revision
    columns["parent_id"] = None  # it is linked again after all files
    return writer.overwrite(unit, key, columns, fields=True)


def _report(file: ParsedFile, decision: Decision, session_id: str) -> ImportItem:
    if decision.outcome is Outcome.SKIPPED:
        return _skipped(file.entry, session_id, decision.reason)
    notes = file.content.notes
    if file.damage is not None and decision.outcome is Outcome.UNCHANGED:  # what can be read is in the store already
        notes = [file.damage, *notes]
    return ImportItem(
        path=file.entry.name,
        outcome=decision.outcome,
        id=session_id,
        reason=decision.reason,
        notes=notes,
        messages=len(file.content.messages),
    )
