"""The rows of usage: what sessions used, when, and of which model.

The rows of a session add up to its totals, `input_tokens`, `output_tokens` and `estimated_cost`. Whatever writes these
columns without saying what was used writes the difference as a row of kind "total".
"""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import Double, bindparam, cast, delete, exists, func, insert, select, update

from ..pagination import check_limit, no_cursor, read_cursor, write_cursor
from ..records import DEFAULT_PROFILE, Page, UsageKind, UsageRecord
from ..transcripts.encoding import LATEST
from ..validation import MAX_INT
from .schema import session_table, usage_table
from .statement import Statement
from .types import escaped
from .unit_of_work import UnitOfWork

_CURSOR: Final = "usage"
#: The most that one row counts, in tokens and in billionths of a cost: sums of thousands of rows fit an integer.
MOST: Final = 10**15
#: Parts of a cost of 1.
COST_UNIT: Final = 10**9
#: The columns of a session that usage adds up to.
TOTALS: Final = ("input_tokens", "output_tokens", "estimated_cost")


class Amounts(NamedTuple):
    """What was used: tokens, and the cost in billionths (None if it is not known)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int | None = None

    def __add__(self, other: Amounts) -> Amounts:  # type: ignore[override]  # a tuple's is of no use here
        return self._combined(other, 1)

    def __sub__(self, other: Amounts) -> Amounts:
        return self._combined(other, -1)

    def __bool__(self) -> bool:
        return any(self)

    def _combined(self, other: Amounts, sign: int) -> Amounts:
        tokens = (one + sign * another for one, another in zip(self[:-1], other[:-1], strict=True))
        costs = [cost for cost in (self.cost, other.cost and sign * other.cost) if cost is not None]
        return Amounts(*tokens)._replace(cost=sum(costs) if costs else None)


class Use(NamedTuple):
    """What was used of one model."""

    kind: UsageKind
    model: str | None
    provider: str | None
    #: Epoch seconds.
    at: float
    amounts: Amounts


def has_total(columns: Collection[str]) -> bool:
    """Whether one of `TOTALS` is among the names of columns."""
    return any(name in columns for name in TOTALS)


def used_at(columns: Mapping[str, Any]) -> float:
    """Return when a session used what columns of it that are written add up to: its last activity, else now."""
    known = (columns.get("last_activity_at"), columns.get("updated_at"))
    return next((value for value in known if value is not None), time.time())


def cost_of(value: float | None) -> int | None:
    """Return a cost in billionths, as rows have it."""
    return None if value is None else _limited(round(max(-MOST, min(MOST, value * COST_UNIT))))


def value_of(cost: int | None) -> float | None:
    """Return a cost that is in billionths."""
    return None if cost is None else cost / COST_UNIT


def _limited(value: int) -> int:
    return max(-MOST, min(MOST, value))


_NAMES: Final = ("session_id", "profile", "model", "provider", "kind", "at", *Amounts._fields)
_insert: Final = Statement(insert(usage_table).values({name: bindparam(name) for name in _NAMES}))


def add(unit: UnitOfWork, session: int, profile: str, use: Use) -> None:
    """Insert a row of what a session used.

    Args:
        session: its row id.
        profile: its profile.
    """
    at = use.at if 0 <= use.at <= LATEST else 0.0  # a wrong one: days are counted from 1970 to 2100
    values = {"session_id": session, "profile": profile, **use._asdict(), "at": at}
    unit.execute(_insert, {**values, **values.pop("amounts")._asdict()})


class Totals(NamedTuple):
    """What a session's row says about what it used."""

    profile: str
    model: str | None
    input_tokens: int
    output_tokens: int
    estimated_cost: float | None

    @property
    def amounts(self) -> Amounts:
        """The totals, as far as rows count them."""
        return Amounts(_limited(self.input_tokens), _limited(self.output_tokens), cost=cost_of(self.estimated_cost))

    @property
    def columns(self) -> dict[str, Any]:
        """The totals, by the names of the table's columns."""
        return {name: getattr(self, name) for name in TOTALS}

    def written(self, columns: Mapping[str, Any]) -> Self:
        """Return the totals once some columns are written, which are given by name."""
        return self._replace(**{name: columns[name] for name in self._fields if name in columns})

    def plus(self, used: Amounts) -> Self:
        """Return the totals with what was used since."""
        cost = self.estimated_cost
        if used.cost is not None:
            cost = value_of((cost_of(cost) or 0) + used.cost)
        tokens = (self.input_tokens + used.input_tokens, self.output_tokens + used.output_tokens)
        return self._replace(
            input_tokens=min(tokens[0], MAX_INT), output_tokens=min(tokens[1], MAX_INT), estimated_cost=cost
        )


