"""The rows of messages and their payloads. Positions are dense, from 0. The caller has locked the session's row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update

from ..transcripts import diff
from ..transcripts.diff import Changes
from ..transcripts.encoding import Encoded
from .schema import Message, MessageBlob
from .statement import Statement
from .unit_of_work import UnitOfWork

#: Messages in one statement, at most: a bound for the memory that their parameters take.
_CHUNK: Final = 1_000

_in_session: Final = Message.session_id == bindparam("session")
_message_columns: Final[Mapping[str, Any]] = {
    "session_id": bindparam("session_id"),
    "position": bindparam("position"),
    "role": bindparam("role"),
    "timestamp": bindparam("timestamp"),
    "digest": bindparam("digest"),
    "revision": bindparam("revision"),
}
_insert_one: Final = Statement(insert(Message).values(_message_columns).returning(Message.id))
_insert_many: Final = Statement(insert(Message).values({"id": bindparam("id"), **_message_columns}))
_insert_payload: Final = Statement(
    insert(MessageBlob).values(message_id=bindparam("message_id"), payload=bindparam("payload"))
)


def insert_at(unit: UnitOfWork, session: int, messages: Mapping[int, Encoded], revision: int) -> None:
    """Insert messages.

    Args:
        session: the row id of their session.
        messages: by position.
        revision: the session's revision that they belong to.
    """
    if len(messages) == 1:
        [(position, message)] = messages.items()
        row_id = unit.value(_insert_one, _columns(session, position, message, revision))
        unit.execute(_insert_payload, {"message_id": row_id, "payload": message.payload})
        return
    items = list(messages.items())
    for start in range(0, len(items), _CHUNK):
        chunk = items[start : start + _CHUNK]
        row_ids = unit.dialect.reserve_message_ids(unit, len(chunk))
        unit.execute_many(
            _insert_many,
            [
                {"id": row_id, **_columns(session, position, message, revision)}
                for row_id, (position, message) in zip(row_ids, chunk, strict=True)
            ],
        )
        unit.execute_many(
            _insert_payload,
            [
                {"message_id": row_id, "payload": message.payload}
                for row_id, (_, message) in zip(row_ids, chunk, strict=True)
            ],
        )


def _columns(session: int, position: int, message: Encoded, revision: int) -> dict[str, Any]:
    return {
        "session_id": session,
        "position": position,
        "role": message.role,
        "timestamp": message.timestamp,
        "digest": message.digest,
        "revision": revision,
    }


def append(unit: UnitOfWork, session: int, messages: Iterable[Encoded], *, first: int, revision: int) -> None:
    """Insert messages after the last one of a session, which is before position `first`; as `insert_at`."""
    insert_at(unit, session, dict(enumerate(messages, first)), revision)


_update_message: Final = Statement(
    update(Message)
    .where(Message.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in ("role", "timestamp", "digest", "revision")})
)
_update_payload: Final = Statement(
    update(MessageBlob).where(MessageBlob.message_id == bindparam("row_id")).values(payload=bindparam("payload"))
)


def overwrite(unit: UnitOfWork, messages: Mapping[int, Encoded], revision: int) -> None:
    """Overwrite messages, which are given by row id."""
    rows = [
        {
            "row_id": row_id,
            "role": message.role,
            "timestamp": message.timestamp,
            "digest": message.digest,
            "revision": revision,
        }
        for row_id, message in messages.items()
    ]
    unit.execute_many(_update_message, rows)
    unit.execute_many(
        _update_payload, [{"row_id": row_id, "payload": message.payload} for row_id, message in messages.items()]
    )


_ids_and_digests: Final = Statement(select(Message.id, Message.digest).where(_in_session).order_by(Message.position))


def replace(unit: UnitOfWork, session: int, messages: Sequence[Encoded], revision: int) -> Changes:
    """Replace a session's transcript by `messages`, writing only what differs, and return the changes.

    Args:
        session: the session's row id.
        revision: the session's revision that the changes belong to.
    """
    rows = unit.rows(_ids_and_digests, {"session": session})
    changes = diff.compare([digest for _, digest in rows], [message.digest for message in messages])
    _apply(unit, session, changes, [row_id for row_id, _ in rows], messages, revision)
    return changes


_delete_message: Final = Statement(delete(Message).where(Message.id == bindparam("row_id")))
_to_negative: Final = Statement(
    update(Message)
    .where(_in_session, Message.position.between(bindparam("first"), bindparam("last")))
    .values(position=-1 - Message.position)
)
_from_negative: Final = Statement(
    update(Message)
    .where(_in_session, Message.position.between(bindparam("first"), bindparam("last")))
    .values(position=-1 - Message.position + bindparam("distance"), revision=bindparam("new_revision"))
)


#: With more runs than this, each row is moved by itself: a round trip for each run would take longer.
_MOST_RUNS: Final = 200
_one_to_negative: Final = Statement(
    update(Message).where(Message.id == bindparam("row_id")).values(position=-1 - Message.position)
)
_move_one: Final = Statement(
    update(Message)
    .where(Message.id == bindparam("row_id"))
    .values(position=bindparam("place"), revision=bindparam("new_revision"))
)


def _apply(  # noqa: PLR0917 - the change, and what it is made of
    unit: UnitOfWork,
    session: int,
    changes: Changes,
    row_ids: Sequence[int],
    messages: Sequence[Encoded],
    revision: int,
) -> None:
    """Carry out `changes`; `row_ids` are by old position, `messages` by new position."""
    if changes.removed:
        unit.execute_many(_delete_message, [{"row_id": row_ids[position]} for position in changes.removed])
    moves = list(changes.moves())
    # Positions are unique at every moment, so what moves goes below zero first, and from there to its place. What moved
    # counts as written: who read another message at that position must not overwrite this one.
    if len(moves) > _MOST_RUNS:
        moved = [(row_ids[old], new) for old, new in changes.surviving if old != new]
        unit.execute_many(_one_to_negative, [{"row_id": row_id} for row_id, _ in moved])
        unit.execute_many(
            _move_one, [{"row_id": row_id, "place": new, "new_revision": revision} for row_id, new in moved]
        )
        moves = []
    for first, last, _ in moves:
        unit.execute(_to_negative, {"session": session, "first": first, "last": last})
    for first, last, distance in moves:
        parameters = {"session": session, "first": -1 - last, "last": -1 - first}
        unit.execute(_from_negative, {**parameters, "distance": distance, "new_revision": revision})
    if changes.updated:
        row_of = {new: row_ids[old] for old, new in changes.surviving}
        overwrite(unit, {row_of[position]: messages[position] for position in changes.updated}, revision)
    if changes.inserted:
        insert_at(unit, session, {position: messages[position] for position in changes.inserted}, revision)


_delete_from: Final = Statement(delete(Message).where(_in_session, Message.position >= bindparam("keep")))


def truncate(unit: UnitOfWork, session: int, keep: int) -> int:
    """Remove the messages from position `keep` on, and return how many it was."""
    return unit.execute(_delete_from, {"session": session, "keep": keep})


_at: Final = Statement(
    select(Message.id, Message.digest, Message.revision).where(_in_session, Message.position == bindparam("position"))
)


def find(unit: UnitOfWork, session: int, position: int) -> tuple[int, bytes, int] | None:
    """Return the row id, the digest and the revision of the message at a position; None when there is none."""
    row = unit.row(_at, {"session": session, "position": position})
    return None if row is None else (row[0], row[1], row[2])


_last_timestamp: Final = Statement(
    select(Message.timestamp)
    .where(_in_session, Message.timestamp.is_not(None))
    .order_by(Message.position.desc())
    .limit(1)
)


def last_timestamp(unit: UnitOfWork, session: int) -> float | None:
    """Return the timestamp of the session's last message that has one."""
    found: float | None = unit.value(_last_timestamp, {"session": session})
    return found


