"""Checks of one session: whether its row, its messages, documents, shares and usage agree.

Nothing is held in memory but a part of one session: see `_PART_BYTES`. What is compared is read without a check of its
type, since a value of a wrong type is a finding.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, func, select, type_coerce
from sqlalchemy.types import NullType

from ..errors import DatabaseCorruptError
from ..transcripts import json_codec
from . import document_reading, history_checks, search_rows, search_state, transcript_columns, usage_rows
from .row_types import RowTypes
from .schema import (
    NOT_STAGED,
    message_blob_table,
    message_table,
    session_document_table,
    session_table,
    share_payload_table,
    share_table,
)
from .statement import Statement, one_of
from .types import RowIdList, unescaped
from .unit_of_work import UnitOfWork

#: How many bytes of payloads are read by one statement, unless a single one is larger.
_PART_BYTES: Final = 1 << 20
_PART_ROWS: Final = 1_000


class SessionFinding(NamedTuple):
    """Something that is wrong in a session."""

    kind: str
    problem: str
    position: int | None = None
    key: str | None = None


class CheckedSession(NamedTuple):
    """What was found in a session."""

    session_id: str
    messages: int
    documents: int
    findings: list[SessionFinding]
    #: How many messages and titles the index of words has to have.
    indexed: int = 0
    indexed_titles: int = 0


_rows: Final = Statement(
    select(session_table.c.id)
    .where(session_table.c.id > bindparam("after"), NOT_STAGED)
    .order_by(session_table.c.id)
    .limit(bindparam("most"))
)
_count: Final = Statement(select(func.count()).select_from(session_table).where(NOT_STAGED))


def rows_after(unit: UnitOfWork, after: int, limit: int) -> list[int]:
    """Return the row ids of the next sessions, deleted or not, after a row id."""
    return unit.values(_rows, {"after": after, "most": limit})


def count(unit: UnitOfWork) -> int:
    """Return how many sessions there are, deleted or not."""
    found: int = unit.value(_count)
    return found


_marks: Final = Statement(
    select(
        select(func.max(session_table.c.id)).scalar_subquery(),
        select(func.max(message_table.c.id)).scalar_subquery(),
        select(func.count()).select_from(session_table).where(~NOT_STAGED).scalar_subquery(),
    ),
    checked=False,
)


def marks(unit: UnitOfWork) -> tuple[Any, ...]:
    """Return what changes when something is added: the last row ids of sessions and messages; and the staged rows."""
    return tuple(unit.rows(_marks)[0])


_ids: Final = Statement(
    select(session_table.c.id, session_table.c.session_id).where(
        one_of(session_table.c.id, bindparam("rows", type_=RowIdList))
    )
)


def public_ids(unit: UnitOfWork, row_ids: Collection[int]) -> dict[int, str]:
    """Return the public ids of sessions by row id; those that are not there are left out."""
    return dict(unit.rows(_ids, {"rows": list(row_ids)})) if row_ids else {}


_of_row: Final = session_table.c.id == bindparam("session")
_in_session: Final = message_table.c.session_id == bindparam("session")
_session: Final = Statement(
    select(
        session_table.c.session_id,
        type_coerce(session_table.c.title, NullType()).label("title"),
        session_table.c.message_count,
        session_table.c.user_message_count,
        session_table.c.last_message_at,
        session_table.c.last_activity_at,
        session_table.c.activity_at,
        session_table.c.updated_at,
    ).where(_of_row, NOT_STAGED),
    checked=False,
)
_positions: Final = Statement(
    select(func.count(), func.min(message_table.c.position), func.max(message_table.c.position)).where(_in_session),
    checked=False,
)


#: Those that have checks of their own.
_OTHERS: Final = frozenset(
    {
        *("id", "session_id", "message_count", "user_message_count"),
        *("last_message_at", "last_activity_at", "activity_at", "change_number"),
    }
)
_field_columns: Final = [column for column in session_table.columns if column.key not in _OTHERS]
_fields: Final = Statement(
    select(*(type_coerce(column, NullType()) for column in _field_columns)).where(_of_row), checked=False
)
_field_types: Final = RowTypes(_field_columns)


def check(unit: UnitOfWork, row_id: int) -> CheckedSession | None:
    """Check a session; return None if it is not there any more.

    Args:
        unit: one that sees one state of the data.
    """
    row = unit.row(_session, {"session": row_id})
    if row is None:
        return None
    session_id, stored_title, message_count, user_message_count, *times = row
    if type(session_id) is not str:
        return CheckedSession(f"(row {row_id})", 0, 0, [SessionFinding("fields", f"its id is {session_id!r}")])
    found, first, last = unit.row(_positions, {"session": row_id}) or (0, None, None)
    findings = _check_fields(unit, row_id)
    findings += _check_positions(message_count, found, first, last)
    expected = transcript_columns.of_stored(unit, row_id)
    findings += _check_users(user_message_count, expected.pop("user_message_count"))
    findings += _check_times(times, expected)
    state = search_state.read(unit)
    damaged_messages, indexed = _check_messages(unit, row_id, state)
    findings += (SessionFinding("history", problem) for problem in history_checks.problems(unit, row_id))
    documents, damaged = _check_documents(unit, row_id, session_id)
    damaged += _check_shares(unit, row_id)
    if not any(finding.kind == "fields" for finding in findings):
        damaged += _check_usage(unit, row_id)
    title = unescaped(stored_title) if isinstance(stored_title, str) else None
    titles = int(state.has_title(row_id) and search_rows.has_words(title))
    return CheckedSession(session_id, found, documents, findings + damaged_messages + damaged, indexed, titles)


def _check_fields(unit: UnitOfWork, row_id: int) -> list[SessionFinding]:
    row = unit.row(_fields, {"session": row_id})
    damaged = [] if row is None else _field_types.damaged(row)
    return [SessionFinding("fields", f"its {name} is {value!r:.80}") for name, value in damaged]


def _check_positions(message_count: Any, found: int, first: Any, last: Any) -> list[SessionFinding]:
    findings = []
    if message_count != found:
        findings.append(SessionFinding("message_count", f"its row counts {message_count!r} messages, and has {found}"))
    if found and (first, last) != (0, found - 1):
        problem = f"its {found} messages are at positions {first!r} to {last!r}, not 0 to {found - 1}"
        findings.append(SessionFinding("positions", problem))
    return findings


def _check_users(user_message_count: Any, found: int) -> list[SessionFinding]:
    if user_message_count == found:
        return []
    problem = f"its row counts {user_message_count!r} messages of the user, and has {found}"
    return [SessionFinding("user_message_count", problem)]


def _check_times(times: Sequence[Any], expected: dict[str, Any]) -> list[SessionFinding]:
    stored = dict(zip(("last_message_at", "last_activity_at", "activity_at"), times, strict=False))
    updated_at = times[3]
    wanted = {**expected, "activity_at": updated_at if stored["last_activity_at"] is None else times[1]}
    return [
        SessionFinding("times", f"its {name} is {stored[name]!r}, and has to be {wanted[name]!r}")
        for name in stored
        if stored[name] != wanted[name]
    ]


_sizes: Final = Statement(
    select(message_table.c.position, func.length(message_blob_table.c.payload).label("size"))
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(_in_session, message_table.c.position > bindparam("after"))
    .order_by(message_table.c.position)
    .limit(bindparam("most")),
    checked=False,
)
_payloads: Final = Statement(
    select(
        message_table.c.position,
        message_table.c.digest,
        message_blob_table.c.payload.label("payload"),
        message_table.c.id,
    )
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(_in_session, message_table.c.position >= bindparam("first"), message_table.c.position <= bindparam("last"))
    .order_by(message_table.c.position),
    checked=False,
)
#: Smaller than any position of a message.
_BEFORE_ALL: Final = -(2**62)


def _check_messages(unit: UnitOfWork, row_id: int, state: search_state.State) -> tuple[list[SessionFinding], int]:
    findings = []
    indexed = 0
    for first, last in _parts(unit, row_id):
        rows = unit.rows(_payloads, {"session": row_id, "first": first, "last": last})
        sound: dict[int, bytes] = {}
        for position, digest, payload, number in rows:
            problem = _problem(payload, digest)
            if problem:
                findings.append(SessionFinding("message", f"message {position} {problem}", position=position))
            else:
                sound[number] = payload
        count, missing = search_rows.missing(unit, state, sound)
        indexed += count
        findings += [
            SessionFinding("search", f"message {position} is not in the index of words", position=position)
            for position, _, _, number in rows
            if number in missing
        ]
    return findings, indexed


def _parts(unit: UnitOfWork, row_id: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last positions of parts of a session that are small enough to be read at once."""
    after = _BEFORE_ALL
    while rows := unit.rows(_sizes, {"session": row_id, "after": after, "most": _PART_ROWS}):
        rows = [row for row in rows if type(row[0]) is int]  # another type is a finding of `_check_positions`
        if not rows:
            return
        first, size = rows[0][0], 0
        for index, (position, length) in enumerate(rows):
            if size and size + (length or 0) > _PART_BYTES:
                yield first, rows[index - 1][0]
                first, size = position, 0
            size += length or 0
        after = rows[-1][0]
        yield first, after