#: The totals of a session that is new.
NOTHING: Final = Totals(DEFAULT_PROFILE, None, 0, 0, None)
_totals: Final = Statement(
    select(*(session_table.c[name] for name in Totals._fields)).where(session_table.c.id == bindparam("session"))
)


def totals_of(unit: UnitOfWork, session: int) -> Totals:
    """Return the totals of a session, which is given by row id."""
    rows = unit.rows(_totals, {"session": session})
    return Totals._make(rows[0]) if rows else NOTHING


def add_difference(
    unit: UnitOfWork, session: int, before: Totals, written: Mapping[str, Any], uses: Sequence[Use]
) -> None:
    """Insert what a session's new totals are more, or less, than those before.

    Args:
        session: its row id.
        before: the totals before.
        written: the columns that are written.
        uses: what is known of the difference. The rest is one more row, of the session's model.
    """
    now = before.written(written)
    rest = now.amounts - before.amounts
    for use in uses:
        add(unit, session, now.profile, use)
        rest -= use.amounts
    rest = rest._replace(cache_read_tokens=0, cache_write_tokens=0, reasoning_tokens=0)  # of these it has no totals
    if rest:
        add(unit, session, now.profile, Use("total", now.model, None, used_at(written), rest))


def add_copy(unit: UnitOfWork, session: int, source: int, at: float) -> None:
    """Insert the totals that a copy of a session has from it. They were used once, and are not counted again.

    Args:
        session, source: the row ids of the copy, and of the session.
    """
    totals = totals_of(unit, session)
    known = sum(by_model(unit, source).values(), Amounts())
    cached = {"cache_read_tokens": known.cache_read_tokens, "cache_write_tokens": known.cache_write_tokens}
    amounts = totals.amounts._replace(**cached)
    if amounts:
        add(unit, session, totals.profile, Use("copy", totals.model, None, at, amounts))


_uncount: Final = Statement(
    update(usage_table)
    .where(usage_table.c.session_id == bindparam("session"), usage_table.c.kind == "total")
    .values(kind=bindparam("new_kind", type_=usage_table.c.kind.type))
)


def uncount(unit: UnitOfWork, session: int) -> None:
    """Mark the totals of a session, which is given by row id, as copies: another session counts them."""
    unit.execute(_uncount, {"session": session, "new_kind": "copy"})


_set_profile: Final = Statement(
    update(usage_table).where(usage_table.c.session_id == bindparam("session")).values(profile=bindparam("new_profile"))
)


def set_profile(unit: UnitOfWork, session: int, profile: str) -> None:
    """Move the usage of a session, which is given by row id, to another profile."""
    unit.execute(_set_profile, {"session": session, "new_profile": profile})


_move: Final = Statement(
    update(usage_table).where(usage_table.c.session_id == bindparam("before")).values(session_id=bindparam("after_row"))
)


def move(unit: UnitOfWork, before: int, after: int) -> None:
    """Move the usage of a session to the row that it moved to; both are row ids."""
    unit.execute(_move, {"before": before, "after_row": after})


_delete_copies: Final = Statement(
    delete(usage_table).where(usage_table.c.session_id == bindparam("session"), usage_table.c.kind == "copy")
)


def release(unit: UnitOfWork, session: int) -> None:
    """Prepare for the purge of a session: the database keeps what was used, without the session."""
    unit.execute(_delete_copies, {"session": session})


_by_model: Final = Statement(
    select(usage_table.c.model, usage_table.c.provider, *(usage_table.c[name] for name in Amounts._fields)).where(
        usage_table.c.session_id == bindparam("session")
    )
)


def by_model(unit: UnitOfWork, session: int) -> dict[tuple[str | None, str | None], Amounts]:
    """Return what a session, which is given by row id, used so far, by model and provider."""
    found: defaultdict[tuple[str | None, str | None], Amounts] = defaultdict(Amounts)
    for model, provider, *amounts in unit.rows(_by_model, {"session": session}):
        found[model, provider] += Amounts._make(amounts)
    return found


