"""Links of sessions to their parents and projects, made after all files: the other end may have come later."""

from __future__ import annotations

from typing import Final

from ..storage import document_rows, import_log, project_rows, session_rows
from ..storage.engine import Database
from ..storage.turns import Turns
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import json_codec
from ..validation import is_id

#: Links that one transaction makes, at most.
_CHUNK: Final = 200
#: The keys of links in a session's JSON, and their columns.
_COLUMNS: Final = {"project_id": "project_id", "parent_session_id": "parent_id"}


def link(database: Database, turns: Turns) -> None:
    """Link the sessions that have the id of a parent or project as a document, where that exists in their profile."""
    for key in _COLUMNS:
        with database.read() as unit:
            row_ids = list(_links(unit, key))
        for start in range(0, len(row_ids), _CHUNK):
            turns.wait()
            with database.write() as unit:
                for row_id in row_ids[start : start + _CHUNK]:
                    # Looked up again: another process may have linked it since, or removed the other end.
                    for target in _links(unit, key, row_id).values():
                        _link(unit, row_id, key, target)


def _links(unit: UnitOfWork, key: str, session: int | None = None) -> dict[int, int]:
    """Return the links that can be made, of all sessions or of one: the row ids of both ends."""
    found = {}
    for row_id, profile, payload in document_rows.unlinked(unit, key, session):
        value = json_codec.decode(payload)
        target = _target(unit, key, value, profile, row_id) if is_id(value) else None
        if target is not None:
            found[row_id] = target
    return found


def _target(unit: UnitOfWork, key: str, public_id: str, profile: str, row_id: int) -> int | None:
    """Return the row id of a profile's project or session, unless that was forked from the session itself."""
    if key == "project_id":
        return project_rows.find_link_target(unit, public_id, profile)
    parent = session_rows.find_current_or_former(unit, public_id)
    if parent is None or parent.profile != profile or session_rows.descends(unit, parent.id, row_id):
        return None
    return parent.id


def _link(unit: UnitOfWork, row_id: int, key: str, target: int) -> None:
    """Link a session. It counts as imported as before: its content is still that of its file."""
    session = session_rows.find_row(unit, row_id, lock=True)
    if session is None:  # purged by another process since
        return
    if key == "project_id":
        document_rows.write(unit, session.id, session.session_id, {}, ["project_id"])
    revision = session_rows.change(unit, session, {_COLUMNS[key]: target}, fields=True, touch=False)
    import_log.carry_forward(unit, session.id, session.revision, revision)
