"""Import of the files of shares: each becomes a share of its session."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from ..errors import ShareExistsError
from ..outcomes import Outcome
from ..quoting import quoted
from ..reports import ImportItem
from ..storage import import_log, share_rows
from ..storage.engine import Database
from ..storage.import_log import Entry as LogEntry
from ..storage.row_locks import Reserved, RowLock
from ..storage.session_keys import SessionKey
from ..storage.share_rows import ShareRow
from ..storage.turns import Turns
from ..storage.unit_of_work import REFUSED_VALUES, UnitOfWork, why_refused
from ..validation import is_id
from .decided import Decisions
from .decision import Action, Decision, Prefer
from .directory import Entry
from .sessions import session_of, was_purged
from .share_parsing import SUFFIX, ParsedShare, parse, report

#: The shares' kind in the import log.
KIND: Final = import_log.SHARE
#: The most files, and about the most bytes of them, that one transaction imports.
_FILES: Final = 100
_BYTES: Final = 2**21

#: In a dry run: the row id of a session that the import would create.
_NEW_SESSION: Final = -1

_DELETED: Final = Decision(Action.NOTHING, Outcome.SKIPPED, "it is deleted in the store")
_OF_DELETED: Final = Decision(Action.NOTHING, Outcome.SKIPPED, "its session is deleted in the store")
_OF_PURGED: Final = Decision(Action.NOTHING, Outcome.SKIPPED, "its session was purged from the store")


def decide(
    file: ParsedShare, stored: ShareRow | None, entry: LogEntry | None, session: int, prefer: Prefer
) -> Decision:
    """Return what to do with the file of a share of a session that is not deleted.

    Args:
        file: the file.
        stored: the store's share with its token.
        entry: the import log's entry of the file; None when it was not imported yet.
        session: the session's row id.
        prefer: whose version is kept when the file and the store's share were both changed.
    """
    if stored is None:
        return Decision(Action.ADD, Outcome.IMPORTED) if entry is None else _DELETED
    if stored.session != session:
        reason = "the store has its token for another session"
        return Decision(Action.NOTHING, Outcome.CONFLICT, f"{reason}; the store's share was kept")
    is_same = (stored.digest, stored.revoked_at) == (file.digest, file.times.revoked_at)
    if is_same or (entry is not None and entry.digest == file.digest):
        return Decision(Action.RECORD, Outcome.UNCHANGED)
    if prefer == "store":
        if entry is None:
            reason = "the store's share is not from this file"
            return Decision(Action.NOTHING, Outcome.CONFLICT, f"{reason}; the store's share was kept")
        if stored.digest != entry.digest or _is_revoked_here(stored, entry):
            reason = "both were changed since the last import"
            return Decision(Action.NOTHING, Outcome.CONFLICT, f"{reason}; the store's share was kept")
    return Decision(Action.OVERWRITE, Outcome.UPDATED)


def _is_revoked_here(stored: ShareRow, entry: LogEntry) -> bool:
    imported = entry.notes.get("revoked_at") if isinstance(entry.notes, dict) else None
    return stored.revoked_at != imported


class ShareImporter:
    """Imports the files of shares of one directory, after its sessions.

    Args:
        origin: the directory's name in the import log.
        decisions: what is decided about files that do not become shares.
        prefer, limit, dry_run: the arguments `prefer`, `max_file_size` and `dry_run` of the import.
    """

    def __init__(self, origin: str, decisions: Decisions, *, prefer: Prefer, limit: int, dry_run: bool) -> None:
        self._origin = origin
        self._decisions = decisions
        self._prefer: Prefer = prefer
        self._limit = limit
        self._dry_run = dry_run

    def run(
        self, database: Database, turns: Turns, entries: Sequence[Entry], planned: Collection[str]
    ) -> Iterator[ImportItem]:
        """Import files, and yield the report on each.

        Args:
            entries: what is in the folder.
            planned: in a dry run, the ids of the sessions that the import would create.
        """
        for start in range(0, len(entries), _FILES):
            files: list[ParsedShare] = []
            some = entries[start : start + _FILES]
            with database.read() as unit:
                known = self._known(unit, some, planned)
            for entry in some:
                found = known.get(entry.key) or self._parse(entry)
                if isinstance(found, ImportItem):
                    yield found
                    continue
                files.append(found)
                if sum(len(file.payload) for file in files) >= _BYTES:
                    yield from self._import(database, turns, files, planned)
                    files = []
            yield from self._import(database, turns, files, planned)

    def _known(self, unit: UnitOfWork, entries: Sequence[Entry], planned: Collection[str]) -> dict[str, ImportItem]:
        """Return the reports on those files that need not be read, by `Entry.key`; `planned` as in `run`."""
        recorded = import_log.entries(unit, KIND, self._origin, [entry.path.name for entry in entries])
        tokens = [token for entry in entries if is_id(token := entry.path.name.removesuffix(SUFFIX))]
        shares = share_rows.find_among(unit, tokens)
        known: dict[str, ImportItem] = {}
        for entry in entries:
            share = shares.get(entry.path.name.removesuffix(SUFFIX))
            found = _report_if_unchanged(entry, recorded.get(entry.path.name), share)
            if found is None:
                notes = self._decisions.notes_on(entry)
                missing = notes.get("missing")
                if missing in planned:
                    continue
                if missing is not None and session_of(unit, self._origin, missing, lock=None) is not None:
                    continue  # it is there now
                now = {"missing": missing, "share": _state(share)}
                found = self._decisions.find(entry, {name: now[name] for name in now if name in notes})
            if found is not None:
                known[entry.key] = found
        return known

    def _parse(self, entry: Entry) -> ParsedShare | ImportItem:
        begun = time.time()
        if entry.not_a_session is not None:
            found: ParsedShare | ImportItem = report(entry, Outcome.SKIPPED, entry.not_a_session)
        else:
            found = parse(entry, self._limit)
        if isinstance(found, ImportItem):
            self._decisions.note(entry, found, begun)
        return found

    def _import(
        self, database: Database, turns: Turns, files: Sequence[ParsedShare], planned: Collection[str]
    ) -> list[ImportItem]:
        """Import files in one transaction."""
        if not files:
            return []
        turns.wait()
        with database.read() if self._dry_run else database.write() as unit:
            if not self._dry_run:
                unit.reserve(Reserved.SESSIONS)
            return [self._import_file(unit, file, planned) for file in files]

    def _import_file(self, unit: UnitOfWork, file: ParsedShare, planned: Collection[str]) -> ImportItem:
        name = file.entry.path.name
        entry = import_log.entries(unit, KIND, self._origin, [name]).get(name)
        key = session_of(unit, self._origin, file.source, lock=None if self._dry_run else RowLock.CHANGE)
        stored = share_rows.find(unit, file.token, lock=not self._dry_run)
        if key is None and self._dry_run and file.source in planned:
            is_purged = entry is not None and entry.session is None
            planned_one = _OF_PURGED if is_purged else decide(file, stored, entry, _NEW_SESSION, self._prefer)
            return file.report(planned_one.outcome, planned_one.reason, file.source)
        missing = None if key is not None else file.source
        decision = self._decide(unit, file, stored, entry, key)
        session_id = None if key is None else key.session_id
        try:
            if key is not None and not self._dry_run:
                self._carry_out(unit, file, stored, entry, key, decision)
        except (*REFUSED_VALUES, ShareExistsError) as error:  # this file's: the others of the transaction go on
            item = file.report(Outcome.FAILED, why_refused(error), session_id)
            self._decisions.note_refused(file.entry, item)
            return item
        item = file.report(decision.outcome, decision.reason, session_id)
        depends = {"missing": missing, "share": _state(stored)}
        self._decisions.note(file.entry, item, file.read_at, key, depends)
        return item

    def _decide(
        self,
        unit: UnitOfWork,
        file: ParsedShare,
        stored: ShareRow | None,
        entry: LogEntry | None,
        key: SessionKey | None,
    ) -> Decision:
        if entry is not None and entry.session is None:
            return _OF_PURGED
        if key is None:
            if was_purged(unit, self._origin, file.source):
                return _OF_PURGED
            reason = f"its session {quoted(file.source)} is not in the store"
            return Decision(Action.NOTHING, Outcome.SKIPPED, reason)
        if key.deleted_at is not None:
            return _OF_DELETED
        return decide(file, stored, entry, key.id, self._prefer)

    def _carry_out(  # noqa: PLR0917 - what is to be done, and of what
        self,
        unit: UnitOfWork,
        file: ParsedShare,
        stored: ShareRow | None,
        entry: LogEntry | None,
        key: SessionKey,
        decision: Decision,
    ) -> None:
        if decision.action is Action.NOTHING:
            return
        times = file.times
        with unit.savepoint():
            if decision.action is Action.ADD:
                share_rows.add(unit, file.token, key.id, file.payload, **times._asdict())
            elif decision.action is Action.OVERWRITE and stored is not None:
                updated_at, revoked_at = times.updated_at, times.revoked_at
                share_rows.replace(unit, stored.id, file.payload, updated_at=updated_at, revoked_at=revoked_at)
            is_known = entry is not None and entry.digest == file.digest
            import_log.record(
                unit,
                KIND,
                self._origin,
                file.entry.path.name,
                new=entry is None,
                session=key.id,
                digest=file.digest,
                size=file.entry.size,
                mtime_ns=file.entry.mtime_ns,
                imported_at=file.read_at,
                notes=entry.notes if entry is not None and is_known else _notes(file, decision),
            )


def _notes(file: ParsedShare, decision: Decision) -> dict[str, Any]:
    outcome = Outcome.IMPORTED if decision.outcome is Outcome.UNCHANGED else decision.outcome
    return {"outcome": outcome.value, "notes": file.notes, "revoked_at": file.times.revoked_at}


def _report_if_unchanged(entry: Entry, recorded: LogEntry | None, share: ShareRow | None) -> ImportItem | None:
    """Return the report on a file that is as it was recorded; None if it has to be read."""
    if recorded is None or not entry.is_as_recorded(recorded):
        return None
    if recorded.session is None:
        decision = _OF_PURGED
    elif recorded.deleted_at is not None:
        decision = _OF_DELETED
    elif share is None:
        decision = _DELETED
    else:
        decision = Decision(Action.NOTHING, Outcome.UNCHANGED)
    return report(entry, decision.outcome, decision.reason, recorded.public_id)


def _state(share: ShareRow | None) -> str | None:
    """Return a text that is another one once a share of the store was changed."""
    return None if share is None else f"{share.digest.hex()} {share.revoked_at} {share.session}"
