"""Links of sessions to their parents and projects, made after all files: the other end may have come later."""

from __future__ import annotations

from ..storage import document_rows, import_log, project_rows, session_rows
from ..storage.unit_of_work import UnitOfWork
from ..transcripts import json_codec
from ..validation import is_id


def link(unit: UnitOfWork) -> None:
    """Link the sessions that have the id of a parent or project as a document, where that exists in their profile."""
    for row_id, profile, payload in document_rows.unlinked(unit, "project_id"):
        project = _project(unit, _id(payload), profile)
        if project is not None:
            _link(unit, row_id, "project_id", project)
    for row_id, profile, payload in document_rows.unlinked(unit, "parent_session_id"):
        parent = _session(unit, _id(payload), profile)
        if parent is not None and not session_rows.descends(unit, parent, row_id):
            _link(unit, row_id, "parent_id", parent)


def _id(payload: bytes) -> str | None:
    value = json_codec.decode(payload)
    return value if is_id(value) else None


def _project(unit: UnitOfWork, project_id: str | None, profile: str) -> int | None:
    return None if project_id is None else project_rows.find_link_target(unit, project_id, profile)


def _session(unit: UnitOfWork, session_id: str | None, profile: str) -> int | None:
    """Return the row id of a profile's session that has an id, or had it before it was renamed."""
    key = None if session_id is None else session_rows.find_current_or_former(unit, session_id)
    return key.id if key is not None and key.profile == profile else None


def _link(unit: UnitOfWork, row_id: int, column: str, target: int) -> None:
    """Link a session. It counts as imported as before: its content is still that of its file."""
    key = session_rows.find_row(unit, row_id, lock=True)
    if key is None:  # purged by another process since
        return
    if column == "project_id":
        document_rows.write(unit, key.id, key.session_id, {}, ["project_id"])
    revision = session_rows.change(unit, key, {column: target}, fields=True, touch=False)
    import_log.carry_forward(unit, key.id, key.revision, revision)
