"""Completion of ids in a shell. It only reads: no database is created or upgraded for it, and no error is shown.

Shells evaluate what completion prints, so it offers ids alone, of plain characters: titles are anybody's text.
"""

from __future__ import annotations

from typing import Any, Final

import typer

#: How many ids a shell is offered.
_OFFERED: Final = 50


def session_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return ids of the database's sessions that begin with what was typed."""
    return _session_ids(ctx, incomplete, deleted=False)


def deleted_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return ids of its deleted sessions that begin with what was typed."""
    return _session_ids(ctx, incomplete, deleted=True)


def _session_ids(ctx: typer.Context, incomplete: str, *, deleted: bool) -> list[str]:
    try:
        from .opening import open_existing, resolved

        with open_existing(resolved(ctx, ctx.params.get("db") or "")) as store:
            if incomplete:
                return store.sessions.find(incomplete, limit=_OFFERED, deleted=deleted)
            page = store.sessions.list_deleted if deleted else store.sessions.list
            return [session.session_id for session in page(limit=_OFFERED).items]
    except Exception:  # whatever it is: an error in the middle of a command line that is typed helps nobody
        return []


def agent_ids(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return ids of the agent's sessions that begin with what was typed."""
    try:
        from ..validation import is_id
        from .agent_file import make_bridge

        given: dict[str, Any] = ctx.params
        bridge = make_bridge(given.get("path"), given.get("home"), given.get("profile"))
        if incomplete:
            found = bridge.find(incomplete, limit=_OFFERED)
        else:
            found = [session.session_id for session in bridge.sessions(limit=_OFFERED).items]
        return [one for one in found if is_id(one)]
    except Exception:  # as above
        return []
