"""Puts right what follows from other rows: counters, times, positions, usage, and links to missing rows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from ..errors import SessionDeletedError, SessionExistsError
from . import (
    cut_rows,
    document_rows,
    import_log,
    message_lookup,
    message_rows,
    retired_ids,
    session_checks,
    session_keys,
    session_rows,
    share_rows,
    transcript_columns,
    usage_rows,
)
from .row_locks import Reserved, RowLock
from .session_checks import CheckedSession, SessionFinding
from .unit_of_work import UnitOfWork

#: The kinds of findings that are put right.
DERIVED: Final = frozenset({"message_count", "user_message_count", "positions", "times", "usage"})


def derived(findings: Sequence[SessionFinding]) -> list[SessionFinding]:
    """Return those of some findings that can be put right."""
    return [finding for finding in findings if finding.kind in DERIVED]


def repair(unit: UnitOfWork, row_id: int) -> tuple[list[SessionFinding], CheckedSession | None]:
    """Make a session's row and its messages agree; return what was put right, and what was found afterwards.

    Usage that does not add up to the totals gets one more row. Gaps between positions are closed. Then, and where the
    row counts more messages than there are, the session is marked as recovered, because something of it is missing, and
    what is kept of its former messages is removed.

    Args:
        unit: one that writes.
    """
    key = session_keys.find_row(unit, row_id, lock=RowLock.CHANGE)
    checked = session_checks.check(unit, row_id)
    if key is None or checked is None:
        return [], checked
    wrong = derived(checked.findings)
    if not wrong:
        return [], checked
    if any(finding.kind == "usage" for finding in wrong):
        usage_rows.settle(unit, row_id)
    if all(finding.kind == "usage" for finding in wrong):  # which the session's row has nothing of
        return wrong, session_checks.check(unit, row_id)
    moved = message_rows.renumber(unit, row_id, session_rows.next_revision(key))
    columns: dict[str, Any] = {"message_count": checked.messages, **transcript_columns.of_stored(unit, row_id)}
    if moved or key.message_count > checked.messages:
        columns["recovered"] = True
        # It says at which positions messages stayed. With others there, a former transcript would be a wrong one.
        cut_rows.forget(unit, row_id)
    is_other = moved > 0 or key.message_count != checked.messages
    revision = session_rows.change(unit, key, columns, transcript=is_other, fields=True, touch=False)
    import_log.carry_forward(unit, row_id, key.revision, revision)
    return wrong, session_checks.check(unit, row_id)


def repair_links(unit: UnitOfWork) -> list[str]:
    """Make every row refer to one that is there; return what was done, as sentences without their full stops.

    Messages and large documents of a session that is not there get one: its title says so, and `repair` counts them.
    """
    unit.reserve(Reserved.SESSIONS)
    lone_usage = usage_rows.unlink_missing(unit)  # before sessions are made, whose totals are 0
    done = [f"session {session_id} was made for messages or documents of a missing one" for session_id in _make(unit)]
    steps = {
        "{} of no message removed": (message_rows.remove_lone_bodies(unit), "body", "bodies"),
        "small documents of no session removed: {}": (document_rows.remove_lone_extras(unit), "row", "rows"),
        "{} of no session removed": (share_rows.remove_lone(unit), "share", "shares"),
        "{} to a project or parent that was not there removed": (session_rows.unlink_missing(unit), "link", "links"),
        "{} to a session that was not there removed": (
            lone_usage + retired_ids.unlink_missing(unit) + import_log.unlink_missing(unit),
            "reference",
            "references",
        ),
    }
    for text, (count, one, many) in steps.items():
        if count:
            done.append(text.format(f"{count} {one if count == 1 else many}"))
    return done


def _make(unit: UnitOfWork) -> list[str]:
    """Make rows for sessions that only messages or documents refer to, and return their public ids."""
    times = {row_id: (first, last) for row_id, first, last in message_lookup.without_session(unit)}
    for row_id in document_rows.without_session(unit):
        times.setdefault(row_id, (None, None))
    made = []
    now = time.time()
    for row_id, (first, last) in sorted((row_id, found) for row_id, found in times.items() if type(row_id) is int):
        session_id = _free_id(unit, row_id)
        columns = {"id": row_id, "title": "Salvaged messages of a lost session", "recovered": True}
        session_rows.add(unit, session_id, {**columns, "created_at": first or now, "updated_at": last or now})
        made.append(session_id)
    return made


def _free_id(unit: UnitOfWork, row_id: int) -> str:
    candidate, number = f"salvaged-{row_id}", 1
    while True:
        try:
            retired_ids.require_free(unit, candidate)
        except (SessionExistsError, SessionDeletedError):
            number += 1
            candidate = f"salvaged-{row_id}-{number}"
        else:
            return candidate


def mark_recovered(unit: UnitOfWork, row_ids: Sequence[int]) -> None:
    """Mark sessions of which something is missing. Their revisions stay: nobody else has read them."""
    for row_id in row_ids:
        session_rows.write_row(unit, row_id, {"recovered": True})
