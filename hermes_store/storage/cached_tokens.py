"""Tokens that models read from caches and wrote to them: hermes-webui has their totals among the values of a session.

No column holds them. When a total is greater than the sum of the session's usage, a new row of usage has the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..transcripts import json_codec
from . import usage_rows
from .unit_of_work import UnitOfWork
from .usage_rows import Amounts, Use

KEYS: Final = ("cache_read_tokens", "cache_write_tokens")


def of_values(values: Mapping[str, Any]) -> Amounts:
    """Return the totals among the values of a session; 0 for what is no number of tokens."""
    return Amounts(**{key: _count(values.get(key)) for key in KEYS})


def of_documents(documents: Mapping[str, bytes]) -> Amounts:
    """Return the totals among the values of a session, whose JSON is given by key."""
    return of_values({key: json_codec.decode(documents[key]) for key in KEYS if key in documents})


def _count(value: Any) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    return min(value, usage_rows.MOST) if is_count and value > 0 else 0


def first_uses(columns: Mapping[str, Any], cached: Amounts) -> list[Use]:
    """Return the usage of a session that is new, if it has tokens of caches.

    Args:
        columns: by the names of the table's columns.
        cached: its totals of these tokens.
    """
    return _uses(usage_rows.NOTHING, columns, cached)


def further_uses(unit: UnitOfWork, session: int, columns: Mapping[str, Any], cached: Amounts) -> list[Use]:
    """Return what a session used that its usage does not have yet, if there are tokens of caches among that.

    Args:
        session: its row id.
        columns: those that are about to be written.
        cached: as in `first_uses`.
    """
    if not cached:
        return []
    known = sum(usage_rows.by_model(unit, session).values(), Amounts())
    more = {key: max(0, getattr(cached, key) - getattr(known, key)) for key in KEYS}
    return _uses(usage_rows.totals_of(unit, session), columns, Amounts(**more))


def _uses(before: usage_rows.Totals, columns: Mapping[str, Any], cached: Amounts) -> list[Use]:
    if not cached:
        return []
    now = before.written(columns)
    amounts = now.amounts - before.amounts + cached
    return [Use("total", now.model, None, usage_rows.used_at(columns), amounts)]
