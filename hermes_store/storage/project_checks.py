"""Checks of the rows of projects: whether their values are of the right types."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import bindparam, select, type_coerce
from sqlalchemy.types import NullType

from ..transcripts import json_codec
from ..validation import is_id
from .row_types import RowTypes
from .schema import project_table
from .statement import Statement
from .unit_of_work import UnitOfWork

_ROWS: Final = 1_000
#: What `change_checks` looks at is left out.
_COLUMNS: Final = [
    column for column in project_table.columns if column.key not in {"id", "project_id", "change_number"}
]
_rows: Final = Statement(
    select(
        project_table.c.id,
        type_coerce(project_table.c.project_id, NullType()).label("stored_id"),
        *(type_coerce(column, NullType()) for column in _COLUMNS),
    )
    .where(project_table.c.id > bindparam("after"))
    .order_by(project_table.c.id)
    .limit(_ROWS),
    checked=False,
)
_types: Final = RowTypes(_COLUMNS)
_EXTRA: Final = [column.key for column in _COLUMNS].index("extra")


class ProjectFinding(NamedTuple):
    """A project whose row is damaged."""

    project_id: str | None
    problem: str


def projects_after(unit: UnitOfWork, after: int) -> tuple[int | None, list[ProjectFinding]]:
    """Check the next projects after a row id; return the row id of the last (None without any), and what is wrong."""
    rows = unit.rows(_rows, {"after": after})
    found = []
    for row_id, project_id, *values in rows:
        if not is_id(project_id):
            found.append(ProjectFinding(None, f"the id of the project in row {row_id} is {project_id!r:.80}"))
            continue
        found += [
            ProjectFinding(project_id, f"the {name} of project {project_id!r} is {value!r:.80}")
            for name, value in _damaged(values)
        ]
    return (rows[-1][0] if rows else None), found


def _damaged(values: list[Any]) -> list[tuple[str, Any]]:
    damaged = _types.damaged(tuple(values))
    extra = values[_EXTRA]
    if isinstance(extra, bytes) and not _is_object(extra):
        damaged.append(("extra", extra))
    return damaged


def _is_object(stored: bytes) -> bool:
    try:
        return isinstance(json_codec.decode(stored), dict)
    except ValueError:
        return False
