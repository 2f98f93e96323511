"""Checks of the import log: whether each entry is one that an import can have written."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select, type_coerce
from sqlalchemy.types import NullType

from ..outcomes import ItemKind, Outcome
from ..transcripts import json_codec
from . import import_log
from .schema import import_item_table, session_table
from .statement import Statement
from .unit_of_work import UnitOfWork

#: The kinds of entries of a sessions folder: their notes have an outcome.
_FILES: Final = frozenset({import_log.SESSION_FILE, import_log.OTHER_FILE, import_log.PROJECT, import_log.SHARE})
_KINDS: Final = _FILES | {import_log.AGENT_SESSION}
_ROWS: Final = 1_000
_entries: Final = Statement(
    select(
        import_item_table.c.id,
        *(type_coerce(import_item_table.c[name], NullType()) for name in ("kind", "origin", "item", "digest", "notes")),
        session_table.c.session_id,
    )
    .outerjoin(session_table, session_table.c.id == import_item_table.c.session_id)
    .where(import_item_table.c.id > bindparam("after"))
    .order_by(import_item_table.c.id)
    .limit(bindparam("most")),
    checked=False,
)


class EntryFinding(NamedTuple):
    """An entry that no import can have written."""

    session_id: str | None
    problem: str


def entries_after(unit: UnitOfWork, after: int) -> tuple[int | None, list[EntryFinding]]:
    """Check the next entries after a row id; return the row id of the last (None without any), and what is wrong."""
    rows = unit.rows(_entries, {"after": after, "most": _ROWS})
    found = []
    for row_id, *values, session_id in rows:
        problem = _problem(*values)
        if problem:
            name = session_id if isinstance(session_id, str) else None
            found.append(EntryFinding(name, f"entry {row_id} of the import log {problem}"))
    return (rows[-1][0] if rows else None), found


def _problem(kind: Any, origin: Any, item: Any, digest: Any, notes: Any) -> str:
    if kind not in _KINDS:
        return f"is of the unknown kind {kind!r}"
    if not isinstance(origin, str) or not isinstance(item, str):
        return "has no text as its directory or name"
    if not isinstance(digest, bytes | memoryview):
        return "has no digest"
    return "" if notes is None else _problem_of_notes(kind, notes)


def _problem_of_notes(kind: str, notes: Any) -> str:
    try:
        decoded = json_codec.decode(bytes(notes))
    except (ValueError, TypeError):
        return "has notes that are no JSON"
    if kind in _FILES and isinstance(decoded, dict):
        outcome, about = decoded.get("outcome", Outcome.IMPORTED), decoded.get("kind", ItemKind.SESSION)
        if outcome not in list(Outcome) or about not in list(ItemKind):
            return f"has an unknown outcome or kind: {outcome!r}, {about!r}"
    return ""