def _problem(payload: Any, digest: Any) -> str:
    """Return what is wrong with a payload; nothing if it is what was written."""
    if payload is None:
        return "has no body"
    if type(payload) is not bytes or json_codec.digest(payload) != digest:
        return "is not what was written"
    return ""


_keys: Final = Statement(
    select(session_document_table.c.key).where(session_document_table.c.session_id == bindparam("session"))
)
_document: Final = Statement(
    select(session_document_table.c.digest, session_document_table.c.payload).where(
        session_document_table.c.session_id == bindparam("session"), session_document_table.c.key == bindparam("name")
    ),
    checked=False,
)


def _check_documents(unit: UnitOfWork, row_id: int, session_id: str) -> tuple[int, list[SessionFinding]]:
    keys = unit.values(_keys, {"session": row_id})
    findings = []
    for key in keys:
        row = unit.row(_document, {"session": row_id, "name": key})
        problem = "has a key that is no text" if row is None else _problem(row[1], row[0])
        if problem:
            findings.append(SessionFinding("document", f"document {key!r} {problem}", key=key))
    try:
        document_reading.read_extras(unit, row_id, session_id)
    except DatabaseCorruptError:
        findings.append(SessionFinding("document", "the row with its small documents is no JSON object"))
    return len(keys), findings


_shares: Final = Statement(
    select(share_table.c.token, share_table.c.digest, share_payload_table.c.payload)
    .outerjoin(share_payload_table, share_payload_table.c.share_id == share_table.c.id)
    .where(share_table.c.session_id == bindparam("session")),
    checked=False,
)


def _check_shares(unit: UnitOfWork, row_id: int) -> list[SessionFinding]:
    rows = [(token, _problem(payload, digest)) for token, digest, payload in unit.rows(_shares, {"session": row_id})]
    return [SessionFinding("share", f"share {token!r} {problem}", key=str(token)) for token, problem in rows if problem]


def _check_usage(unit: UnitOfWork, row_id: int) -> list[SessionFinding]:
    problem = usage_rows.problem(unit, row_id)
    return [SessionFinding("usage", problem)] if problem else []