_unlink_missing: Final = Statement(
    update(usage_table)
    .where(usage_table.c.session_id.is_not(None), ~exists().where(session_table.c.id == usage_table.c.session_id))
    .values(session_id=None)
)


def unlink_missing(unit: UnitOfWork) -> int:
    """Unlink usage that refers to missing sessions; return how many rows."""
    return unit.execute(_unlink_missing)


_sums: Final = Statement(
    select(
        *(func.sum(cast(usage_table.c[name], Double)) for name in ("input_tokens", "output_tokens", "cost")),
        func.min(usage_table.c.profile),
        func.max(usage_table.c.profile),
    ).where(usage_table.c.session_id == bindparam("session")),
    checked=False,
)
#: Billionths by which a sum of costs may differ: databases round a number that is between two in their own ways.
_ROUNDED: Final = 1_000


def _sum(unit: UnitOfWork, session: int) -> tuple[Amounts, Any, Any]:
    """Return what the usage of a session adds up to, as far as rows count, and its first and last profile."""
    *sums, first, last = unit.rows(_sums, {"session": session})[0]
    tokens, more, cost = (None if one is None else round(max(-MOST, min(MOST, one))) for one in sums)
    return Amounts(tokens or 0, more or 0, cost=cost), first, last


def problem(unit: UnitOfWork, session: int) -> str:
    """Return how the usage and the totals of a session, which is given by row id, differ; nothing if they agree."""
    totals = totals_of(unit, session)
    found, first, last = _sum(unit, session)
    wanted = totals.amounts
    near = abs((found.cost or 0) - (wanted.cost or 0)) <= _ROUNDED
    if found[:2] != wanted[:2] or not near:
        shown = [(*one[:2], value_of(one.cost or 0)) for one in (found, wanted)]
        return f"its usage adds up to {shown[0]} (input, output, cost), and its totals are {shown[1]}"
    return "" if first == last and first in (None, escaped(totals.profile)) else "its usage is of another profile"


def settle(unit: UnitOfWork, session: int) -> None:
    """Make the usage of a session, which is given by row id, agree with its row."""
    totals = totals_of(unit, session)
    set_profile(unit, session, totals.profile)
    rest = totals.amounts - _sum(unit, session)[0]
    if rest:
        add(unit, session, totals.profile, Use("total", totals.model, None, time.time(), rest))


_fields: Final = ("at", "model", "provider", "kind", *Amounts._fields)


@functools.cache
def _page(is_first: bool) -> Statement:
    query = select(*(usage_table.c[name] for name in _fields)).where(usage_table.c.session_id == bindparam("session"))
    if not is_first:
        query = query.where(usage_table.c.at <= bindparam("last_at"))
    query = query.order_by(usage_table.c.at.desc(), usage_table.c.id.desc())
    return Statement(query.limit(bindparam("most")).offset(bindparam("skipped")))


def page(unit: UnitOfWork, session: int, session_id: str, limit: int, after: str | None) -> Page[UsageRecord]:
    """Return a page of what a session used, the newest first.

    Rows have no public ids, and row ids would tell how much others used (decision 0015). So a cursor has the time of
    the last row, and how many rows of that time were on the pages before.

    Args:
        session: its row id.
        session_id: its public id.
        limit, after: as in `Usage.list`.
    """
    limit = check_limit(limit)
    parameters: dict[str, Any] = {"session": session, "most": limit + 1, "skipped": 0}
    if after is not None:
        parameters["last_at"], parameters["skipped"] = read_cursor(_CURSOR, after, float, int)
        if parameters["skipped"] < 0:
            raise no_cursor(_CURSOR, after)
    rows = unit.rows(_page(after is None), parameters)
    records = [_record(session_id, row) for row in rows[:limit]]
    if len(rows) <= limit:
        return Page(items=records, next=None)
    last = records[-1].at
    skipped = sum(one.at == last for one in records)
    if skipped == len(records) and last == parameters.get("last_at"):
        skipped += parameters["skipped"]
    return Page(items=records, next=write_cursor(_CURSOR, last, skipped))


def _record(session_id: str, row: Sequence[Any]) -> UsageRecord:
    values = dict(zip(_fields, row, strict=True))
    return UsageRecord.from_trusted({"session_id": session_id, **values, "cost": value_of(values["cost"])})
