"""What a store holds, as rows of its tables."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select

from hermes_store import Store
from hermes_store.storage.schema import message_blob_table, message_table, metadata
from tests.support.internals import reading


def message_rows(store: Store) -> list[tuple[Any, ...]]:
    """The rows of all messages but for their bodies: id, position, role, timestamp."""
    with reading(store) as connection:
        query = select(
            message_table.c.id, message_table.c.position, message_table.c.role, message_table.c.timestamp
        ).order_by(message_table.c.position, message_table.c.id)
        found = [tuple(row) for row in connection.execute(query)]
        assert connection.execute(select(func.count()).select_from(message_blob_table)).scalar() == len(found)
    return found


def all_rows(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    with reading(store) as connection:
        return {
            table.name: sorted(tuple(row) for row in connection.execute(select(*table.primary_key, table)))
            for table in metadata.sorted_tables
        }


def table_counts(store: Store) -> dict[str, int]:
    """Return how many rows each table has."""
    with reading(store) as connection:
        return {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in metadata.sorted_tables
        }
