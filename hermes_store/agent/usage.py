"""What the agent's sessions used, by model: its columns of sessions, and its table of models where there is one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..storage.usage_rows import MOST, Amounts, cost_of
from ..validation import TEXT_LIMIT
from .records import AgentSession
from .snapshot import Snapshot
from .times import sane

_TABLE: Final = "session_model_usage"
#: In the order of `Amounts`.
_AMOUNTS: Final = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    "estimated_cost_usd",
)
_SESSION: Final = ("id", "model", "billing_provider", *_AMOUNTS)
#: What the table has besides. Rows with a task ("vision", "compression", …) are not counted in the session's columns.
_ROW: Final = ("session_id", "model", "billing_provider", *_AMOUNTS, "task", "last_seen")

Model = tuple[str | None, str | None]


class AgentUse(NamedTuple):
    """What a conversation used of one model."""

    model: str | None
    provider: str | None
    #: The last time, epoch seconds.
    at: float
    amounts: Amounts


@dataclass
class _Member:
    """One session of a chain."""

    model: Model
    #: What its columns say.
    amounts: Amounts
    by_model: dict[Model, Amounts] = field(default_factory=lambda: defaultdict(Amounts))
    last: dict[Model, float] = field(default_factory=dict)
    #: Of the rows that its columns count as well.
    counted: Amounts | None = None

    def add(self, row: dict[str, Any]) -> None:
        """Add a row of the table."""
        key, amounts = _model(row), _positive(row)
        if not amounts.cost and self.amounts.cost is None:  # the column is 0 where a cost is not known
            amounts = amounts._replace(cost=None)
        self.by_model[key] += amounts
        if (last := sane(row["last_seen"])) is not None:
            self.last[key] = max(last, self.last.get(key, last))
        if not row["task"]:
            self.counted = amounts if self.counted is None else self.counted + amounts

    def used(self) -> dict[Model, Amounts]:
        """Return what it used by model: its rows, and what its columns have besides."""
        if self.counted is None:
            return {**self.by_model, self.model: self.by_model.get(self.model, Amounts()) + self.amounts}
        rest = Amounts(*(max(0, one) for one in (self.amounts - self.counted)[:-1]))
        cost = (self.amounts.cost or 0) - (self.counted.cost or 0)
        rest = rest._replace(cost=cost if cost > 0 else None)
        if rest:
            return {**self.by_model, self.model: self.by_model.get(self.model, Amounts()) + rest}
        return dict(self.by_model)


def read_uses(snapshot: Snapshot, sessions: Sequence[AgentSession]) -> dict[str, list[AgentUse]]:
    """Return what each of some conversations used, by the id of its head session."""
    schema = snapshot.schema
    ids = [member for session in sessions for member in session.chain]
    columns = ", ".join(map(schema.session, _SESSION))
    rows = snapshot.in_chunks(f"SELECT {columns} FROM main.sessions s WHERE s.id IN ({{}}) ORDER BY s.rowid", ids)
    members: dict[str, _Member] = {}
    for values in rows:
        row = dict(zip(_SESSION, values, strict=True))
        members[row["id"]] = _Member(_model(row), _amounts(row))
    if {"session_id", "model"} <= set(schema.usage):
        names = ", ".join(f'u."{name}"' if name in schema.usage else "NULL" for name in _ROW)
        query = f"SELECT {names} FROM main.{_TABLE} u WHERE u.session_id IN ({{}}) ORDER BY u.session_id, u.model"
        for values in snapshot.in_chunks(query, ids):
            row = dict(zip(_ROW, values, strict=True))
            if row["session_id"] in members:
                members[row["session_id"]].add(row)
    return {session.session_id: _of_chain(session, members) for session in sessions}


def _of_chain(session: AgentSession, members: dict[str, _Member]) -> list[AgentUse]:
    total: defaultdict[Model, Amounts] = defaultdict(Amounts)
    last: dict[Model, float] = {}
    for member in (members[one] for one in session.chain if one in members):
        for model, amounts in member.used().items():
            total[model] += amounts
            if model in member.last:
                last[model] = max(member.last[model], last.get(model, 0.0))
    return [
        AgentUse(*model, last.get(model, session.last_active), amounts) for model, amounts in total.items() if amounts
    ]


def _model(row: dict[str, Any]) -> Model:
    return _text(row["model"]), _text(row["billing_provider"])


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= TEXT_LIMIT else None


def _amounts(row: dict[str, Any]) -> Amounts:
    """Return what a row says, as the fields of an `AgentSession` have it."""
    *tokens, cost = (row[name] for name in _AMOUNTS)
    known = isinstance(cost, int | float) and math.isfinite(cost)
    return Amounts(*(max(-MOST, min(MOST, one)) if isinstance(one, int) else 0 for one in tokens))._replace(
        cost=cost_of(float(cost)) if known else None
    )


def _positive(row: dict[str, Any]) -> Amounts:
    amounts = _amounts(row)
    return Amounts(*(max(0, one) for one in amounts[:-1]))._replace(cost=max(0, amounts.cost or 0))
