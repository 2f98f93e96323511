"""The store's memory of what was imported from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, update

from ..tables import ImportItem


def remember(connection: Connection, this: Mapping[str, str], values: Mapping[str, Any]) -> None:
    """Write the row of import_items that `this` names."""
    same = (getattr(ImportItem, name) == value for name, value in this.items())
    if connection.execute(update(ImportItem).where(*same).values(values)).rowcount == 0:
        connection.execute(insert(ImportItem).values({**this, **values}))
