"""The messages that cuts keep: copied inside the database, or written by others. `cut_rows` has the cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, func, insert, literal, literal_column, select

from ..transcripts.encoding import USER, Encoded
from .schema import kept_message_table, message_blob_table, message_table
from .statement import RowStatement, Statement, one_of
from .types import RowId, RowIdList
from .unit_of_work import UnitOfWork

_KEPT: Final = ["cut_id", "position", "role", "timestamp", "digest", "payload"]
_in_session: Final = message_table.c.session_id == bindparam("session")
_cut: Final = bindparam("cut", type_=RowId)
_copied: Final = (
    select(
        _cut,
        message_table.c.position,
        message_table.c.role,
        message_table.c.timestamp,
        message_table.c.digest,
        message_blob_table.c.payload,
    )
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(_in_session)
)
_copy_range: Final = Statement(
    insert(kept_message_table).from_select(
        _KEPT, _copied.where(message_table.c.position.between(bindparam("first"), bindparam("last")))
    )
)
_copy_positions: Final = Statement(
    insert(kept_message_table).from_select(
        _KEPT, _copied.where(one_of(message_table.c.position, bindparam("positions", type_=RowIdList)))
    )
)
#: With more ranges than this, positions are named, as many at once: a round trip for each range would take longer.
_MOST_RANGES: Final = 20
_AT_ONCE: Final = 1_000


def copy_ranges(unit: UnitOfWork, cut: int, session: int, ranges: Sequence[tuple[int, int]]) -> None:
    """Keep messages of a session.

    Args:
        cut: the cut's row id.
        session: the session's row id.
        ranges: the first and last positions of the messages.
    """
    if len(ranges) <= _MOST_RANGES:
        for first, last in ranges:
            unit.execute(_copy_range, {"cut": cut, "session": session, "first": first, "last": last})
        return
    positions = [position for first, last in ranges for position in range(first, last + 1)]
    for start in range(0, len(positions), _AT_ONCE):
        some = positions[start : start + _AT_ONCE]
        unit.execute(_copy_positions, {"cut": cut, "session": session, "positions": some})


_numbered: Final = func.row_number().over(order_by=message_table.c.position) - literal(1, BigInteger)
_copy_all: Final = Statement(
    insert(kept_message_table).from_select(
        _KEPT,
        select(
            _cut,
            _numbered,
            message_table.c.role,
            message_table.c.timestamp,
            message_table.c.digest,
            message_blob_table.c.payload,
        )
        .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
        .where(_in_session),
    )
)


def copy_all(unit: UnitOfWork, cut: int, session: int) -> None:
    """Keep all messages of a session, whose positions are damaged: numbered anew."""
    unit.execute(_copy_all, {"cut": cut, "session": session})


_insert: Final = RowStatement(
    insert(kept_message_table).values({name: bindparam(name) for name in _KEPT}), tuple(_KEPT)
)


def add(unit: UnitOfWork, cut: int, messages: Mapping[int, Encoded]) -> None:
    """Keep messages that no session has, by their positions."""
    rows = [
        (cut, position, one.role, one.timestamp, one.digest, one.payload) for position, one in sorted(messages.items())
    ]
    unit.execute_many(_insert, rows)


class Measure(NamedTuple):
    """How much a cut keeps."""

    messages: int
    #: How many of them have the role "user".
    users: int
    #: The bytes of their payloads.
    size: int


_measure: Final = Statement(
    select(
        func.count(),
        func.count().filter(kept_message_table.c.role == literal_column(f"'{USER}'")),
        func.coalesce(func.sum(func.length(kept_message_table.c.payload)), 0),
    ).where(kept_message_table.c.cut_id == bindparam("cut_row")),
    checked=False,
)


def measure(unit: UnitOfWork, cut: int) -> Measure:
    """Return how much a cut keeps."""
    [(messages, users, size)] = unit.rows(_measure, {"cut_row": cut})
    return Measure(messages, users, int(size))
