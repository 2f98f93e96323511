"""How sessions are related: the ones that a session came from, and all that came from it."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import bindparam, select

from ..records import SessionRecord
from .schema import session_table
from .session_records import records, to_record
from .statement import Statement
from .unit_of_work import UnitOfWork


class LineageRow(NamedTuple):
    """A session in a line or a tree of them."""

    id: int
    #: The row id of its parent; None for one without.
    parent_row: int | None
    session_id: str
    title: str
    kind: str | None
    forked_at: int | None
    message_count: int
    created_at: float
    updated_at: float
    deleted_at: float | None


def _lineage() -> Statement:
    # UNION, not UNION ALL: a row that was found is not followed again, so that a ring of links, which only another
    # program can make, ends. No other condition: with one, and statistics, SQLite reads the whole table for a Bloom
    # filter.
    above, below = session_table.alias("above"), session_table.alias("below")
    is_it = session_table.c.id == bindparam("session")
    up = select(session_table.c.id, session_table.c.parent_id).where(is_it).cte("up", recursive=True)
    up = up.union(select(above.c.id, above.c.parent_id).join(up, above.c.id == up.c.parent_id))
    down = select(session_table.c.id).where(is_it).cte("down", recursive=True)
    down = down.union(select(below.c.id).join(down, below.c.parent_id == down.c.id))
    found = select(up.c.id).union_all(select(down.c.id))
    names = ["id", "parent_id", "session_id", "title", "parent_kind", *LineageRow._fields[5:], "profile"]
    # Sorted by the caller: to have the order of an index, a database might read all sessions.
    return Statement(select(*(session_table.c[name] for name in names)).where(session_table.c.id.in_(found)))


_lineage_of: Final = _lineage()


def related(unit: UnitOfWork, session: int, profile: str) -> list[LineageRow]:
    """Return a session with all that it came from and all that came from it, deleted or not, the oldest row first.

    Args:
        session: its row id.
        profile: its profile; what only a damaged link leads to in another one is left out.
    """
    rows = unit.rows(_lineage_of, {"session": session})
    return sorted(LineageRow._make(row[:-1]) for row in rows if row[-1] == profile)


_children: Final = Statement(
    records(session_table)
    .where(
        session_table.c.parent_id == bindparam("parent"),
        session_table.c.profile == bindparam("profile"),
        session_table.c.deleted_at.is_(None),
    )
    .order_by(session_table.c.id)
)


def children(unit: UnitOfWork, session: int, profile: str) -> list[SessionRecord]:
    """Return the sessions whose parent is one, given by row id and with its profile; not the deleted ones."""
    return [to_record(row) for row in unit.rows(_children, {"parent": session, "profile": profile})]
