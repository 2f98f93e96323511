"""The floor for usage: SQL written by hand."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from typing import Any, Final

from .floor_changes import NEXT

_FIND: Final = "SELECT id, profile FROM sessions WHERE session_id = ? AND deleted_at IS NULL"
_FORGET: Final = (
    "DELETE FROM session_documents WHERE session_id = ? AND key IN ('input_tokens', 'output_tokens', 'estimated_cost')"
)
_ADD: Final = (
    "UPDATE sessions SET input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, "
    "estimated_cost = coalesce(estimated_cost, 0) + ?, revision = revision + 1, fields_revision = revision + 1, "
    f"change_number = {NEXT} WHERE id = ? RETURNING revision, input_tokens, output_tokens, estimated_cost"
)
_INSERT: Final = (
    "INSERT INTO usage (session_id, profile, model, provider, kind, at, input_tokens, output_tokens, "
    "cache_read_tokens, cost) VALUES (?,?,?,?,'record',?,?,?,?,?)"
)


def record(connection: sqlite3.Connection, session_id: str, used: dict[str, Any]) -> dict[str, Any]:
    """Record what a session used, inside a transaction, and return its totals."""
    execute = connection.execute
    key, profile = execute(_FIND, (session_id,)).fetchone()
    execute(_FORGET, (key,))
    tokens = (used["input_tokens"], used["output_tokens"])
    row = execute(_ADD, (*tokens, used["cost"], key)).fetchone()
    amounts = (*tokens, used["cache_read_tokens"], round(used["cost"] * 1e9))
    execute(_INSERT, (key, profile, used["model"], used["provider"], time.time(), *amounts))
    return dict(zip(("revision", "input_tokens", "output_tokens", "estimated_cost"), row, strict=True))


_SUMS: Final = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost")
_GROUPS: Final = {"day": "date(at, 'unixepoch')", "model": "model"}


def totals(connection: sqlite3.Connection, by: Sequence[str]) -> list[dict[str, Any]]:
    """Return the sums in groups, of days in UTC and of models."""
    groups = ", ".join(_GROUPS[name] for name in by)
    sums = ", ".join(f"sum({name})" for name in _SUMS)
    query = f"SELECT {groups}, {sums}, count(*) FROM usage WHERE kind <> 'copy' GROUP BY {groups} ORDER BY {groups}"
    names = (*by, *_SUMS, "records")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query)]
