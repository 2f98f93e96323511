"""What is known of a session's messages without reading them: digests, roles, times and positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, exists, func, select

from ..transcripts.encoding import Encoded
from .schema import message_blob_table, message_table, session_table
from .statement import Statement, one_of
from .types import TextList
from .unit_of_work import UnitOfWork

IN_SESSION: Final = message_table.c.session_id == bindparam("session")


class StoredMessage(NamedTuple):
    """A message as it is stored, damaged or not."""

    row_id: int
    digest: bytes
    revision: int
    #: None if its row is missing.
    payload: bytes | None

    def is_same(self, message: Encoded) -> bool:
        """Whether it is this message, undamaged."""
        return (self.digest, self.payload) == (message.digest, message.payload)


_at: Final = Statement(
    select(
        message_table.c.id,
        message_table.c.digest,
        message_table.c.revision,
        message_blob_table.c.payload.label("payload"),
    )
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(IN_SESSION, message_table.c.position == bindparam("position"))
)


def find(unit: UnitOfWork, session: int, position: int) -> StoredMessage | None:
    """Return the message at a position; None when there is none."""
    row = unit.row(_at, {"session": session, "position": position})
    return None if row is None else StoredMessage._make(row)


_visible: Final = Statement(
    select(message_table.c.position)
    .where(
        IN_SESSION,
        message_table.c.position < bindparam("stop"),
        one_of(message_table.c.role, bindparam("roles", type_=TextList)),
    )
    .order_by(message_table.c.position.desc())
    .limit(1)
    .offset(bindparam("skipped"))
)


def window_start(unit: UnitOfWork, session: int, stop: int, roles: Sequence[str], visible: int) -> int:
    """Return where the last messages of some roles before a position begin; 0 where there are fewer.

    Args:
        session: the session's row id.
        stop: the position.
        visible: how many messages of these roles.
    """
    parameters = {"session": session, "stop": stop, "roles": list(roles), "skipped": visible - 1}
    return unit.value(_visible, parameters) or 0


_digest_of_row: Final = Statement(
    select(message_table.c.digest).where(IN_SESSION, message_table.c.id == bindparam("row_id"))
)


def has_row(unit: UnitOfWork, session: int, row_id: int, digest: bytes) -> bool:
    """Whether a session has a message with this row id, which is as it was written."""
    return bool(unit.value(_digest_of_row, {"session": session, "row_id": row_id}) == digest)


_digests: Final = Statement(select(message_table.c.digest).where(IN_SESSION).order_by(message_table.c.position))
_marks: Final = Statement(
    select(message_table.c.role, message_table.c.timestamp).where(IN_SESSION).order_by(message_table.c.position)
)


def digests(unit: UnitOfWork, session: int) -> list[bytes]:
    """Return the digests of a session's messages."""
    return unit.values(_digests, {"session": session})


_without_payloads: Final = Statement(
    select(message_table.c.digest, message_table.c.role, message_table.c.timestamp)
    .where(IN_SESSION)
    .order_by(message_table.c.position)
)


def without_payloads(unit: UnitOfWork, session: int) -> list[Encoded]:
    """Return all messages of a session with empty payloads, to compare them with others by their digests."""
    rows = unit.rows(_without_payloads, {"session": session})
    return [Encoded(b"", digest, role, timestamp) for digest, role, timestamp in rows]


def roles_and_timestamps(unit: UnitOfWork, session: int) -> list[tuple[str | None, float | None]]:
    """Return the role and the timestamp of each of a session's messages."""
    return [(role, timestamp) for role, timestamp in unit.rows(_marks, {"session": session})]


_lost_sessions: Final = Statement(
    select(message_table.c.session_id, func.min(message_table.c.timestamp), func.max(message_table.c.timestamp))
    .where(~exists().where(session_table.c.id == message_table.c.session_id))
    .group_by(message_table.c.session_id),
    checked=False,
)


def without_session(unit: UnitOfWork) -> list[tuple[Any, Any, Any]]:
    """Return the row ids of sessions that messages refer to and that are not there, with their first and last time."""
    return [(row[0], row[1], row[2]) for row in unit.rows(_lost_sessions)]
