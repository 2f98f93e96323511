"""Comparing messages with those that are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import select

from ..transcripts import diff
from ..transcripts.diff import Changes
from ..transcripts.encoding import Encoded
from .message_lookup import IN_SESSION
from .schema import message_blob_table, message_table
from .statement import Statement
from .unit_of_work import UnitOfWork

_stored: Final = Statement(
    select(
        message_table.c.id,
        message_table.c.position,
        message_table.c.digest,
        message_blob_table.c.payload.label("payload"),
    )
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(IN_SESSION)
    .order_by(message_table.c.position)
)


class Difference(NamedTuple):
    """What differs between a session's transcript and another one."""

    #: By position. None if the positions are damaged, so that it is not known what is where: all is written anew.
    row_ids: list[int] | None
    changes: Changes

    @property
    def rows(self) -> int:
        """How many rows of messages have to be written."""
        moved = sum(last - first + 1 for first, last, _ in self.changes.moves())
        return len(self.changes.removed) + len(self.changes.updated) + len(self.changes.inserted) + moved

    def sizes(self, messages: Sequence[Encoded]) -> list[int]:
        """Return the sizes in bytes of the payloads that have to be written."""
        return [len(messages[at].payload) for at in (*self.changes.updated, *self.changes.inserted)]


def compare(unit: UnitOfWork, session: int, messages: Sequence[Encoded]) -> Difference:
    """Return what differs between a session's transcript and `messages`, or is damaged.

    Args:
        session: the session's row id.
    """
    rows = unit.rows(_stored, {"session": session})
    if [position for _, position, _, _ in rows] != list(range(len(rows))):
        return Difference(None, Changes(list(range(len(rows))), [], [], list(range(len(messages)))))
    changes = diff.compare([digest for _, _, digest, _ in rows], [message.digest for message in messages])
    updated = set(changes.updated)
    damaged = {new for old, new in changes.surviving if new not in updated and rows[old][3] != messages[new].payload}
    changes.updated[:] = sorted(updated | damaged)
    return Difference([row[0] for row in rows], changes)


_row_ids: Final = Statement(
    select(message_table.c.id, message_table.c.position).where(IN_SESSION).order_by(message_table.c.position)
)


def compare_digests(unit: UnitOfWork, session: int, stored: Sequence[bytes], digests: Sequence[bytes]) -> Difference:
    """Return what differs between a session's transcript and another one by their digests; no payload is read.

    Args:
        session: the session's row id.
        stored: the digests of its transcript, as it is now.
        digests: those of the other one.
    """
    rows = unit.rows(_row_ids, {"session": session})
    if [position for _, position in rows] != list(range(len(stored))):
        return Difference(None, Changes(list(range(len(rows))), [], [], list(range(len(digests)))))
    return Difference([row_id for row_id, _ in rows], diff.compare(stored, digests))
