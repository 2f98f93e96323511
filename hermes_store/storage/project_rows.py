"""The rows of projects."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    select,
    tuple_,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType

from ..errors import ProjectExistsError, ProjectNotFoundError
from ..pagination import no_cursor, read_cursor, read_row_cursor, write_cursor, write_row_cursor
from ..records import ProjectRecord
from ..validation import MAX_INT, check_id, is_id
from . import change_rows, session_rows
from .row_locks import RowLock, lockable, with_lock
from .schema import import_item_table, project_table, session_table
from .statement import RowStatement, Statement, next_change, one_of
from .types import RowIdList, TextList
from .unit_of_work import INTEGRITY_ERRORS, UnitOfWork

_NAMES: Final = tuple(name for name in ProjectRecord.model_fields if name != "session_count")
_COLUMNS: Final = tuple(project_table.c[name] for name in _NAMES)
_session_count: Final = (
    select(func.count())
    .where(session_table.c.project_id == project_table.c.id, session_table.c.deleted_at.is_(None))
    .correlate(project_table)
    .scalar_subquery()
)
_record: Final = select(*_COLUMNS, _session_count.label("session_count"), project_table.c.id)
_get: Final = Statement(_record.where(project_table.c.project_id == bindparam("project_id")))
_key: Final = select(project_table.c.id, project_table.c.profile, project_table.c.extra).where(
    project_table.c.project_id == bindparam("project_id")
)
_find: Final = lockable(_key)
_profile_of: Final = Statement(select(project_table.c.profile).where(project_table.c.id == bindparam("row_id")))
_of_profile: Final = project_table.c.profile == bindparam("profile")
_ORDER: Final = (project_table.c.profile, project_table.c.position, project_table.c.id)
#: The key of a row as it is stored, without conversions and checks: that of a damaged row, too.
_stored: Final = [type_coerce(column, NullType()).label(f"stored_{column.key}") for column in _ORDER[:2]]
_page: Final = _record.add_columns(*_stored).order_by(*_ORDER).limit(bindparam("page_limit"))
_last: Final = project_table.alias("last")
#: Below every other value: what NULL, which only a damaged row has, is in a comparison with other rows.
_lowest: Final[ColumnElement[Any]] = literal_column("-1.7976931348623157e308")
_after: Final = {
    "": (),
    "key": (tuple_(*_ORDER) > tuple_(*(bindparam(f"last_{one.key}", type_=one.type) for one in _ORDER)),),
    "row": (
        tuple_(*_ORDER)
        > tuple_(
            *(
                select(func.coalesce(_last.c[one.key], _lowest))
                .where(_last.c.id == bindparam("last_row"))
                .scalar_subquery()
                for one in _ORDER
            )
        ),
    ),
}
_pages: Final = {
    (of_profile, after): Statement(_page.where(*conditions, *([_of_profile] if of_profile else [])))
    for after, conditions in _after.items()
    for of_profile in (False, True)
}


def to_record(row: Sequence[Any]) -> ProjectRecord:
    """Return a row as the record that it is."""
    values = dict(zip(ProjectRecord.model_fields, row, strict=False))
    return ProjectRecord.from_trusted({**values, "extra": _extra(values["extra"])})


def _extra(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}  # a damaged row may have anything


def find(
    unit: UnitOfWork, project_id: str, profile: str | None, *, lock: RowLock | None = None
) -> tuple[int, str, Any]:
    """Return the row id, the profile and the extra values of a project.

    Args:
        profile: the profile that it has to be of; any when None.
        lock: what others cannot do to its row until the transaction ends.

    Raises:
        ProjectNotFoundError: there is none, or it belongs to another profile.
    """
    project_id = check_id(project_id, "project id")
    row = unit.row(_find[lock], {"project_id": project_id})
    if row is None or profile not in (None, row[1]):
        raise ProjectNotFoundError(project_id)
    return row[0], row[1], _extra(row[2])


def row_id_of(unit: UnitOfWork, project_id: str) -> int | None:
    """Return the row id of a project; None when there is none."""
    row_id: int | None = unit.value(_find[None], {"project_id": project_id})
    return row_id


def find_link_target(unit: UnitOfWork, project_id: str, profile: str) -> int | None:
    """Return the row id of a profile's project, to link sessions to it; None when there is none."""
    row = unit.row(_find[RowLock.LINK if unit.writes else None], {"project_id": project_id})
    return row[0] if row is not None and row[1] == profile else None


_by_rows: Final = Statement(_record.where(one_of(project_table.c.id, bindparam("rows", type_=RowIdList))))


def get_rows(unit: UnitOfWork, rows: Collection[int]) -> dict[int, ProjectRecord]:
    """Return projects by row id."""
    return {row[-1]: to_record(row) for row in unit.rows(_by_rows, {"rows": sorted(rows)})} if rows else {}


