"""The rows of messages and their payloads. Positions are dense, from 0. The caller has locked the session's row."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from sqlalchemy import bindparam, delete, exists, func, insert, literal_column, select, update

from ..errors import DatabaseCorruptError
from ..transcripts.diff import Changes
from ..transcripts.encoding import Encoded
from ..transcripts.kept_runs import Run
from ..validation import MAX_INT
from . import search_rows
from .message_differences import Difference, compare
from .message_inserts import COLUMNS, INSERT_PAYLOAD
from .message_lookup import IN_SESSION
from .schema import message_blob_table, message_table
from .statement import Bound, RowStatement, Statement
from .unit_of_work import INTEGRITY_ERRORS, UnitOfWork

#: Messages in one statement, at most: a bound for the memory that their parameters take.
_CHUNK: Final = 1_000

_insert_many: Final = RowStatement(insert(message_table).values({"id": bindparam("id"), **COLUMNS}), ("id", *COLUMNS))
_insert_payload: Final = Statement(INSERT_PAYLOAD)
_insert_payloads: Final = RowStatement(INSERT_PAYLOAD, ("message_id", "payload"))


def insert_at(unit: UnitOfWork, session: int, messages: Mapping[int, Encoded], revision: int) -> int:
    """Insert messages, and return the row id of the last one; 0 if there is none.

    Args:
        session: the row id of their session.
        messages: by position.
        revision: the session's revision that they belong to.
    """
    if len(messages) == 1:
        [(position, message)] = messages.items()
        return _insert_one(unit, session, position, message, revision)[0]
    row_id = 0
    items = list(messages.items())
    for start in range(0, len(items), _CHUNK):
        chunk = items[start : start + _CHUNK]
        row_ids = unit.dialect.reserve_message_ids(unit, len(chunk))
        rows, payloads = [], []
        for row_id, (position, (payload, digest, role, timestamp)) in zip(row_ids, chunk, strict=True):
            rows.append((row_id, session, position, role, timestamp, digest, revision))
            payloads.append((row_id, payload))
        unit.execute_many(_insert_many, rows)
        unit.execute_many(_insert_payloads, payloads)
        search_rows.add(unit, payloads)
    return row_id


def _insert_one(  # noqa: PLR0917 - where it is inserted
    unit: UnitOfWork, session: int, position: int, message: Encoded, revision: int, then: Bound | None = None
) -> tuple[int, int]:
    values = {
        "session_id": session,
        "position": position,
        "role": message.role,
        "timestamp": message.timestamp,
        "digest": message.digest,
        "revision": revision,
    }
    return unit.dialect.insert_message(unit, values, message.payload, then)


def append(unit: UnitOfWork, session: int, messages: Sequence[Encoded], *, first: int, revision: int) -> int:
    """Insert messages after the last one of a session, which is before position `first`; as `insert_at`.

    Raises:
        DatabaseCorruptError: there is a message after that one already: the session's count of messages is damaged.
    """
    with _counted(unit, first, len(messages)):
        return insert_at(unit, session, dict(enumerate(messages, first)), revision)


def append_and_change(
    unit: UnitOfWork, session: int, messages: Sequence[Encoded], *, first: int, change: Bound
) -> tuple[int, int]:
    """Append messages, and change their session's row; return the last row id, and how many rows were changed.

    Args:
        session, messages, first: as in `append`; at least one message.
        change: what changes the row, with the revision that the messages belong to.
    """
    revision = change.parameters["revision"]
    if len(messages) > 1:
        return append(unit, session, messages, first=first, revision=revision), unit.execute(*change)
    with _counted(unit, first, 1):
        return _insert_one(unit, session, first, messages[0], revision, change)


@contextlib.contextmanager
def _counted(unit: UnitOfWork, first: int, added: int) -> Iterator[None]:
    """Make sure that messages are inserted where there are none; as `append`."""
    if first + added > MAX_INT:
        raise _count_error(first)
    try:
        yield
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "messages", "session_id", "position"):
            raise _count_error(first) from error
        raise


def _count_error(count: int) -> DatabaseCorruptError:
    return DatabaseCorruptError(
        f"A session's count of messages is damaged in the database: it says {count}, and there are others. Nothing was "
        "written; restore a backup, or write the whole transcript with `replace`."
    )


_update_message: Final = Statement(
    update(message_table)
    .where(message_table.c.id == bindparam("row_id"))
    .values({name: bindparam(name) for name in ("role", "timestamp", "digest", "revision")})
)
_update_payload: Final = Statement(
    update(message_blob_table)
    .where(message_blob_table.c.message_id == bindparam("row_id"))
    .values(payload=bindparam("payload"))
)


def overwrite(unit: UnitOfWork, messages: Mapping[int, Encoded], revision: int) -> None:
    """Write other contents into messages; `messages` are by row id. A payload that is missing is made again.

    Raises:
        DatabaseCorruptError: a row that was read cannot be written.
    """
    if not unit.dialect.word_index.needs_removed_words:  # then nothing has to be read of each
        _overwrite_all(unit, messages, revision)
        return
    for row_id, message in messages.items():
        values = {
            "row_id": row_id,
            "role": message.role,
            "timestamp": message.timestamp,
            "digest": message.digest,
            "revision": revision,
        }
        before = search_rows.payload_before(unit, row_id)
        if unit.execute(_update_message, values) != 1:
            raise _row_error()
        _write_payload(unit, row_id, before, message.payload)


_update_messages: Final = RowStatement(_update_message.clause, ("role", "timestamp", "digest", "revision", "row_id"))
_update_payloads: Final = RowStatement(_update_payload.clause, ("payload", "row_id"))


def _overwrite_all(unit: UnitOfWork, messages: Mapping[int, Encoded], revision: int) -> None:
    items = list(messages.items())
    for start in range(0, len(items), _CHUNK):
        chunk = items[start : start + _CHUNK]
        rows = [(one.role, one.timestamp, one.digest, revision, row_id) for row_id, one in chunk]
        if unit.execute_many(_update_messages, rows) != len(chunk):
            raise _row_error()
        if unit.execute_many(_update_payloads, [(one.payload, row_id) for row_id, one in chunk]) != len(chunk):
            for row_id, one in chunk:  # one payload is missing: it is inserted
                if unit.execute(_update_payload, {"row_id": row_id, "payload": one.payload}) != 1:
                    unit.execute(_insert_payload, {"message_id": row_id, "payload": one.payload})
        search_rows.replace_all(unit, [(row_id, one.payload) for row_id, one in chunk])


def _row_error() -> DatabaseCorruptError:
    return DatabaseCorruptError(
        "The row of a message was read and cannot be written: the database is damaged. Nothing was written; "
        "check it with SQLite's PRAGMA integrity_check, and restore a backup."
    )


_update_message_at: Final = Statement(
    update(message_table)
    .where(message_table.c.id == bindparam("row_id"), message_table.c.revision == bindparam("at"))
    .values({name: bindparam(name) for name in ("role", "timestamp", "digest", "revision")})
)


def overwrite_if_at(
    unit: UnitOfWork, row_id: int, message: Encoded, *, before: Encoded, at: int, revision: int
) -> bool:
    """Write other content into a message if it was last written at a revision of its session, and return whether.

    Args:
        before: the message that it was then.
        at: the revision.
        revision: the session's revision that this write belongs to.
    """
    values = {
        "row_id": row_id,
        "at": at,
        "role": message.role,
        "timestamp": message.timestamp,
        "digest": message.digest,
        "revision": revision,
    }
    if unit.execute(_update_message_at, values) != 1:
        return False
    _write_payload(unit, row_id, before.payload, message.payload)
    return True


def _write_payload(unit: UnitOfWork, row_id: int, before: bytes | None, payload: bytes) -> None:
    if unit.execute(_update_payload, {"row_id": row_id, "payload": payload}) != 1:
        unit.execute(_insert_payload, {"message_id": row_id, "payload": payload})
    search_rows.replace(unit, row_id, before, payload)


_delete_all: Final = Statement(delete(message_table).where(IN_SESSION))


def write_difference(
    unit: UnitOfWork, session: int, difference: Difference, messages: Sequence[Encoded], revision: int
) -> None:
    """Write what differs; as `replace`. The session is as it was when it was compared."""
    if difference.row_ids is None:
        search_rows.remove_from(unit, session)
        unit.execute(_delete_all, {"session": session})
        insert_at(unit, session, dict(enumerate(messages)), revision)
    else:
        _apply(unit, session, difference.changes, difference.row_ids, messages, revision)


def replace(unit: UnitOfWork, session: int, messages: Sequence[Encoded], revision: int) -> Changes:
    """Replace a session's transcript by `messages`, writing what differs or is damaged, and return the changes.

    Args:
        session: the session's row id.
        revision: the session's revision that the changes belong to.
    """
    difference = compare(unit, session, messages)
    write_difference(unit, session, difference, messages, revision)
    return difference.changes


_delete_message: Final = RowStatement(
    delete(message_table).where(message_table.c.id == bindparam("row_id")), ("row_id",)
)
_to_negative: Final = Statement(
    update(message_table)
    .where(IN_SESSION, message_table.c.position.between(bindparam("first"), bindparam("last")))
    .values(position=-1 - message_table.c.position)
)
_from_negative: Final = Statement(
    update(message_table)
    .where(IN_SESSION, message_table.c.position.between(bindparam("first"), bindparam("last")))
    .values(position=-1 - message_table.c.position + bindparam("distance"), revision=bindparam("new_revision"))
)


_delete_range: Final = Statement(
    delete(message_table).where(IN_SESSION, message_table.c.position.between(bindparam("first"), bindparam("last")))
)


def remove_and_move(
    unit: UnitOfWork, session: int, ranges: Iterable[tuple[int, int]], runs: Iterable[Run], revision: int
) -> None:
    """Remove messages, and move those that stay.

    Args:
        session: the session's row id.
        ranges: the first and last positions of the messages to remove.
        runs: the messages that stay, where they are and where they are to be.
        revision: the session's revision that this belongs to.
    """
    for first, last in ranges:
        search_rows.remove_from(unit, session, first, last)
        unit.execute(_delete_range, {"session": session, "first": first, "last": last})
    moved = [run for run in runs if run.before != run.after]
    for run in moved:
        unit.execute(_to_negative, {"session": session, "first": run.before, "last": run.before + run.length - 1})
    for run in moved:
        parameters = {"session": session, "first": -run.before - run.length, "last": -1 - run.before}
        distance = run.after - run.before
        unit.execute(_from_negative, {**parameters, "distance": distance, "new_revision": revision})


#: With more runs than this, each row is moved by itself: a round trip for each run would take longer.
_MOST_RUNS: Final = 200
_one_to_negative: Final = RowStatement(
    update(message_table)
    .where(message_table.c.id == bindparam("row_id"))
    .values(position=literal_column("-1") - message_table.c.position),
    ("row_id",),
)
_move_one: Final = RowStatement(
    update(message_table)
    .where(message_table.c.id == bindparam("row_id"))
    .values(position=bindparam("place"), revision=bindparam("new_revision")),
    ("place", "new_revision", "row_id"),
)


def _apply(  # noqa: PLR0917 - the change, and what it is made of
    unit: UnitOfWork,
    session: int,
    changes: Changes,
    row_ids: Sequence[int],
    messages: Sequence[Encoded],
    revision: int,
) -> None:
    """Carry out `changes`; `row_ids` are by old position, `messages` by new position."""
    if changes.removed:
        search_rows.remove(unit, [row_ids[position] for position in changes.removed])
        unit.execute_many(_delete_message, [(row_ids[position],) for position in changes.removed])
    moves = list(changes.moves())
    # Positions are unique at every moment, so what moves goes below zero first, and from there to its place. What moved
    # counts as written: a caller that read another message at that position must not overwrite this one.
    if len(moves) > _MOST_RUNS:
        moved = [(row_ids[old], new) for old, new in changes.surviving if old != new]
        unit.execute_many(_one_to_negative, [(row_id,) for row_id, _ in moved])
        unit.execute_many(_move_one, [(new, revision, row_id) for row_id, new in moved])
        moves = []
    for first, last, _ in moves:
        unit.execute(_to_negative, {"session": session, "first": first, "last": last})
    for first, last, distance in moves:
        parameters = {"session": session, "first": -1 - last, "last": -1 - first}
        unit.execute(_from_negative, {**parameters, "distance": distance, "new_revision": revision})
    if changes.updated:
        row_of = {new: row_ids[old] for old, new in changes.surviving}
        overwrite(unit, {row_of[position]: messages[position] for position in changes.updated}, revision)
    if changes.inserted:
        insert_at(unit, session, {position: messages[position] for position in changes.inserted}, revision)


#: Unchecked: a damaged position is one that changes.
_places: Final = Statement(
    select(message_table.c.id, message_table.c.position)
    .where(IN_SESSION)
    .order_by(message_table.c.position, message_table.c.id),
    checked=False,
)
#: Where rows are while they are moved: no position is below it.
_APART: Final = -(2**60)


def renumber(unit: UnitOfWork, session: int, revision: int) -> int:
    """Renumber the positions of a session's messages from 0 on, in their order; return how many changed."""
    rows = unit.rows(_places, {"session": session})
    moved = [(row_id, place) for place, (row_id, position) in enumerate(rows) if position != place]
    for first in (_APART, 0):
        unit.execute_many(_move_one, [(first + place, revision, row_id) for row_id, place in moved])
    return len(moved)


