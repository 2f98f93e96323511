"""The records of imports of hermes-webui's files."""

from __future__ import annotations

from typing import Any, Final

from .collection import Collection
from .errors import InvalidInputError
from .outcomes import ItemKind, Outcome
from .quoting import quoted, text_of
from .reports import ImportRecord
from .storage import import_log
from .validation import check_id

#: What an entry without notes is: its kind, and how its path begins.
_PLAIN: Final = {
    import_log.SESSION_FILE: (ItemKind.SESSION, "sessions/"),
    import_log.OTHER_FILE: (ItemKind.SESSION, "sessions/"),
    import_log.PROJECT: (ItemKind.PROJECT, "projects.json#"),
    import_log.SHARE: (ItemKind.SHARE, "shares/"),
}


class Imports(Collection):
    """The outcome of each file and project that an import looked at.

    The record of an imported file says how its content was imported, and of a recovered one what was missing. A file
    that was imported and later was in conflict or damaged has two records: one for the import, and one for its present
    state.
    """

    def records(self, *, origin: str | None = None) -> list[ImportRecord]:
        """Return the records of all imports, sorted by directory and then by file.

        The view of a profile returns only records of its sessions, because a file without a session has no profile.

        Args:
            origin: only records of this state directory: its real path, as in `ImportRecord.origin`.

        Raises:
            InvalidInputError: `origin` is not text.
        """
        if origin is not None and not (origin := text_of(origin)):
            raise InvalidInputError(f"origin is the path of a state directory, not {quoted(origin)}. Nothing was read.")
        with self._transactions.read() as unit:
            found = [
                (kind, *entry) for kind in _PLAIN for entry in import_log.all_entries(unit, kind, origin, self._scope)
            ]
        records = [_record(*one) for one in found]
        return sorted(records, key=lambda record: (record.origin, record.path, record.imported_at))

    def of_session(self, session_id: str) -> list[ImportRecord]:
        """Return the records of the files that were imported as a session, or are in conflict with it.

        Raises:
            SessionNotFoundError, SessionDeletedError: as `sessions.get`.
        """
        session_id = check_id(session_id, "session id")
        with self._transactions.read() as unit:
            key = self._find(unit, session_id)
            return [_record(*one) for one in import_log.entries_of_session(unit, key.id) if one[0] in _PLAIN]


def _record(kind: str, origin: str, entry: import_log.Entry) -> ImportRecord:
    notes: Any = entry.notes if isinstance(entry.notes, dict) else {"notes": entry.notes or []}
    item_kind, start = _PLAIN[kind]
    return ImportRecord(
        kind=ItemKind(notes.get("kind", item_kind)),
        origin=origin,
        path=notes.get("path") or f"{start}{entry.item}",
        session_id=entry.public_id,
        imported_at=entry.imported_at,
        outcome=Outcome(notes.get("outcome", Outcome.IMPORTED)),
        reason=notes.get("reason", ""),
        notes=notes.get("notes", []),
    )
