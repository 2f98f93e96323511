"""What was imported from files, as the store keeps it."""

from __future__ import annotations

from typing import Any

from ..reports import ImportRecord, Outcome
from ..storage import import_log as entries
from ..store import Store
from ..validation import check_instance
from . import decided, sessions


def import_log(store: Store) -> list[ImportRecord]:
    """Return what became of each file that imports saw in sessions folders: by folder, then by name.

    A file whose content is in the store says how it came there; the reason of a recovered one says what was missing.
    A file that was imported once and is in conflict, or damaged, since has two records: the other one is of now.

    Raises:
        InvalidInputError: `store` is no store.
    """
    check_instance("store", store, Store)
    with store.database.read() as unit:
        found = [*entries.all_entries(unit, sessions.KIND), *entries.all_entries(unit, decided.KIND)]
    records = [_record(origin, entry) for origin, entry in found]
    return sorted(records, key=lambda record: (record.origin, record.name, record.imported_at))


def _record(origin: str, entry: entries.Entry) -> ImportRecord:
    notes: Any = entry.notes if isinstance(entry.notes, dict) else {"notes": entry.notes or []}
    return ImportRecord(
        origin=origin,
        name=entry.item,
        session_id=entry.public_id,
        imported_at=entry.imported_at,
        outcome=Outcome(notes.get("outcome", Outcome.IMPORTED)),
        reason=notes.get("reason", ""),
        notes=notes.get("notes", []),
    )
