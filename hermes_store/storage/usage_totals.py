"""Sums of what was used, in groups."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Float, String, and_, bindparam, column, func, literal_column, select

from .. import periods
from ..records import UsageTotal
from .schema import project_table, session_table, usage_table
from .statement import Statement, period_rows
from .types import FloatList
from .unit_of_work import UnitOfWork
from .usage_rows import Amounts, value_of

_period: Final = period_rows(bindparam("times", type_=FloatList)).table_valued(
    column("start_at", Float), column("end_at", Float), name="periods"
)
#: By group: the column, and the table that it is of.
_COLUMNS: Final[dict[str, Any]] = {
    "model": usage_table.c.model,
    "provider": usage_table.c.provider,
    "profile": usage_table.c.profile,
    "project": project_table.c.project_id,
    "session": session_table.c.session_id,
    "source": session_table.c.source,
}
_counted: Final = usage_table.c.kind != literal_column("'copy'", String)
#: Those that a session's row has, so that it is looked up once for all that the session used.
_OF_SESSIONS: Final = frozenset({"project", "session", "source"})
_SUMMED: Final = (*Amounts._fields, "records")


def _range(of_profile: bool) -> list[Any]:
    conditions = [usage_table.c.at >= bindparam("since"), usage_table.c.at < bindparam("until")]
    return [*conditions, usage_table.c.profile == bindparam("profile")] if of_profile else conditions


@functools.cache
def _end(of_profile: bool, last: bool) -> Statement:
    order = (usage_table.c.profile, usage_table.c.at) if of_profile else (usage_table.c.at,)
    query = select(usage_table.c.at).where(*_range(of_profile))
    return Statement(query.order_by(*(one.desc() if last else one for one in order)).limit(1))


@functools.cache
def _totals(columns: tuple[str, ...], in_periods: bool, of_profile: bool) -> Statement:
    by_session = not _OF_SESSIONS.isdisjoint(columns)
    groups = [_COLUMNS[name].label(name) for name in columns if name not in _OF_SESSIONS]
    if by_session:
        groups.append(usage_table.c.session_id.label("session_row"))
    if in_periods:
        groups.insert(0, _period.c.start_at.label("start_at"))
    sums = [func.sum(usage_table.c[name]).label(name) for name in Amounts._fields]
    query = select(*groups, *sums, func.count(usage_table.c.id).label("records"))
    if in_periods:
        # An outer join, as an inner one might read all rows first, and compare each with all periods. `since` and
        # `until` are among the times of the periods.
        conditions = [usage_table.c.at >= _period.c.start_at, usage_table.c.at < _period.c.end_at, _counted]
        if of_profile:
            conditions.append(usage_table.c.profile == bindparam("profile"))
        query = query.select_from(_period).outerjoin(usage_table, and_(*conditions))
    else:
        query = query.select_from(usage_table).where(*_range(of_profile), _counted)
    query = query.group_by(*groups) if groups else query
    return Statement(_of_sessions(query.subquery("used"), columns, in_periods) if by_session else query)


def _of_sessions(used: Any, columns: tuple[str, ...], in_periods: bool) -> Any:
    """Return the sums of what sessions used, with what their rows say."""
    groups = [(_COLUMNS[name] if name in _OF_SESSIONS else used.c[name]).label(name) for name in columns]
    if in_periods:
        groups.insert(0, used.c.start_at.label("start_at"))
    query = select(*groups, *(func.sum(used.c[name]).label(name) for name in _SUMMED))
    query = query.select_from(used).outerjoin(session_table, session_table.c.id == used.c.session_row)
    if "project" in columns:
        query = query.outerjoin(project_table, project_table.c.id == session_table.c.project_id)
    return query.group_by(*groups)


def totals(  # noqa: PLR0917 - what `Usage.totals` takes
    unit: UnitOfWork, groups: Sequence[str], since: float, until: float, zone: datetime.tzinfo, profile: str | None
) -> list[UsageTotal]:
    """Return the sums of some groups; as `Usage.totals`.

    Args:
        groups: as `by` of `Usage.totals`, each once.
        since, until: epoch seconds; `until` is not included.
        zone: where days begin.
        profile: only this profile's; all when None.
    """
    kinds = [name for name in groups if name in periods.KINDS]
    columns = tuple(name for name in groups if name not in periods.KINDS)
    parameters: dict[str, Any] = {"since": since, "until": until}
    if profile is not None:
        parameters["profile"] = profile
    if kinds:
        ends = [unit.value(_end(profile is not None, last), parameters) for last in (False, True)]
        if None in ends:
            return []
        times = periods.starts(kinds, zone, *ends)
        parameters["times"] = list(dict.fromkeys(max(since, min(until, one)) for one in times))
    rows = unit.rows(_totals(columns, bool(kinds), profile is not None), parameters)
    found = [_total(row, kinds, columns, zone) for row in rows if row[-1] or not groups]
    return sorted(
        found, key=lambda one: [(value is None, value or "") for value in (getattr(one, name) for name in groups)]
    )


def _total(row: Sequence[Any], kinds: Sequence[str], columns: Sequence[str], zone: datetime.tzinfo) -> UsageTotal:
    values: dict[str, Any] = dict.fromkeys(UsageTotal.model_fields)
    if kinds:
        start_at, *row = row
        day = periods.day_of(start_at, zone)
        values |= {kind: periods.label(kind, day) for kind in kinds}
    values |= dict(zip((*columns, *_SUMMED), row, strict=True))
    values |= {name: int(values[name] or 0) for name in Amounts._fields[:-1]}
    values["records"] = int(values["records"])
    values["cost"] = None if values["cost"] is None else value_of(int(values["cost"]))
    return UsageTotal.from_trusted(values)
