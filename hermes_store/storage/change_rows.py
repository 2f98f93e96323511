"""The numbers of changes, and the ids under which nothing is found any more.

Each write to the row of a session or a project gives it a number, and so does what removes one. A reader that has seen
all changes up to a number can continue after it: no change is committed later with a smaller number. On
SQLite, where writers take turns, numbers are counted. On PostgreSQL they are the numbers of transactions, of which
readers see those before the first one that is still under way. Changes of one transaction may have the same number.
"""

from __future__ import annotations

import secrets
import time
from typing import Final, Literal, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, literal_column, select, update

from .engine import Database
from .schema import change_state_table, gone_id_table, project_table, session_table
from .statement import Statement, next_change, one_of
from .types import RowIdList
from .unit_of_work import UnitOfWork

Kind = Literal["session", "project"]
KINDS: Final = frozenset({"session", "project"})
#: Seconds for which changes tell of an id that is gone.
KEPT_SECONDS: Final = 30 * 24 * 3600.0
#: How many that are older are removed at once.
_REMOVED_AT_ONCE: Final = 100
_REMOVED: Final = "removed"
_STAGED: Final = "staged"
#: The kinds of rows that are no ids.
NO_IDS: Final = frozenset({_REMOVED, _STAGED})
#: Bytes of the key of cursors.
KEY_SIZE: Final = 16

#: Rows that are no ids have an empty one.
IS_ID: Final = gone_id_table.c.public_id != literal_column("''")
#: When these were gone, so that they are never the oldest.
_NEVER: Final = 1e300
_same: Final = (
    gone_id_table.c.kind == bindparam("of_kind"),
    gone_id_table.c.profile == bindparam("of_profile"),
    gone_id_table.c.public_id == bindparam("of_id"),
)
_insert: Final = Statement(
    insert(gone_id_table).values(
        kind=bindparam("kind"),
        profile=bindparam("profile"),
        public_id=bindparam("public_id"),
        row_id=bindparam("row_id"),
        change_number=next_change(),
        gone_at=bindparam("gone_at"),
    )
)
_update: Final = Statement(
    update(gone_id_table)
    .where(*_same)
    .values(row_id=bindparam("row_id"), change_number=next_change(), gone_at=bindparam("gone_at"))
)
_forget: Final = Statement(delete(gone_id_table).where(*_same))


def add_gone(unit: UnitOfWork, kind: Kind, public_id: str, profile: str, row_id: int) -> None:
    """Note that a session or a project is not found any more under an id in a profile; before its row is removed.

    (Its number may be the largest there is, and numbers must not be given twice.)
    """
    now = time.time()
    _add(unit, kind, public_id, profile, row_id, now)
    _remove_old(unit, now - KEPT_SECONDS)


def add_staged(unit: UnitOfWork) -> None:
    """Note that a staged row is removed, before it is; as `add_gone`. One row is enough for all."""
    _add(unit, _STAGED, "", "", 0, _NEVER)


def _add(  # noqa: PLR0917 - the columns, in their order
    unit: UnitOfWork, kind: str, public_id: str, profile: str, row_id: int, gone_at: float
) -> None:
    same = {"of_kind": kind, "of_profile": profile, "of_id": public_id}
    if not unit.execute(_update, {**same, "row_id": row_id, "gone_at": gone_at}):
        values = {"kind": kind, "profile": profile, "public_id": public_id}
        unit.execute(_insert, {**values, "row_id": row_id, "gone_at": gone_at})


def forget_gone(unit: UnitOfWork, kind: Kind, public_id: str, profile: str) -> None:
    """Note that a session or a project is found again under an id in a profile; after its row was written."""
    unit.execute(_forget, {"of_kind": kind, "of_profile": profile, "of_id": public_id})


