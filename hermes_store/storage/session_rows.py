"""The rows of sessions: the only writer of a session's row and of its revisions.

Each write counts `revision` up by one. `transcript_revision` and `fields_revision` are its value at the last change of
a message, and of anything else.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, insert, select, update

from ..errors import DatabaseCorruptError
from ..records import FORK
from ..transcripts.encoding import LATEST
from . import change_rows, import_log, retired_ids, search_rows, session_keys, share_rows, usage_rows
from .schema import project_table, session_table
from .session_keys import SessionKey, locked
from .statement import NO_PARAMETERS, Bound, Statement, next_change, one_of
from .types import PublicId, RowIdList
from .unit_of_work import INTEGRITY_ERRORS, UnitOfWork
from .usage_rows import Totals, Use


@functools.cache
def _insert(names: frozenset[str]) -> Statement:
    values: dict[str, Any] = {name: bindparam(name) for name in sorted(names)}
    return Statement(insert(session_table).values(**values, change_number=next_change()).returning(session_table.c.id))


def add(unit: UnitOfWork, session_id: str, columns: Mapping[str, Any], uses: Sequence[Use] = ()) -> int:
    """Insert a session at revision 1, and return its row id.

    Args:
        columns: by the names of the table's columns; what is left out has the table's default.
        uses: what is known of the usage that its totals are the sum of.

    Raises:
        SessionExistsError: another session has the id.
    """
    values = _derived({**columns, "session_id": session_id})
    with _taking(unit, session_id):
        row_id: int = unit.value(_insert(frozenset(values)), values)
    retired_ids.confirm(unit, session_id)
    if "title" in values:
        search_rows.add_title(unit, row_id, values["title"])
    add_first_use(unit, row_id, values, uses)
    return row_id


@contextlib.contextmanager
def _taking(unit: UnitOfWork, session_id: str) -> Iterator[None]:
    """Write a row with a public id that was found to be free.

    Raises:
        SessionExistsError: another process has taken the id since; nobody knows in which profile.
    """
    try:
        yield
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "sessions", "session_id"):
            raise retired_ids.not_free(session_id) from error
        raise


def add_first_use(unit: UnitOfWork, row_id: int, columns: Mapping[str, Any], uses: Sequence[Use] = ()) -> None:
    """Write the totals that a new session begins with as usage; `columns` and `uses` as in `add`."""
    if uses or any(columns.get(name) for name in usage_rows.TOTALS):
        usage_rows.add_difference(unit, row_id, usage_rows.NOTHING, columns, uses)


def _derived(values: dict[str, Any], key: SessionKey | None = None) -> dict[str, Any]:
    """Return the values to write with those that follow from them; `key` is the session that has the others.

    `activity_at` follows from the two times. A parent whose kind is not named is what the session was forked from.
    """
    if "parent_id" in values:
        values.setdefault("parent_kind", None if values["parent_id"] is None else FORK)
    names = ("last_activity_at", "updated_at")
    if not values.keys().isdisjoint(names):
        last, updated = (values.get(name, getattr(key, name, None)) for name in names)
        values["activity_at"] = updated if last is None else last
    return values


#: What a copy of a session does not have of it.
_OWN: Final = frozenset(
    {"id", "session_id", "revision", "transcript_revision", "fields_revision", "deleted_at", "change_number"}
)
#: The columns of a session that a copy has as well, unless it gets others.
COPIED: Final = frozenset(column.key for column in session_table.columns) - _OWN
_title: Final = Statement(select(session_table.c.title).where(session_table.c.id == bindparam("row_id")))


@functools.cache
def _copy(changed: frozenset[str]) -> Statement:
    same = sorted(COPIED - changed)
    given = sorted(changed)
    columns = [session_table.c[name] for name in same]
    values = [bindparam(f"new_{name}", type_=session_table.c[name].type) for name in given]
    source = select(bindparam("new_id", type_=PublicId), next_change(), *columns, *values)
    source = source.where(session_table.c.id == bindparam("row_id"))
    names = ["session_id", "change_number", *same, *given]
    return Statement(insert(session_table).from_select(names, source).returning(session_table.c.id))


def copy(unit: UnitOfWork, key: SessionKey, new_id: str, changed: Mapping[str, Any] = NO_PARAMETERS) -> int:
    """Insert a session with another one's columns at revision 1, and return its row id.

    Args:
        changed: columns that get other values, by name.

    Raises:
        SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
    """
    retired_ids.require_free(unit, new_id)
    values = _derived(dict(changed), key)
    parameters = {f"new_{name}": value for name, value in values.items()}
    with _taking(unit, new_id):
        row_id: int = unit.value(_copy(frozenset(values)), {"new_id": new_id, "row_id": key.id, **parameters})
    retired_ids.confirm(unit, new_id)
    search_rows.add_title(unit, row_id, unit.value(_title, {"row_id": row_id}))
    if not usage_rows.has_total(changed):
        usage_rows.add_copy(unit, row_id, key.id, time.time())
    return row_id


# Building a statement takes longer than running it, and there are a few dozen combinations of columns.
@functools.cache
def _update(names: frozenset[str]) -> Statement:
    statement = update(session_table).where(session_table.c.id == bindparam("row_id"))
    values: dict[str, Any] = {name: bindparam(name) for name in sorted(names)}
    return Statement(statement.values(**values, change_number=next_change()))


def change(
    unit: UnitOfWork,
    key: SessionKey,
    values: Mapping[str, Any],
    *,
    transcript: bool = False,
    fields: bool = False,
    touch: bool = True,
    uses: Sequence[Use] = (),
) -> int:
    """Write columns of a session's row as one more revision of it, and return that.

    What its totals are more than before is written as usage.

    Args:
        values: by the names of the table's columns.
        transcript: messages were written.
        fields: something else was written.
        touch: `updated_at` is now, or stays as it is if that is later, unless it is among the values.
        uses: what is known of the usage by which the totals grow.

    Raises:
        DatabaseCorruptError: the row is damaged, or was lost meanwhile.
    """
    before = usage_rows.totals_of(unit, key.id) if uses or usage_rows.has_total(values) else None
    revision = _write(unit, key, values, transcript=transcript, fields=fields, touch=touch)
    if values.get("profile", key.profile) != key.profile:
        usage_rows.set_profile(unit, key.id, values["profile"])
    if before is not None:
        usage_rows.add_difference(unit, key.id, before, values, uses)
    return revision


def use(unit: UnitOfWork, key: SessionKey, used: Use) -> tuple[int, Totals]:
    """Write what a session used, with its totals, as one more revision of it; return that, and the totals.

    Its place in lists stays the same. Raises as `change`.
    """
    totals = usage_rows.totals_of(unit, key.id).plus(used.amounts)
    revision = _write(unit, key, totals.columns, fields=True, touch=False)
    usage_rows.add(unit, key.id, totals.profile, used)
    return revision, totals


def _write(
    unit: UnitOfWork,
    key: SessionKey,
    values: Mapping[str, Any],
    *,
    transcript: bool = False,
    fields: bool = False,
    touch: bool = True,
) -> int:
    written = _written(key, values, transcript=transcript, fields=fields, touch=touch)
    require_written(key, unit.execute(*_bound(key, written)))
    if "title" in written:
        search_rows.put_title(unit, key.id, written["title"])
    if not written.keys().isdisjoint(_PLACES):
        _note_place(unit, key, *(written.get(name, getattr(key, name)) for name in _PLACES))
    revision: int = written["revision"]
    return revision


def _written(
    key: SessionKey, values: Mapping[str, Any], *, transcript: bool, fields: bool, touch: bool
) -> dict[str, Any]:
    """Return the columns that a write of `values` writes, with the revision and what follows from them."""
    revision = next_revision(key)
    written: dict[str, Any] = {"updated_at": next_time(key), **values} if touch else dict(values)
    written["revision"] = revision
    if key.transcript_revision == key.fields_revision == key.revision:  # in the row they may be older: see `key_of`
        written["transcript_revision"] = written["fields_revision"] = key.revision
    if transcript:
        written["transcript_revision"] = revision
    if fields:
        written["fields_revision"] = revision
    return _derived(written, key)


def _bound(key: SessionKey, written: Mapping[str, Any]) -> Bound:
    return Bound(_update(frozenset(written)), {"row_id": key.id, **written})


def change_of_append(key: SessionKey, values: Mapping[str, Any], *, touch: bool = True) -> Bound:
    """Return what writes these columns of a session to which messages are appended, as its next revision.

    Whoever runs it passes how many rows it changed to `require_written`.

    Args:
        values: those that follow from the messages, and `updated_at` at most.
        touch: as in `change`.
    """
    return _bound(key, _written(key, values, transcript=True, fields=False, touch=touch))


def require_written(key: SessionKey, changed: int) -> None:
    """Make sure that a write to a session's row changed it.

    Raises:
        DatabaseCorruptError: it did not: the row is damaged, or was lost meanwhile.
    """
    if changed != 1:
        raise DatabaseCorruptError(
            f"The row of session {key.session_id!r} was read and cannot be written: the database is damaged. Nothing "
            "was written; check it with SQLite's PRAGMA integrity_check, and restore a backup."
        )


#: Where a session is found.
_PLACES: Final = ("session_id", "profile")


def _note_place(unit: UnitOfWork, key: SessionKey, session_id: str, profile: str) -> None:
    """Note that a session has another public id, or is in another profile, if that is so; `key` is from before."""
    if (session_id, profile) != (key.session_id, key.profile):
        change_rows.forget_gone(unit, "session", session_id, profile)
        change_rows.add_gone(unit, "session", key.session_id, key.profile, key.id)


def next_revision(key: SessionKey) -> int:
    """Return the revision of the next write to a session; raises as `change`."""
    return locked(key).revision + 1


def next_time(key: SessionKey) -> float:
    """Return the time of a write to a session now: never before its last one, also if the clock was set back.

    (A time after 2100 is not believed, here as elsewhere: such a session would be the first in lists for ever.)
    """
    now = time.time()
    return max(now, key.updated_at) if key.updated_at <= LATEST else now


def rename(unit: UnitOfWork, key: SessionKey, new_id: str, profile: str | None = None) -> int:
    """Give a session another public id, retire the one it had, and return the session's revision.

    Args:
        profile: as in `retired_ids.require_free`.

    Raises:
        SessionExistsError, SessionDeletedError: the new id is, or was, another session's.
    """
    retired_ids.reclaim(unit, new_id, key.id)  # it may go back to an id that was its own
    retired_ids.require_free(unit, new_id, profile)
    with _taking(unit, new_id):
        revision = change(unit, key, {"session_id": new_id}, fields=True)
    retired_ids.confirm(unit, new_id)
    retired_ids.retire(unit, key.session_id, successor=key.id)
    import_log.carry_forward(unit, key.id, key.revision, revision)
    return revision


_delete: Final = Statement(delete(session_table).where(session_table.c.id == bindparam("row_id")))


def purge(unit: UnitOfWork, key: SessionKey) -> None:
    """Remove a session with everything that belongs to it, and retire its id."""
    import_log.forget_notes(unit, key.id)
    search_rows.remove_session(unit, key.id)
    usage_rows.release(unit, key.id)
    change_rows.add_gone(unit, "session", key.session_id, key.profile, key.id)
    unit.execute(_delete, {"row_id": key.id})
    retired_ids.retire(unit, key.session_id, successor=None)


def remove_row(unit: UnitOfWork, row_id: int) -> None:
    """Remove a row that is no session, with what belongs to it."""
    search_rows.remove_session(unit, row_id)
    change_rows.add_staged(unit)
    unit.execute(_delete, {"row_id": row_id})


def write_row(unit: UnitOfWork, row_id: int, values: Mapping[str, Any]) -> bool:
    """Write columns of a row that is no session, or not yet; return whether there is such a row.

    Raises:
        SessionExistsError: they give it the id of another session.
    """
    written = _derived(dict(values))
    with _taking(unit, written.get("session_id", "")):
        is_there = unit.execute(_update(frozenset(written)), {"row_id": row_id, **written}) == 1
    if is_there and "title" in written:
        search_rows.put_title(unit, row_id, written["title"])
    return is_there


_move_children: Final = Statement(
    update(session_table).where(session_table.c.parent_id == bindparam("before")).values(parent_id=bindparam("after"))
)


def move_links(unit: UnitOfWork, before: int, after: int) -> None:
    """Make what refers to a row refer to the one that has its session now, which `find_row` finds by either."""
    unit.execute(_move_children, {"before": before, "after": after})
    retired_ids.move(unit, before, after)
    retired_ids.retire(unit, session_keys.former_row(before), successor=after)
    share_rows.move(unit, before, after)
    usage_rows.move(unit, before, after)
    import_log.move(unit, before, after)


def _as_next_revision(**values: Any) -> dict[str, Any]:
    revision = session_table.c.revision + 1
    return {"revision": revision, "fields_revision": revision, "change_number": next_change(), **values}


_release_children: Final = Statement(
    update(session_table)
    .where(session_table.c.parent_id == bindparam("parent"))
    .values(_as_next_revision(parent_id=None, parent_kind=None))
)


def release_children(unit: UnitOfWork, key: SessionKey) -> None:
    """Unlink the sessions that were forked from one which moves to another profile.

    They count as imported as before: an import that finds the link's other end links them again.
    """
    import_log.carry_forward_children(unit, key.id)
    unit.execute(_release_children, {"parent": key.id})


_release_rows: Final = Statement(
    update(session_table)
    .where(one_of(session_table.c.id, bindparam("rows", type_=RowIdList)))
    .values(_as_next_revision(project_id=None))
)


def release_rows(unit: UnitOfWork, rows: Collection[int]) -> int:
    """Take sessions, by row id, out of their project, and return how many."""
    return unit.execute(_release_rows, {"rows": list(rows)}) if rows else 0


_mark_deleted: Final = Statement(
    update(session_table)
    .where(one_of(session_table.c.id, bindparam("rows", type_=RowIdList)))
    .values(_as_next_revision(deleted_at=bindparam("now")))
    .returning(session_table.c.session_id)
)


def mark_deleted(unit: UnitOfWork, rows: Collection[int]) -> list[str]:
    """Delete sessions, by row id, and return their public ids."""
    return unit.values(_mark_deleted, {"rows": list(rows), "now": time.time()}) if rows else []


_parent: Final = session_table.alias("parent")
_unlinks: Final = tuple(
    Statement(
        update(session_table)
        .where(link.is_not(None), ~exists().where(there == link))
        .values(_as_next_revision(**{link.key: None}))
    )
    for link, there in ((session_table.c.project_id, project_table.c.id), (session_table.c.parent_id, _parent.c.id))
)


def unlink_missing(unit: UnitOfWork) -> int:
    """Unlink the sessions whose project or parent is not there, and return how many links that were."""
    return sum(unit.execute(statement) for statement in _unlinks)