_find_many: Final = Statement(
    select(project_table.c.project_id, project_table.c.profile, project_table.c.id).where(
        one_of(project_table.c.project_id, bindparam("ids", type_=TextList))
    )
)


def find_link_targets(unit: UnitOfWork, project_ids: Collection[str]) -> dict[tuple[str, str], int]:
    """Return the row ids of those of some projects that there are, by public id and profile."""
    return {(row[0], row[1]): row[2] for row in unit.rows(_find_many, {"ids": list(project_ids)})}


def get(unit: UnitOfWork, project_id: str) -> ProjectRecord | None:
    """Return a project; None when there is none."""
    row = unit.row(_get, {"project_id": project_id})
    return None if row is None else to_record(row)


_of_file: Final = ("project_id", "name", "color", "created_at", "extra")
_values: Final = Statement(
    select(*(project_table.c[name] for name in _of_file)).where(project_table.c.project_id == bindparam("project_id"))
)


_lock_row: Final = Statement(
    with_lock(select(project_table.c.id).where(project_table.c.id == bindparam("row_id")), RowLock.LINK)
)


def is_linkable(unit: UnitOfWork, row_id: int) -> bool:
    """Whether there still is a project, given by row id, and stays to be linked to."""
    return unit.row(_lock_row, {"row_id": row_id}) is not None


def values(unit: UnitOfWork, project_id: str) -> dict[str, Any] | None:
    """Return those columns of a project that its JSON object has, by name; None when there is no project."""
    row = unit.row(_values, {"project_id": project_id})
    if row is None:
        return None
    found = dict(zip(_of_file, row, strict=True))
    return {**found, "extra": _extra(found["extra"])}


def page(
    unit: UnitOfWork, profile: str | None, limit: int, after: str | None
) -> tuple[list[ProjectRecord], str | None]:
    """Return at most `limit` projects in their order, and the cursor for those after them, if there are any.

    Args:
        profile: only this profile's; all when None.
        after: the cursor of the page before.

    Raises:
        InvalidCursorError: `after` is not a cursor of this list.
    """
    parameters: dict[str, Any] = {"page_limit": limit + 1}
    if profile is not None:
        parameters["profile"] = profile
    how = ""
    if after is not None:
        how = "row"
        parameters["last_row"] = row_id = read_row_cursor("projects", after)
        if row_id is not None:
            if profile is not None and unit.value(_profile_of, {"row_id": row_id}) != profile:
                raise no_cursor("projects", after)
        else:
            how = "key"
            of_profile, position, project_id = read_cursor("projects", after, str, int, str)
            if not is_id(project_id):
                raise no_cursor("projects", after)
            last = (of_profile, position, _row_before(unit, project_id, profile))
            parameters |= {f"last_{column.key}": value for column, value in zip(_ORDER, last, strict=True)}
    rows = unit.rows(_pages[profile is not None, how], parameters)
    more = _cursor(rows[limit - 1]) if len(rows) > limit else None
    return [*map(to_record, rows[:limit])], more


def _row_before(unit: UnitOfWork, project_id: str, profile: str | None) -> int:
    """Return the row id of the project that a page follows.

    A cursor has no row ids: see `session_listing`. If the project was deleted since, or is of another profile, those in
    the same place come again.
    """
    row = unit.row(_find[None], {"project_id": project_id})
    return row[0] if row is not None and profile in (None, row[1]) else -1


def _cursor(row: Sequence[Any]) -> str:
    row_id, profile, position = row[-3:]
    project = to_record(row)
    is_sound = isinstance(profile, str) and "\N{REPLACEMENT CHARACTER}" not in profile and isinstance(position, int)
    if is_sound and is_id(project.project_id):
        return write_cursor("projects", project.profile, position, project.project_id)
    return write_row_cursor("projects", row_id)


_in_order: Final = Statement(
    select(*_COLUMNS).order_by(project_table.c.position, project_table.c.profile, project_table.c.id)
)


def all_in_order(unit: UnitOfWork) -> list[dict[str, Any]]:
    """Return the columns of all projects by name, in the order of their positions."""
    rows = [dict(zip(_NAMES, row, strict=True)) for row in unit.rows(_in_order)]
    return [{**row, "extra": _extra(row["extra"])} for row in rows]


_ordered: Final = select(project_table.c.project_id, project_table.c.position).order_by(
    project_table.c.position, project_table.c.id
)
_positions: Final = Statement(_ordered)
_positions_of_profile: Final = Statement(_ordered.where(_of_profile))
_last_position: Final = Statement(select(func.max(project_table.c.position)).where(_of_profile))
_imported: Final = select(import_item_table.c.item).where(
    import_item_table.c.kind == bindparam("kind"), import_item_table.c.origin == bindparam("origin")
)
_last_position_of_others: Final = Statement(
    select(func.max(project_table.c.position)).where(project_table.c.project_id.not_in(_imported))
)


