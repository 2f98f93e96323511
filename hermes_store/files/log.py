"""What was imported from files, as the store keeps it."""

from __future__ import annotations

from typing import Any

from ..reports import ImportRecord, Outcome
from ..storage import import_log as entries
from ..store import Store
from ..validation import check_instance
from .sessions import KIND


def import_log(store: Store) -> list[ImportRecord]:
    """Return how each session file that the store has came into it, those first that were imported first.

    A recovered session can be told by its record's outcome, whose reason says what was missing in its file.
    """
    check_instance("store", store, Store)
    with store.database.read() as unit:
        return [_record(origin, entry) for origin, entry in entries.all_entries(unit, KIND)]


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
