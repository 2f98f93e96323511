"""Copies of messages, made inside the database: no payload is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from sqlalchemy import BigInteger, and_, bindparam, func, insert, select

from ..validation import MAX_INT
from .schema import kept_message_table, message_blob_table, message_table
from .statement import Statement
from .types import RowId
from .unit_of_work import UnitOfWork

_copied: Final = message_table.alias("copied")
_in_range: Final = and_(
    message_table.c.session_id == bindparam("session"),
    message_table.c.position.between(bindparam("first"), bindparam("last")),
)
_moved: Final = message_table.c.position + bindparam("shift", type_=BigInteger)
_copy_messages: Final = Statement(
    insert(message_table).from_select(
        ["session_id", "position", "role", "timestamp", "digest"],
        select(
            bindparam("copy", type_=RowId),
            _moved,
            message_table.c.role,
            message_table.c.timestamp,
            message_table.c.digest,
        )
        .where(_in_range)
        .order_by(message_table.c.position),
    )
)
_copy_payloads: Final = Statement(
    insert(message_blob_table).from_select(
        ["message_id", "payload"],
        select(_copied.c.id, message_blob_table.c.payload)
        .select_from(message_table)
        .join(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
        .join(_copied, (_copied.c.session_id == bindparam("copy")) & (_copied.c.position == _moved))
        .where(_in_range),
    )
)


def copy(unit: UnitOfWork, session: int, copied: int, first: int = 0, last: int = MAX_INT, *, shift: int = 0) -> None:
    """Insert messages of a session into another one; both are row ids. Nothing is decoded.

    Args:
        first, last: the positions of the first and last messages.
        shift: what is added to their positions.
    """
    for start, end in _parts(unit, session, first, last):
        parameters = {"session": session, "copy": copied, "first": start, "last": end, "shift": shift}
        unit.execute(_copy_messages, parameters)
        unit.execute(_copy_payloads, parameters)


#: How many messages, and bytes of payloads, are copied by one statement, unless a single one is larger: SQLite holds in
#: memory what it reads from a table into the same one.
_PART_ROWS: Final = 1_000
_PART_BYTES: Final = 4 * 2**20
_sizes: Final = Statement(
    select(message_table.c.position, func.length(message_blob_table.c.payload).label("size"))
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(_in_range)
    .order_by(message_table.c.position)
    .limit(bindparam("most"))
)


def _parts(unit: UnitOfWork, session: int, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last positions of parts of a transcript."""
    while first <= last:
        rows = unit.rows(_sizes, {"session": session, "first": first, "last": last, "most": _PART_ROWS})
        end, total = None, 0
        for position, size in rows:
            if end is not None and total + (size or 0) > _PART_BYTES:
                yield first, end
                first, total = position, 0
            end, total = position, total + (size or 0)
        if end is not None:
            yield first, end
        if end is None or len(rows) < _PART_ROWS:
            return
        first = end + 1


_of_cut: Final = and_(
    kept_message_table.c.cut_id == bindparam("cut"),
    kept_message_table.c.position.between(bindparam("first"), bindparam("last")),
)
_kept_position: Final = kept_message_table.c.position + bindparam("shift", type_=BigInteger)
_restore_messages: Final = Statement(
    insert(message_table)
    .from_select(
        ["session_id", "position", "role", "timestamp", "digest", "revision"],
        select(
            bindparam("copy", type_=RowId),
            _kept_position,
            kept_message_table.c.role,
            kept_message_table.c.timestamp,
            kept_message_table.c.digest,
            bindparam("new_revision", type_=BigInteger),
        )
        .where(_of_cut)
        .order_by(kept_message_table.c.position),
    )
    .execution_options(preserve_rowcount=True)
)
_restore_payloads: Final = Statement(
    insert(message_blob_table).from_select(
        ["message_id", "payload"],
        select(_copied.c.id, kept_message_table.c.payload)
        .select_from(kept_message_table)
        .join(_copied, (_copied.c.session_id == bindparam("copy")) & (_copied.c.position == _kept_position))
        .where(_of_cut, kept_message_table.c.payload.is_not(None)),
    )
)


def copy_kept(
    unit: UnitOfWork, cut: int, copied: int, first: int, last: int, *, shift: int = 0, revision: int = 1
) -> int:
    """Insert messages that a cut kept into a session, and return how many; as `copy`.

    Args:
        cut: the cut's row id.
        revision: the session's revision that they belong to.
    """
    parameters = {"cut": cut, "copy": copied, "first": first, "last": last, "shift": shift}
    count = unit.execute(_restore_messages, {**parameters, "new_revision": revision})
    unit.execute(_restore_payloads, parameters)
    return count
