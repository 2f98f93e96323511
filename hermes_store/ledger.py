"""The store's memory of what was imported from where."""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, update

from .tables import ImportItem

_update: Final = (
    update(ImportItem)
    .where(
        ImportItem.kind == bindparam("of_kind"),
        ImportItem.origin == bindparam("of_origin"),
        ImportItem.item == bindparam("of_item"),
    )
    .values(
        {
            name: bindparam(name)
            for name in ("session_id", "digest", "size", "mtime_ns", "revision", "imported_at", "notes")
        }
    )
)
_insert: Final = insert(ImportItem)


def remember(
    connection: Connection,
    kind: str,
    origin: str,
    item: str,
    *,
    new: bool,
    digest: bytes,
    session_id: int | None = None,
    size: int | None = None,
    mtime_ns: int | None = None,
    revision: int | None = None,
    imported_at: float | None = None,
    notes: Any = None,
) -> None:
    """Note what was taken in (see `tables.ImportItem`); `new`, where there is no note of it yet."""
    values = {
        "session_id": session_id,
        "digest": digest,
        "size": size,
        "mtime_ns": mtime_ns,
        "revision": revision,
        "imported_at": time.time() if imported_at is None else imported_at,
        "notes": notes or None,
    }
    if new:
        connection.execute(_insert, {"kind": kind, "origin": origin, "item": item, **values})
    else:
        connection.execute(_update, {"of_kind": kind, "of_origin": origin, "of_item": item, **values})


_follow: Final = (
    update(ImportItem)
    .where(ImportItem.session_id == bindparam("of_session"), ImportItem.revision == bindparam("before"))
    .values(revision=bindparam("after"))
)


def follow(connection: Connection, session: int, before: int, after: int) -> None:
    """Let a session that was as imported at revision `before` still count so at `after`: its content is the same."""
    connection.execute(_follow, {"of_session": session, "before": before, "after": after})