_old: Final = Statement(
    select(gone_id_table.c.id, gone_id_table.c.profile, gone_id_table.c.change_number)
    .where(gone_id_table.c.gone_at < bindparam("until"))
    .order_by(gone_id_table.c.gone_at)
    .limit(_REMOVED_AT_ONCE)
)
_insert_removed: Final = Statement(
    insert(gone_id_table).values(
        kind=_REMOVED,
        profile=bindparam("profile"),
        public_id="",
        row_id=0,
        change_number=bindparam("number"),
        gone_at=_NEVER,
    )
)
_raise_removed: Final = Statement(update(gone_id_table).where(*_same).values(change_number=bindparam("number")))
_remove: Final = Statement(delete(gone_id_table).where(one_of(gone_id_table.c.id, bindparam("rows", type_=RowIdList))))


def _remove_old(unit: UnitOfWork, until: float) -> None:
    old = unit.rows(_old, {"until": until})
    if not old:
        return
    # First, so that the largest number stays; see `add_gone`.
    for profile in {row[1] for row in old}:
        number = max(row[2] for row in old if row[1] == profile)
        known = last_removed(unit, profile)
        if known is None:
            unit.execute(_insert_removed, {"profile": profile, "number": number})
        elif known < number:
            same = {"of_kind": _REMOVED, "of_profile": profile, "of_id": ""}
            unit.execute(_raise_removed, {**same, "number": number})
    unit.execute(_remove, {"rows": [row[0] for row in old]})


_last_removed: Final = select(func.max(gone_id_table.c.change_number)).where(gone_id_table.c.kind == _REMOVED)
_of_all: Final = Statement(_last_removed)
_of_profile: Final = Statement(_last_removed.where(gone_id_table.c.profile == bindparam("of_profile")))


def last_removed(unit: UnitOfWork, profile: str | None) -> int | None:
    """Return the number of the last change of a profile (of all when None) that nothing tells of any more."""
    if profile is None:
        last: int | None = unit.value(_of_all)
    else:
        last = unit.value(_of_profile, {"of_profile": profile})
    return last


_gone_rows: Final = Statement(
    select(gone_id_table.c.row_id).where(
        gone_id_table.c.change_number > bindparam("number"), gone_id_table.c.kind == literal_column("'session'")
    )
)


def gone_rows(unit: UnitOfWork, number: int) -> list[int]:
    """Return the row ids of sessions that were purged, moved or got another id after the change of a number."""
    return unit.values(_gone_rows, {"number": number})


class State(NamedTuple):
    """What cursors of changes depend on; see `change_state_table`."""

    cursor_key: bytes
    place: str


_state: Final = Statement(
    select(change_state_table.c.cursor_key, change_state_table.c.place).where(change_state_table.c.id == 1)
)


def state(unit: UnitOfWork) -> State:
    """Return what cursors depend on."""
    row = unit.row(_state)
    return State(b"", "") if row is None else State._make(row)


_newest: Final = tuple(
    Statement(select(func.max(column)))
    for column in (session_table.c.change_number, project_table.c.change_number, gone_id_table.c.change_number)
)
_begin_anew: Final = Statement(
    update(change_state_table)
    .where(change_state_table.c.id == 1)
    .values(cursor_key=bindparam("new_key"), place=bindparam("new_place"), base=bindparam("new_base"))
)


def begin_anew(unit: UnitOfWork, place: str) -> None:
    """Refuse the cursors that there are: this is another copy of the database than the one that they are of."""
    newest = max(unit.value(statement) or 0 for statement in _newest)
    unit.execute(_begin_anew, {"new_key": secrets.token_bytes(KEY_SIZE), "new_place": place, "new_base": newest})


def prepare(database: Database) -> None:
    """After a database was opened: note whether it is another copy than the one that was written to last."""
    if not database.dialect.has_places or database.settings.read_only:
        return
    with database.read() as unit:
        place = unit.dialect.change_place(unit)
        if state(unit).place == place:
            return
    with database.write() as unit:
        if state(unit).place != place:
            begin_anew(unit, place)
