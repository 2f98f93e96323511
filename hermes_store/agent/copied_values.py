"""The values of a conversation that its copy in the store gets: columns, documents and usage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..storage import usage_rows
from ..storage.session_keys import SessionKey
from ..storage.unit_of_work import UnitOfWork
from ..storage.usage_rows import Amounts, Use
from ..transcripts import json_codec
from ..validation import SOURCE_LIMIT, TEXT_LIMIT
from .conversation import Conversation
from .lineage import markers
from .records import AgentSession


def first_columns(session: AgentSession) -> dict[str, Any]:
    """Return the columns of a new copy that do not follow the agent."""
    return {
        "workspace": _short(session.cwd, TEXT_LIMIT),
        "model": _short(session.model, TEXT_LIMIT),
        "source": _short(session.source, SOURCE_LIMIT),
        "created_at": session.started_at if session.started_at is not None else session.last_active,
        "updated_at": session.last_active,
        "archived": session.archived,
    }


def with_parent_kind(columns: Mapping[str, Any], session: AgentSession) -> dict[str, Any]:
    """Return columns with the one that says why the copy has a parent, if they have one: it works for it, or forked."""
    if columns.get("parent_id") is None:
        return dict(columns)
    works = session.source == "subagent" or "_delegate_from" in markers(session.extra.get("model_config"))
    return {**columns, "parent_kind": "subagent" if works else "fork"}


def _short(value: Any, limit: int) -> str | None:
    return value if isinstance(value, str) and len(value) <= limit else None


def documents(session: AgentSession) -> dict[str, bytes]:
    """Return the documents that mark a session for the WebUI as the agent's."""
    values = {"is_cli_session": True, "source_tag": session.source_tag, "_cli_origin": session.session_id}
    return {key: json_codec.encode(value) for key, value in values.items()}


def increments(unit: UnitOfWork, key: SessionKey, conversation: Conversation, changed: Mapping[str, Any]) -> list[Use]:
    """Return what a conversation used that its copy does not have yet, as far as its totals are to be written."""
    if not usage_rows.has_total(changed):
        return []
    return uses_beyond(conversation, changed, usage_rows.by_model(unit, key.id))


def uses_beyond(
    conversation: Conversation, written: Mapping[str, Any], known: Mapping[tuple[str | None, str | None], Amounts]
) -> list[Use]:
    """Return what a conversation used beyond what is known by model and provider, of the columns that are written."""
    uses = []
    for use in conversation.uses:
        more = use.amounts - known.get((use.model, use.provider), Amounts())
        more = more._replace(
            input_tokens=more.input_tokens if "input_tokens" in written else 0,
            output_tokens=more.output_tokens if "output_tokens" in written else 0,
            cost=more.cost if "estimated_cost" in written else None,
        )
        if more:
            uses.append(Use("total", use.model, use.provider, use.at, more))
    return uses
