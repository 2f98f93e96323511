"""Checks of the numbers of changes and of the ids that are gone: whether `changes` tells of every change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import and_, bindparam, exists, literal_column, or_, select, type_coerce
from sqlalchemy.types import NullType

from . import change_rows
from .row_types import RowTypes
from .schema import STAGED_PREFIX, change_state_table, gone_id_table, project_table, session_table
from .statement import Statement
from .unit_of_work import UnitOfWork

_ROWS: Final = 1_000
#: A larger number is damage: nobody writes this many changes, and a number after it might not fit into 64 bits.
_LARGEST: Final = 2**62
#: Smaller than any row id.
_BEFORE_ALL: Final = -(2**62)
#: By the name of a table with numbers: the table, and its public id.
NUMBERED: Final[dict[str, tuple[Any, Any]]] = {
    "sessions": (session_table, session_table.c.session_id),
    "projects": (project_table, project_table.c.project_id),
}
#: What is wrong: the number of a change; an id that is recorded as gone, but exists; a row without a meaning.
Fault = Literal["number", "found", "nothing"]


class ChangeFinding(NamedTuple):
    """A row because of which `changes` would tell something wrong, or nothing."""

    fault: Fault
    table: str
    row_id: int
    problem: str
    session_id: str | None = None
    project_id: str | None = None


def _page(table: Any, *columns: Any) -> Statement:
    query = select(table.c.id, *columns).where(table.c.id > bindparam("after"))
    return Statement(query.order_by(table.c.id).limit(_ROWS), checked=False)


def _raw(table: Any, *names: str) -> list[Any]:
    return [type_coerce(table.c[name], NullType()) for name in names]


_numbers: Final = {
    name: _page(table, *_raw(table, public_id.key, "change_number")) for name, (table, public_id) in NUMBERED.items()
}
_GONE: Final = ("kind", "profile", "public_id", "row_id", "gone_at", "change_number")
_is_found: Final = or_(
    *(
        and_(
            gone_id_table.c.kind == literal_column(f"'{name[:-1]}'"),
            exists().where(public_id == gone_id_table.c.public_id, table.c.profile == gone_id_table.c.profile),
        )
        for name, (table, public_id) in NUMBERED.items()
    )
)
_gone: Final = _page(gone_id_table, *_raw(gone_id_table, *_GONE), _is_found.label("is_found"))
_gone_types: Final = RowTypes([gone_id_table.c[name] for name in _GONE[:-1]])
_STATE: Final = ("id", "cursor_key", "place", "base")
_state: Final = Statement(select(*_raw(change_state_table, *_STATE)), checked=False)
_state_types: Final = RowTypes([change_state_table.c[name] for name in _STATE])


def findings(unit: UnitOfWork) -> Iterator[list[ChangeFinding]]:
    """Yield what is wrong in each part of the tables."""
    of_state = _of_state(unit)
    yield of_state
    for table, statement in _numbers.items():
        after = _BEFORE_ALL
        while rows := unit.rows(statement, {"after": after}):
            most = _largest(unit, of_state)
            yield [
                _of_number(table, row_id, public_id, number)
                for row_id, public_id, number in rows
                if not _is_number(number, most)
            ]
            after = rows[-1][0]
    after = _BEFORE_ALL
    while rows := unit.rows(_gone, {"after": after}):
        most = _largest(unit, of_state)
        yield [finding for row in rows for finding in _of_gone(row, most)]
        after = rows[-1][0]


def _largest(unit: UnitOfWork, of_state: list[ChangeFinding]) -> int:
    """Return the largest number that a row can have that was read before: on a server, this depends on the state."""
    return _LARGEST if of_state else min(unit.dialect.largest_change(unit), _LARGEST)


def _of_state(unit: UnitOfWork) -> list[ChangeFinding]:
    rows = unit.rows(_state)
    if len(rows) == 1 and not _state_types.damaged(rows[0]):
        number, key, _, base = rows[0]
        if number == 1 and len(key) == change_rows.KEY_SIZE and base >= 0:
            return []
    return [ChangeFinding("nothing", "change_state", 0, "what cursors of changes depend on is damaged")]


def _of_number(table: str, row_id: int, public_id: Any, number: Any) -> ChangeFinding:
    names = _names(table, public_id)
    if not names:
        change = f"the last change of row {row_id} of table {table}"
    elif "project_id" in names:
        change = f"the last change of project {public_id!r}"
    else:
        change = "its last change"
    return ChangeFinding("number", table, row_id, f"the number of {change} is {number!r:.80}", **names)


def _is_number(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _names(table: str, public_id: Any) -> dict[str, str]:
    if type(public_id) is not str or public_id.startswith(STAGED_PREFIX):
        return {}
    return {"session_id" if table == "sessions" else "project_id": public_id}


def _of_gone(row: Any, most: int) -> Iterator[ChangeFinding]:
    row_id, kind, _, public_id, *_, number, is_found = row
    is_id = kind in change_rows.KINDS
    if _gone_types.damaged(row[1:-2]) or not (is_id or kind in change_rows.NO_IDS) or is_id == (public_id == ""):
        yield ChangeFinding("nothing", "gone_ids", row_id, f"row {row_id} of the ids that are gone is damaged")
        return
    names = _names(f"{kind}s", public_id) if is_id else {}
    if is_found:
        problem = f"the id of {kind} {public_id!r} is gone, and found all the same"
        yield ChangeFinding("found", "gone_ids", row_id, problem, **names)
    elif not _is_number(number, most):
        problem = f"the number with which the id of {kind} {public_id!r} was gone is {number!r:.80}"
        yield ChangeFinding("number", "gone_ids", row_id, problem, **names)