def positions(unit: UnitOfWork, profile: str | None = None) -> list[tuple[str, int]]:
    """Return the public ids and positions of a profile's projects (all when None) by position."""
    if profile is None:
        return [(row[0], row[1]) for row in unit.rows(_positions)]
    return [(row[0], row[1]) for row in unit.rows(_positions_of_profile, {"profile": profile})]


def next_position(unit: UnitOfWork, profile: str) -> int:
    """Return the position after a profile's last project."""
    last = unit.value(_last_position, {"profile": profile})
    return _after_last(last)


def next_position_for_import(unit: UnitOfWork, kind: str, origin: str) -> int:
    """Return the position after the last project that was not imported from an origin."""
    last = unit.value(_last_position_of_others, {"kind": kind, "origin": origin})
    return _after_last(last)


def _after_last(last: int | None) -> int:
    return 0 if last is None else min(last + 1, MAX_INT)  # only a damaged row has the largest of all


_insert: Final = Statement(
    insert(project_table).values(**{name: bindparam(name) for name in _NAMES}, change_number=next_change())
)


def add(unit: UnitOfWork, columns: Mapping[str, Any]) -> None:
    """Insert a project.

    Args:
        columns: by the names of the table's columns; colour and extra values may be left out.

    Raises:
        ProjectExistsError: another project has the id.
    """
    try:
        with unit.savepoint():
            unit.execute(_insert, {"color": None, "extra": None, **columns})
    except INTEGRITY_ERRORS as error:
        if unit.violates_unique(error, "projects", "project_id"):
            raise ProjectExistsError(columns["project_id"]) from error
        raise
    change_rows.forget_gone(unit, "project", columns["project_id"], columns["profile"])


def change(unit: UnitOfWork, project_id: str, values: Mapping[str, Any]) -> None:
    """Write columns of a project's row."""
    statement = update(project_table).where(project_table.c.project_id == bindparam("of_project"))
    changed = Statement(statement.values(**{name: bindparam(name) for name in values}, change_number=next_change()))
    unit.execute(changed, {"of_project": project_id, **values})


_move: Final = RowStatement(
    update(project_table)
    .where(project_table.c.project_id == bindparam("of_project"))
    .values(position=bindparam("position"), change_number=next_change()),
    ("position", "of_project"),
)


def set_positions(unit: UnitOfWork, positions: Mapping[str, int]) -> None:
    """Give projects other positions; `positions` are by public id."""
    unit.execute_many(_move, [(position, key) for key, position in positions.items()])


_place: Final = Statement(
    select(project_table.c.project_id, project_table.c.profile).where(project_table.c.id == bindparam("row_id"))
)
_delete: Final = Statement(delete(project_table).where(project_table.c.id == bindparam("row_id")))


def remove(unit: UnitOfWork, row_id: int) -> None:
    """Remove a project's row; sessions that are still in it are in no project then."""
    for project_id, profile in unit.rows(_place, {"row_id": row_id}):
        change_rows.add_gone(unit, "project", project_id, profile, row_id)
    unit.execute(_delete, {"row_id": row_id})


_member: Final = (
    select(session_table.c.id).where(session_table.c.project_id == bindparam("project")).limit(bindparam("some"))
)
_free_members: Final = Statement(_member.with_for_update(key_share=True, skip_locked=True))
_lock_members: Final = Statement(with_lock(_member, RowLock.CHANGE))
_members: Final = Statement(_member)


def release_members(unit: UnitOfWork, row_id: int, limit: int) -> int:
    """Take at most `limit` sessions out of a project, but those that others have locked, and return how many."""
    return session_rows.release_rows(unit, unit.values(_free_members, {"project": row_id, "some": limit}))


def has_members(unit: UnitOfWork, row_id: int) -> bool:
    """Whether a project has sessions."""
    return unit.row(_members, {"project": row_id, "some": 1}) is not None


def wait_for_member(unit: UnitOfWork, row_id: int) -> None:
    """Wait until a session of a project is not locked by others."""
    unit.rows(_lock_members, {"project": row_id, "some": 1})


_count: Final = Statement(select(func.count()).select_from(project_table))
_count_of_profile: Final = Statement(select(func.count()).select_from(project_table).where(_of_profile))


def count(unit: UnitOfWork, profile: str | None) -> int:
    """Return how many projects a profile has; all when None."""
    total: int = unit.value(_count) if profile is None else unit.value(_count_of_profile, {"profile": profile})
    return total