_delete_from: Final = Statement(delete(message_table).where(IN_SESSION, message_table.c.position >= bindparam("keep")))


def truncate(unit: UnitOfWork, session: int, keep: int) -> int:
    """Remove the messages from position `keep` on, and return how many it was."""
    search_rows.remove_from(unit, session, keep)
    return unit.execute(_delete_from, {"session": session, "keep": keep})


_last_sizes: Final = Statement(
    select(message_table.c.position, func.length(message_blob_table.c.payload).label("size"))
    .outerjoin(message_blob_table, message_blob_table.c.message_id == message_table.c.id)
    .where(IN_SESSION)
    .order_by(message_table.c.position.desc())
    .limit(bindparam("most"))
)


def truncate_some(unit: UnitOfWork, session: int, *, rows: int, size: int) -> int:
    """Remove messages from a session's end: at least one, at most `rows`, and no more when `size` bytes are reached.

    Returns:
        How many were removed; 0 when none was left.
    """
    keep, removed = None, 0
    for position, length in unit.rows(_last_sizes, {"session": session, "most": rows}):
        keep = position
        removed += length or 0
        if removed >= size:
            break
    return 0 if keep is None else truncate(unit, session, keep)


_remove_bodies: Final = Statement(
    delete(message_blob_table).where(~exists().where(message_table.c.id == message_blob_table.c.message_id))
)


def remove_lone_bodies(unit: UnitOfWork) -> int:
    """Remove the bodies that belong to no message, and return how many."""
    return unit.execute(_remove_bodies)
