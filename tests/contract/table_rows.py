"""The rows beneath a store, for what there is no public way to see."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from hermes_store import Store
from hermes_store.tables import Base, Message, MessageBlob


def message_rows(store: Store) -> list[tuple[Any, ...]]:
    """The rows of all messages but for their bodies: id, position, role, timestamp."""
    with store._database.read() as connection:
        query = select(Message.id, Message.position, Message.role, Message.timestamp).order_by(Message.position)
        found = [tuple(row) for row in connection.execute(query)]
        assert connection.execute(select(func.count()).select_from(MessageBlob)).scalar() == len(found)
    return found


def all_rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with store._database.read() as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(*table.primary_key, table)))
            for table in Base.metadata.sorted_tables
        }
