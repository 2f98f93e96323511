"""The rows of a session's messages and documents: how they are written, for every verb and importer.

All of it inside the caller's transaction, which holds the session's row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from . import payload, transcript
from .tables import Message, MessageBlob, SessionDocument
from .transcript import Changes, Encoded

_digests: Final = (
    select(Message.id, Message.digest).where(Message.session_id == bindparam("session")).order_by(Message.position)
)


def write_transcript(connection: Connection, session: int, messages: Sequence[Encoded]) -> Changes:
    """Make the session's transcript be `messages`, writing what differs; return what did."""
    rows = connection.execute(_digests, {"session": session}).all()
    changes = transcript.compare([row.digest for row in rows], [message.digest for message in messages])
    _apply(connection, session, changes, [row.id for row in rows], messages)
    return changes


def last_activity(connection: Connection, session: int) -> float | None:
    """Return the timestamp of the session's last message that has one."""
    return connection.execute(_last_timestamp, {"session": session}).scalar()


_last_timestamp: Final = (
    select(Message.timestamp)
    .where(Message.session_id == bindparam("session"), Message.timestamp.is_not(None))
    .order_by(Message.position.desc())
    .limit(1)
)
_insert_messages: Final = insert(Message)
#: A body finds its row by the position: asking each new row for its id instead would send the rows one by one.
_insert_bodies: Final = insert(MessageBlob).from_select(
    ["message_id", "payload"],
    select(Message.id, bindparam("body", type_=MessageBlob.payload.type)).where(
        Message.session_id == bindparam("session"), Message.position == bindparam("place")
    ),
)


def insert_messages(connection: Connection, session: int, messages: Mapping[int, Encoded]) -> None:
    """Write new rows; `messages` are by position."""
    if not messages:
        return
    connection.execute(
        _insert_messages,
        [
            {
                "session_id": session,
                "position": position,
                "role": message.role,
                "timestamp": message.timestamp,
                "digest": message.digest,
            }
            for position, message in messages.items()
        ],
    )
    connection.execute(
        _insert_bodies,
        [{"session": session, "place": position, "body": message.payload} for position, message in messages.items()],
    )


_update_message: Final = (
    update(Message)
    .where(Message.id == bindparam("row_id"))
    .values(role=bindparam("role"), timestamp=bindparam("timestamp"), digest=bindparam("digest"))
)
_update_body: Final = (
    update(MessageBlob).where(MessageBlob.message_id == bindparam("row_id")).values(payload=bindparam("payload"))
)


def overwrite_messages(connection: Connection, messages: dict[int, Encoded]) -> None:
    """Write other bodies into rows; `messages` are by row id."""
    rows = [{"row_id": row_id, **message._asdict()} for row_id, message in messages.items()]
    connection.execute(_update_message, rows)
    connection.execute(_update_body, rows)


def _apply(
    connection: Connection, session: int, changes: Changes, row_ids: list[int], messages: Sequence[Encoded]
) -> None:
    """Carry out `changes` on the session's rows; `row_ids` are by old position, `messages` by new one."""
    if changes.removed:
        connection.execute(
            delete(Message).where(Message.id == bindparam("row_id")),
            [{"row_id": row_ids[position]} for position in changes.removed],
        )
    moves = list(changes.moves())
    # Positions are unique at every moment, so what moves goes below zero first, and from there to its place.
    for first, last, _ in moves:
        _shift(connection, session, first, last, -1 - Message.position)
    for first, last, distance in moves:
        _shift(connection, session, -1 - last, -1 - first, -1 - Message.position + distance)
    if changes.updated:
        row_of = {new: row_ids[old] for old, new in changes.surviving}
        overwrite_messages(connection, {row_of[position]: messages[position] for position in changes.updated})
    if changes.inserted:
        insert_messages(connection, session, {position: messages[position] for position in changes.inserted})


def _shift(connection: Connection, session: int, first: int, last: int, to: Any) -> None:
    connection.execute(
        update(Message).where(Message.session_id == session, Message.position.between(first, last)).values(position=to)
    )


def write_documents(connection: Connection, session: int, bodies: Mapping[str, bytes]) -> bool:
    """Set the session's documents of these keys to these payloads; return whether anything differed."""
    known = {
        row.key: row.digest
        for row in connection.execute(
            select(SessionDocument.key, SessionDocument.digest).where(
                SessionDocument.session_id == session, SessionDocument.key.in_(bodies)
            )
        )
    }
    rows = [_document(session, name, body) for name, body in bodies.items()]
    rows = [row for row in rows if known.get(row["name"]) != row["body_digest"]]
    for statement, part in (
        (_update_document, [row for row in rows if row["name"] in known]),
        (_insert_document, [row for row in rows if row["name"] not in known]),
    ):
        if part:
            connection.execute(statement, part)
    return bool(rows)


def insert_documents(connection: Connection, session: int, bodies: Mapping[str, bytes]) -> None:
    """Write the documents of a session that has none yet."""
    rows = [_document(session, name, body) for name, body in bodies.items()]
    if rows:
        connection.execute(_insert_document, rows)


def _document(session: int, name: str, body: bytes) -> dict[str, Any]:
    return {"session": session, "name": name, "body": body, "body_digest": payload.digest(body)}


def remove_documents(connection: Connection, session: int, keys: Iterable[str]) -> bool:
    """Remove the session's documents of these keys; return whether there were any."""
    removed = connection.execute(
        delete(SessionDocument).where(SessionDocument.session_id == session, SessionDocument.key.in_(list(keys)))
    )
    return removed.rowcount > 0


_insert_document: Final = insert(SessionDocument).values(
    session_id=bindparam("session"),
    key=bindparam("name"),
    digest=bindparam("body_digest"),
    payload=bindparam("body"),
)
_update_document: Final = (
    update(SessionDocument)
    .where(SessionDocument.session_id == bindparam("session"), SessionDocument.key == bindparam("name"))
    .values(digest=bindparam("body_digest"), payload=bindparam("body"))
)
