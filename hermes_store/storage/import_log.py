"""The import log: what was imported from where, so that a second import is cheap and a changed source is noticed."""

from __future__ import annotations

import functools
import time
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, delete, exists, insert, select, update

from .schema import import_item_table, session_table
from .statement import Statement, one_of
from .types import TextList
from .unit_of_work import UnitOfWork

#: The kinds of items: a file of a sessions folder that became a session; what was decided about any other file there,
#: or about a project or a share; a project of a ``projects.json``; a file that became a share.
SESSION_FILE: Final = "webui-session"
OTHER_FILE: Final = "webui-file"
PROJECT: Final = "webui-project"
SHARE: Final = "webui-share"
#: A conversation of the agent that became a session.
AGENT_SESSION: Final = "agent-session"


class Entry(NamedTuple):
    """What the log has of one item of an origin, and of the session that it became."""

    item: str
    #: The session's row id; None once it was purged, and for what is no session.
    session: int | None
    digest: bytes
    size: int | None
    mtime_ns: int | None
    #: The session's revision after the import.
    revision: int | None
    imported_at: float
    notes: Any
    public_id: str | None
    deleted_at: float | None
    #: The session's revision now.
    session_revision: int | None = None


_entry: Final = select(
    import_item_table.c.item,
    import_item_table.c.session_id,
    import_item_table.c.digest,
    import_item_table.c.size,
    import_item_table.c.mtime_ns,
    import_item_table.c.revision,
    import_item_table.c.imported_at,
    import_item_table.c.notes,
    session_table.c.session_id.label("public_id"),
    session_table.c.deleted_at,
    session_table.c.revision.label("session_revision"),
).outerjoin(session_table, import_item_table.c.session_id == session_table.c.id)
_of_origin: Final = (import_item_table.c.kind == bindparam("kind"), import_item_table.c.origin == bindparam("origin"))
_entries: Final = Statement(
    _entry.where(*_of_origin, one_of(import_item_table.c.item, bindparam("items", type_=TextList)))
)
_noted_entry_of: Final = Statement(
    _entry.where(
        *_of_origin, import_item_table.c.session_id == bindparam("session"), import_item_table.c.notes.is_not(None)
    )
)
_sessions: Final = Statement(
    select(import_item_table.c.item, import_item_table.c.session_id).where(
        *_of_origin, one_of(import_item_table.c.item, bindparam("items", type_=TextList))
    )
)
_digests: Final = Statement(
    select(import_item_table.c.origin, import_item_table.c.digest).where(
        import_item_table.c.kind == bindparam("kind"), import_item_table.c.item == bindparam("item")
    )
)


def entries(unit: UnitOfWork, kind: str, origin: str, items: Collection[str]) -> dict[str, Entry]:
    """Return the entries of some items of an origin, by item."""
    rows = unit.rows(_entries, {"kind": kind, "origin": origin, "items": list(items)})
    return {row[0]: Entry._make(row) for row in rows}


_of_one_origin: Final = Statement(_entry.where(*_of_origin))


def of_origin(unit: UnitOfWork, kind: str, origin: str) -> dict[str, Entry]:
    """Return all entries of a kind of an origin, by item."""
    return {row[0]: Entry._make(row) for row in unit.rows(_of_one_origin, {"kind": kind, "origin": origin})}


_of_session: Final = Statement(
    _entry.add_columns(import_item_table.c.origin, import_item_table.c.kind)
    .where(import_item_table.c.session_id == bindparam("session"))
    .order_by(import_item_table.c.id)
)


@functools.cache
def _all(of_origin: bool, of_profile: bool) -> Statement:
    query = _entry.add_columns(import_item_table.c.origin).where(import_item_table.c.kind == bindparam("kind"))
    if of_origin:
        query = query.where(import_item_table.c.origin == bindparam("origin"))
    if of_profile:
        query = query.where(session_table.c.profile == bindparam("profile"))
    return Statement(query)


def all_entries(
    unit: UnitOfWork, kind: str, origin: str | None = None, profile: str | None = None
) -> list[tuple[str, Entry]]:
    """Return all entries of a kind, each with its origin: those of one origin, or of the sessions of one profile."""
    parameters = {"kind": kind, "origin": origin, "profile": profile}
    rows = unit.rows(_all(origin is not None, profile is not None), parameters)
    return [(row[-1], Entry._make(row[:-1])) for row in rows]


def entries_of_session(unit: UnitOfWork, session: int) -> list[tuple[str, str, Entry]]:
    """Return the entries of a session, which is given by row id, each with its kind and origin."""
    return [(row[-1], row[-2], Entry._make(row[:-2])) for row in unit.rows(_of_session, {"session": session})]


def sessions_of(unit: UnitOfWork, kind: str, origin: str, items: Collection[str]) -> dict[str, int | None]:
    """Return those of some items of an origin that have entries, with their sessions' row ids (None once purged)."""
    return dict(unit.rows(_sessions, {"kind": kind, "origin": origin, "items": list(items)}))


def noted_entry_of(unit: UnitOfWork, kind: str, origin: str, session: int) -> Entry | None:
    """Return the entry of an origin that has notes on a session, which is given by row id."""
    row = unit.row(_noted_entry_of, {"kind": kind, "origin": origin, "session": session})
    return None if row is None else Entry._make(row)


