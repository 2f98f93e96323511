"""Links of sessions to their parents and projects, made after all files: the other end may have come later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ..storage import document_rows, import_log, project_rows, session_keys, session_rows
from ..storage.engine import Database
from ..storage.row_locks import Reserved, RowLock
from ..storage.session_links import parent_columns
from ..storage.turns import Turns
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import json_codec
from ..validation import is_id
from ..webui_format.field_mapping import LINK_COLUMNS, PROJECT

#: Links that one transaction makes, at most.
_CHUNK: Final = 200


def link(database: Database, turns: Turns) -> None:
    """Link the sessions that have the id of a parent or project as a document, where that exists in their profile."""
    for key in LINK_COLUMNS:
        with database.read() as unit:
            row_ids = list(_links(unit, key))
        for start in range(0, len(row_ids), _CHUNK):
            turns.wait()
            with database.write() as unit:
                unit.reserve(Reserved.SESSIONS)
                _link_some(unit, key, row_ids[start : start + _CHUNK])


def _link_some(unit: UnitOfWork, key: str, row_ids: Sequence[int]) -> None:
    for row_id in row_ids:
        # Looked up again: another process may have linked it since, or removed the other end.
        for target in _links(unit, key, row_id).values():
            _link(unit, row_id, key, target)


def _links(unit: UnitOfWork, key: str, session: int | None = None) -> dict[int, int]:
    """Return the links that can be made, of all sessions or of one: the row ids of both ends."""
    wanted = {
        row_id: (value, profile)
        for row_id, profile, payload in document_rows.unlinked(unit, key, session)
        if is_id(value := json_codec.decode(payload))
    }
    find = project_rows.find_link_targets if key == PROJECT else session_keys.find_link_targets
    targets = find(unit, {value for value, _ in wanted.values()})
    found = {row_id: targets[other] for row_id, other in wanted.items() if other in targets}
    if key == PROJECT:
        return found
    return {row_id: parent for row_id, parent in found.items() if not session_keys.descends(unit, parent, row_id)}


def _link(unit: UnitOfWork, row_id: int, key: str, target: int) -> None:
    """Link a session. It counts as imported as before: its content is still that of its file."""
    session = session_keys.find_row(unit, row_id, lock=RowLock.CHANGE)
    if session is None:  # purged by another process since
        return
    if key == PROJECT and not project_rows.is_linkable(unit, target):
        return
    columns: dict[str, Any] = {LINK_COLUMNS[key]: target}
    if key == PROJECT:
        document_rows.write(unit, session.id, session.session_id, {}, [PROJECT])
    else:
        columns |= parent_columns(unit, {}, {key: target}, session)
    revision = session_rows.change(unit, session, columns, fields=True, touch=False)
    import_log.carry_forward(unit, session.id, session.revision, revision)
