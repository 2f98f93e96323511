"""Repairs of the numbers of changes: damaged rows get the next numbers, so that readers of `changes` see them again."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import bindparam, delete, exists, insert, literal_column, select, update

from . import change_checks, change_rows
from .change_checks import NUMBERED, ChangeFinding
from .schema import change_state_table, gone_id_table, project_table, session_table
from .statement import Statement, next_change
from .unit_of_work import UnitOfWork

_tables: Final[dict[str, Any]] = {"sessions": session_table, "projects": project_table, "gone_ids": gone_id_table}
_reset: Final = {
    name: Statement(update(table).where(table.c.id == bindparam("row")).values(change_number=literal_column("0")))
    for name, table in _tables.items()
}
_renew: Final = {
    name: Statement(update(table).where(table.c.id == bindparam("row")).values(change_number=next_change()))
    for name, table in _tables.items()
}
_renew_found: Final = [
    Statement(
        update(table)
        .where(
            public_id
            == select(gone_id_table.c.public_id).where(gone_id_table.c.id == bindparam("row")).scalar_subquery(),
            table.c.profile
            == select(gone_id_table.c.profile).where(gone_id_table.c.id == bindparam("row")).scalar_subquery(),
            exists().where(
                gone_id_table.c.id == bindparam("row"), gone_id_table.c.kind == literal_column(f"'{name[:-1]}'")
            ),
        )
        .values(change_number=next_change())
    )
    for name, (table, public_id) in NUMBERED.items()
]
_remove: Final = Statement(delete(gone_id_table).where(gone_id_table.c.id == bindparam("row")))
_remove_state: Final = Statement(delete(change_state_table))
_add_state: Final = Statement(
    insert(change_state_table).values(id=literal_column("1"), cursor_key=bindparam("new_key"))
)


def repair(unit: UnitOfWork) -> list[ChangeFinding]:
    """Put right what `change_checks` finds, so that `changes` tells of every change; return what was wrong.

    Where a row does not say what changed, all cursors become invalid: their holders read everything again.
    """
    wrong = [finding for part in change_checks.findings(unit) for finding in part]
    numbers = [finding for finding in wrong if finding.fault == "number"]
    for statements in (_reset, _renew):  # first all, since the next number comes after the largest one
        for finding in numbers:
            unit.execute(statements[finding.table], {"row": finding.row_id})
    for finding in wrong:
        if finding.fault == "found":
            for statement in _renew_found:
                unit.execute(statement, {"row": finding.row_id})
        if finding.table == "gone_ids" and finding.fault != "number":
            unit.execute(_remove, {"row": finding.row_id})
        elif finding.table == "change_state":
            unit.execute(_remove_state)
            unit.execute(_add_state, {"new_key": b""})
    if any(finding.fault == "nothing" for finding in wrong):
        change_rows.begin_anew(unit, unit.dialect.change_place(unit))
    return wrong