_joined: Final = Message.id == MessageBlob.message_id
_payloads: Final = Statement(
    select(MessageBlob.payload)
    .join(Message, _joined)
    .where(_in_session, Message.position >= bindparam("start"), Message.position < bindparam("stop"))
    .order_by(Message.position)
)
_payloads_and_digests: Final = Statement(
    select(MessageBlob.payload, Message.digest).join(Message, _joined).where(_in_session).order_by(Message.position)
)
_digests: Final = Statement(select(Message.digest).where(_in_session).order_by(Message.position))
_marks: Final = Statement(select(Message.role, Message.timestamp).where(_in_session).order_by(Message.position))


def payloads(unit: UnitOfWork, session: int, start: int, stop: int) -> list[bytes]:
    """Return the payloads of the messages from position `start` to before `stop`."""
    return unit.values(_payloads, {"session": session, "start": start, "stop": stop})


def payloads_and_digests(unit: UnitOfWork, session: int) -> tuple[list[bytes], list[bytes]]:
    """Return the payloads and the digests of all messages of a session."""
    rows = unit.rows(_payloads_and_digests, {"session": session})
    return [payload for payload, _ in rows], [digest for _, digest in rows]


def digests(unit: UnitOfWork, session: int) -> list[bytes]:
    """Return the digests of a session's messages."""
    return unit.values(_digests, {"session": session})


_without_payloads: Final = Statement(
    select(Message.digest, Message.role, Message.timestamp).where(_in_session).order_by(Message.position)
)


def without_payloads(unit: UnitOfWork, session: int) -> list[Encoded]:
    """Return all messages of a session with empty payloads, to compare them with others by their digests."""
    rows = unit.rows(_without_payloads, {"session": session})
    return [Encoded(b"", digest, role, timestamp) for digest, role, timestamp in rows]


def roles_and_timestamps(unit: UnitOfWork, session: int) -> list[tuple[str | None, float | None]]:
    """Return the role and the timestamp of each of a session's messages."""
    return [(role, timestamp) for role, timestamp in unit.rows(_marks, {"session": session})]