def digests(unit: UnitOfWork, kind: str, item: str) -> dict[str, bytes]:
    """Return the digests of an item of any origin, by origin."""
    return dict(unit.rows(_digests, {"kind": kind, "item": item}))


class FollowedColumns(NamedTuple):
    """The columns of a session that imports keep at the values of its source, until a user changes them."""

    title: str
    input_tokens: int
    output_tokens: int
    estimated_cost: float | None
    #: The parent's row id.
    parent_id: int | None


_followed: Final = Statement(
    select(*(session_table.c[name] for name in FollowedColumns._fields)).where(
        session_table.c.id == bindparam("session")
    )
)


def followed_columns(unit: UnitOfWork, session: int) -> FollowedColumns:
    """Return the present values of these columns of a session, which is given by row id and has to exist."""
    [row] = unit.rows(_followed, {"session": session})
    return FollowedColumns._make(row)


_VALUES: Final = ("session_id", "digest", "size", "mtime_ns", "revision", "imported_at", "notes")
_insert: Final = Statement(
    insert(import_item_table).values({name: bindparam(name) for name in ("kind", "origin", "item", *_VALUES)})
)
_update: Final = Statement(
    update(import_item_table)
    .where(
        import_item_table.c.kind == bindparam("of_kind"),
        import_item_table.c.origin == bindparam("of_origin"),
        import_item_table.c.item == bindparam("of_item"),
    )
    .values({name: bindparam(name) for name in _VALUES})
)


def record(
    unit: UnitOfWork,
    kind: str,
    origin: str,
    item: str,
    *,
    new: bool,
    digest: bytes,
    session: int | None = None,
    size: int | None = None,
    mtime_ns: int | None = None,
    revision: int | None = None,
    imported_at: float | None = None,
    notes: Any = None,
) -> None:
    """Write the entry of an item (see `import_item_table`); `new` if there is none yet."""
    values = {
        "session_id": session,
        "digest": digest,
        "size": size,
        "mtime_ns": mtime_ns,
        "revision": revision,
        "imported_at": time.time() if imported_at is None else imported_at,
        "notes": notes or None,
    }
    if new:
        unit.execute(_insert, {"kind": kind, "origin": origin, "item": item, **values})
    else:
        unit.execute(_update, {"of_kind": kind, "of_origin": origin, "of_item": item, **values})


_find: Final = Statement(
    select(import_item_table.c.id).where(*_of_origin, import_item_table.c.item == bindparam("item"))
)
_remove: Final = Statement(
    delete(import_item_table).where(*_of_origin, one_of(import_item_table.c.item, bindparam("items", type_=TextList)))
)


def put(unit: UnitOfWork, kind: str, origin: str, item: str, values: Mapping[str, Any]) -> None:
    """Write the entry of an item, whether or not there is one; `values` as `record` takes them."""
    new = unit.value(_find, {"kind": kind, "origin": origin, "item": item}) is None
    record(unit, kind, origin, item, new=new, **values)


def remove(unit: UnitOfWork, kind: str, origin: str, items: Collection[str]) -> None:
    """Remove the entries of some items of an origin."""
    unit.execute(_remove, {"kind": kind, "origin": origin, "items": list(items)})


_carry_forward: Final = Statement(
    update(import_item_table)
    .where(import_item_table.c.session_id == bindparam("session"), import_item_table.c.revision == bindparam("before"))
    .values(revision=bindparam("after"))
)


_children: Final = select(session_table.c.id).where(session_table.c.parent_id == bindparam("parent"))
_carry_forward_children: Final = Statement(
    update(import_item_table)
    .where(
        import_item_table.c.session_id.in_(_children),
        import_item_table.c.revision
        == select(session_table.c.revision)
        .where(session_table.c.id == import_item_table.c.session_id)
        .scalar_subquery(),
    )
    .values(revision=import_item_table.c.revision + 1)
)


def carry_forward_children(unit: UnitOfWork, parent: int) -> None:
    """Do what `carry_forward` does for all sessions forked from one, whose revisions are about to grow by one."""
    unit.execute(_carry_forward_children, {"parent": parent})


def carry_forward(unit: UnitOfWork, session: int, before: int, after: int) -> None:
    """Record revision `after` of a session as imported if `before` was recorded: its content is the same."""
    unit.execute(_carry_forward, {"session": session, "before": before, "after": after})


_forget_notes: Final = Statement(
    update(import_item_table).where(import_item_table.c.session_id == bindparam("session")).values(notes=None)
)


def forget_notes(unit: UnitOfWork, session: int) -> None:
    """Remove the notes on a session that is purged: they may have its title, or other text of it."""
    unit.execute(_forget_notes, {"session": session})


_move: Final = Statement(
    update(import_item_table)
    .where(import_item_table.c.session_id == bindparam("before"))
    .values(session_id=bindparam("after_row"))
)


def move(unit: UnitOfWork, before: int, after: int) -> None:
    """Move the entries of a session to the row that it moved to; both are row ids."""
    unit.execute(_move, {"before": before, "after_row": after})


_unlink: Final = Statement(
    update(import_item_table)
    .where(
        import_item_table.c.session_id.is_not(None),
        ~exists().where(session_table.c.id == import_item_table.c.session_id),
    )
    .values(session_id=None)
)


def unlink_missing(unit: UnitOfWork) -> int:
    """Treat the sessions of entries that refer to missing rows as purged; return how many entries."""
    return unit.execute(_unlink)
