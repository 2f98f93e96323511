"""Inserting one message with its payload and its words: what most writes do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import bindparam, insert, select

from . import search_rows
from .schema import message_blob_table, message_table
from .statement import Bound, Parameters, Statement
from .unit_of_work import UnitOfWork

#: The columns of a message, by the names of their parameters.
COLUMNS: Final[Mapping[str, Any]] = {
    name: bindparam(name) for name in ("session_id", "position", "role", "timestamp", "digest", "revision")
}
#: One statement that inserts a message, and returns its row id.
INSERT_ONE: Final = insert(message_table).values(COLUMNS).returning(message_table.c.id)
_insert_one: Final = Statement(INSERT_ONE)
INSERT_PAYLOAD: Final = insert(message_blob_table).values(
    message_id=bindparam("message_id"), payload=bindparam("payload")
)
_insert_payload: Final = Statement(INSERT_PAYLOAD)


def insert_in_turn(unit: UnitOfWork, values: Parameters, payload: bytes, then: Bound | None) -> tuple[int, int]:
    """Insert a message by a statement for each table; as `Dialect.insert_message`."""
    row_id: int = unit.value(_insert_one, values)
    unit.execute(_insert_payload, {"message_id": row_id, "payload": payload})
    search_rows.add(unit, [(row_id, payload)])
    return row_id, 0 if then is None else unit.execute(*then)


_added: Final = INSERT_ONE.cte("added")
_body: Final = (
    insert(message_blob_table)
    .from_select(
        ["message_id", "payload"], select(_added.c.id, bindparam("payload", type_=message_blob_table.c.payload.type))
    )
    .cte("body")
)
#: One statement for a message and its payload, on databases whose INSERT can be a part of another statement.
INSERT_WITH_PAYLOAD: Final = select(_added.c.id).add_cte(_body)
