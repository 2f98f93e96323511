"""Completion of ids in a shell. It only reads: no database is created or upgraded for it, and no error is shown."""

from __future__ import annotations

from typing import Any, Final

import typer

from .text import printable

#: How many ids a shell is offered.
_OFFERED: Final = 50

Candidates = list[tuple[str, str]]


def session_ids(ctx: typer.Context, incomplete: str) -> Candidates:
    """Return ids of the database's sessions that begin with what was typed, with their titles."""
    from .opening import open_existing, resolved

    try:
        with open_existing(resolved(ctx, ctx.params.get("db") or "")) as store:
            if not incomplete:
                return [(one.session_id, printable(one.title)) for one in store.sessions.list(limit=_OFFERED).items]
            found = store.sessions.get_many(store.sessions.find(incomplete, limit=_OFFERED))
            return [(one.session_id, printable(one.title)) for one in found.values()]
    except Exception:  # whatever it is: an error in the middle of a command line that is typed helps nobody
        return []


def agent_ids(ctx: typer.Context, incomplete: str) -> Candidates:
    """Return ids of the agent's sessions that begin with what was typed, with the titles of their conversations."""
    from .agent_file import make_bridge

    try:
        given: dict[str, Any] = ctx.params
        bridge = make_bridge(given.get("path"), given.get("home"), given.get("profile"))
        if not incomplete:
            return [(one.session_id, printable(one.title)) for one in bridge.sessions(limit=_OFFERED).items]
        return [(one, "") for one in bridge.find(incomplete, limit=_OFFERED)]
    except Exception:  # as above
        return []
