"""Reading messages: what is returned is what was written, or an error says which message is damaged.

The number of rows is compared with the session's count, and each payload with its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select

from ..errors import DatabaseCorruptError
from ..transcripts import json_codec
from ..validation import MAX_INT
from .row_types import log_once
from .schema import message_blob_table, message_table, session_table
from .statement import Statement, one_of
from .types import RowIdList
from .unit_of_work import DRIVER_ERRORS, UnitOfWork, driver_error

#: A message's payload, its digest, its position, its session's row id, and perhaps its session's revision.
Stored = Sequence[Any]

#: Messages are found by an index, whose entries may be damaged as well: the rows themselves say what they are.
_found: Final = message_table.alias("found")
_in_range: Final = (
    _found.c.session_id == bindparam("session"),
    _found.c.position >= bindparam("start"),
    _found.c.position < bindparam("stop"),
)
_select_stored: Final = (
    select(message_blob_table.c.payload, message_table.c.digest, message_table.c.position, message_table.c.session_id)
    .select_from(_found)
    .join(message_table, message_table.c.id == _found.c.id)
    .join(message_blob_table, message_blob_table.c.message_id == _found.c.id)
    .where(*_in_range)
    .order_by(_found.c.position)
    .limit(bindparam("most"))
)
#: Unchecked, because the digests are compared anyway.
_stored: Final = Statement(_select_stored, checked=False)
_revision: Final = select(session_table.c.revision).where(session_table.c.id == bindparam("session"))
_stored_at: Final = Statement(_select_stored.add_columns(_revision.scalar_subquery()), checked=False)
_select_revision: Final = Statement(_revision)


def fetch(unit: UnitOfWork, session: int, public_id: str, *, start: int, stop: int, count: int) -> Sequence[Stored]:
    """Return the messages from position `start` to before `stop`, for `decode`.

    Args:
        session: the session's row id.
        public_id: its public id, for messages.
        count: how many messages it has according to its row.

    Raises:
        DatabaseCorruptError: one is missing, or there are more than `count`.
    """
    parameters = _bounds(session, start, stop, count)
    rows = unit.rows(_stored, parameters)
    _require_whole(unit, public_id, rows, parameters, stop, count)
    return rows


def fetch_at(
    unit: UnitOfWork, session: int, public_id: str, *, start: int, stop: int, count: int, revision: int
) -> Sequence[Stored] | None:
    """Return what `fetch` does; None if the session's row was written since it was read.

    Args:
        revision: the session's revision according to its row.

    Raises:
        DatabaseCorruptError: as `fetch`.
    """
    if unit.sees_one_state:
        return fetch(unit, session, public_id, start=start, stop=stop, count=count)
    parameters = _bounds(session, start, stop, count)
    rows = unit.rows(_stored_at, parameters)
    if rows or start != stop:  # if there are to be none, there were none when the row was read
        now = rows[0][-1] if rows else unit.value(_select_revision, {"session": session})
        if now != revision:
            return None
    _require_whole(unit, public_id, rows, parameters, stop, count)
    return rows


def _bounds(session: int, start: int, stop: int, count: int) -> dict[str, int]:
    # Also what is after the last message, and must not be there.
    end = MAX_INT if stop == count else stop
    return {"session": session, "start": start, "stop": end, "most": min(stop - start + 1, MAX_INT)}


def _require_whole(  # noqa: PLR0917 - what was asked for
    unit: UnitOfWork, public_id: str, rows: Sequence[Stored], parameters: dict[str, int], stop: int, count: int
) -> None:
    start, session = parameters["start"], parameters["session"]
    is_dense = len(rows) == stop - start and [row[2] for row in rows] == list(range(start, stop))
    if not is_dense or {row[3] for row in rows} - {session}:
        _refuse(unit, public_id, {**parameters, "stop": stop}, count)


_whole: Final = Statement(
    select(message_table.c.position)
    .select_from(_found)
    .join(message_table, (message_table.c.id == _found.c.id) & (message_table.c.session_id == _found.c.session_id))
    .join(message_blob_table, message_blob_table.c.message_id == _found.c.id)
    .where(*_in_range)
)


def _refuse(unit: UnitOfWork, public_id: str, parameters: dict[str, int], count: int) -> None:
    found = set(unit.values(_whole, parameters))
    missing = (position for position in range(parameters["start"], parameters["stop"]) if position not in found)
    place = next(missing, None)
    if place is None:
        raise DatabaseCorruptError(
            f"Session {public_id!r} has more messages in the database than its row says, which is {count}: the row is "
            "damaged. Restore a backup, or write the whole transcript with `replace`."
        )
    raise DatabaseCorruptError(
        f"Message {place} of session {public_id!r} is missing in the database, whose count is {count}. The others are "
        "read by `page`; restore a backup, or write this one again with `update`, or remove it with `truncate`."
    )


def decode(public_id: str, rows: Sequence[Stored], first: int) -> list[Any]:
    """Return the messages of some rows, the first of which is at position `first`.

    Raises:
        DatabaseCorruptError: one is damaged; it names the position.
    """
    messages = _decode_intact(rows)
    if messages is not None:
        return messages
    place = next(first + index for index, row in enumerate(rows) if not _is_sound(row))
    raise DatabaseCorruptError(
        f"Message {place} of session {public_id!r} is damaged in the database: it is not what was written. The others "
        "are read by `page`; restore a backup, write this one again with `update`, or remove it with `truncate`."
    )


def _decode_intact(rows: Sequence[Stored]) -> list[Any] | None:
    """Return the messages of some rows; None if one of them is damaged."""
    try:
        payloads = [row[0] for row in rows]
        return json_codec.decode_all(payloads) if json_codec.are_intact(payloads, [row[1] for row in rows]) else None
    except (ValueError, TypeError):  # a payload that is no JSON, or no bytes
        return None


def _is_sound(row: Stored) -> bool:
    payload, digest, *_ = row
    return isinstance(payload, bytes) and json_codec.digest(payload) == digest and json_codec.is_whole(payload)


#: Unchecked, because the digests are compared.
_of_many: Final = Statement(
    select(message_blob_table.c.payload, message_table.c.digest, message_table.c.position, message_table.c.session_id)
    .select_from(message_table)
    .join(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(
        one_of(message_table.c.session_id, bindparam("sessions", type_=RowIdList)),
        message_table.c.position >= 0,
        message_table.c.position < bindparam("stop"),
    ),
    checked=False,
)


def read_many(unit: UnitOfWork, sessions: Iterable[int], first: int | None) -> dict[int, list[Stored]]:
    """Return the messages of several sessions by row id, or the first of each, to be decoded; one query.

    Left out are sessions without messages.

    Args:
        sessions: their row ids.
        first: how many of each; all when None.
    """
    rows = unit.rows(_of_many, {"sessions": sorted(sessions), "stop": MAX_INT if first is None else first})
    rows.sort(key=itemgetter(3, 2))
    return {session: list(stored) for session, stored in groupby(rows, itemgetter(3))}


def decode_sound(session_id: str, rows: Sequence[Stored]) -> list[Any]:
    """Decode messages of a session; damaged ones are logged, and left out.

    Args:
        session_id: its public id, for the log.
        rows: as `read_many` returned them.
    """
    messages = _decode_intact(rows)
    if messages is not None:
        return messages
    for row in rows:
        if not _is_sound(row):
            log_once("Message %s of session %r is damaged in the database, and left out.", row[2], session_id)
    return [json_codec.decode(row[0]) for row in rows if _is_sound(row)]


class Damage(NamedTuple):
    """Why messages cannot be read, the first of which is at a position."""

    position: int
    reason: str


_positions: Final = Statement(
    select(message_table.c.position)
    .where(message_table.c.session_id == bindparam("session"))
    .order_by(message_table.c.position)
)


def salvage(unit: UnitOfWork, session: int, public_id: str, count: int) -> tuple[list[Any], list[Damage]]:
    """Return those messages of a session that are as they were written, and why the others are not read.

    Each is read by a statement of its own, so that a damaged part of the file takes only what is in it.

    Args:
        session: the session's row id.
        public_id: its public id, for messages.
        count: how many messages it has according to its row.
    """
    messages: list[Any] = []
    damage: list[Damage] = []
    expected = 0
    for position in _readable_positions(unit, session, damage):
        if position > expected:
            damage.append(Damage(expected, f"{position - expected} missing in the database"))
        expected = position + 1
        parameters = {"session": session, "start": position, "stop": min(position + 1, MAX_INT), "most": 1}
        try:
            rows = unit.rows(_stored, parameters)
        except DRIVER_ERRORS as error:
            damage.append(Damage(position, f"the database cannot read it: {driver_error(error)}"))
            continue
        if not rows or rows[0][2:] != (position, session):
            damage.append(Damage(position, "it is missing in the database"))
            continue
        try:
            messages += decode(public_id, rows, position)
        except DatabaseCorruptError:
            damage.append(Damage(position, "it is damaged in the database"))
    if expected < count:
        damage.append(Damage(expected, f"{count - expected} missing in the database"))
    return messages, damage


def _readable_positions(unit: UnitOfWork, session: int, damage: list[Damage]) -> list[int]:
    try:
        return unit.values(_positions, {"session": session})
    except DRIVER_ERRORS as error:
        damage.append(Damage(0, f"the database cannot find its messages: {driver_error(error)}"))
        return []


_written: Final = Statement(
    select(message_table.c.position)
    .where(message_table.c.session_id == bindparam("session"), message_table.c.revision > bindparam("since"))
    .order_by(message_table.c.position)
)


def written_since(unit: UnitOfWork, session: int, revision: int) -> list[int]:
    """Return the positions of the messages that were written or moved after a revision of a session (by row id)."""
    return unit.values(_written, {"session": session, "since": revision})
