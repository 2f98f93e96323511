"""Which state.db of the agent's a command reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..agent import AgentBridge
from ..agent.listing import GROUPS
from ..errors import SessionNotFoundError
from ..store import Store
from .show import require_one

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIRECTORY",
        show_default=False,
        help="The agent's home; else $HERMES_HOME, else ~/.hermes.",
    ),
]
StatePath = Annotated[
    Path | None,
    typer.Option(
        "--path", metavar="FILE", show_default=False, help="The agent's state.db itself, instead of a home's."
    ),
]
AgentProfile = Annotated[
    str | None,
    typer.Option(
        "--agent-profile",
        metavar="NAME",
        show_default=False,
        help="A profile of the agent's home; default is its root. Imports go to the store's profile of this name.",
    ),
]
Source = Annotated[
    str | None, typer.Option(metavar="NAME", help="Only sessions from there: cli, telegram, cron, …; also hidden ones.")
]
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GROUP",
        show_default=False,
        help=f"Also what is left out otherwise: {', '.join(GROUPS)}. May be repeated.",
    ),
]


def make_bridge(path: Path | None, home: Path | None, profile: str | None, store: Store | None = None) -> AgentBridge:
    """Return the bridge to the file that the options name; with a store, one that can import."""
    if path is not None and (home is not None or profile is not None):
        raise typer.BadParameter("--path is the file itself; it excludes --home and --agent-profile.")
    return AgentBridge(path, home=home, profile=profile, store=store)


def find_id(bridge: AgentBridge, wanted: str) -> str:
    """Return the id of the agent's session that is called `wanted`, or whose id alone begins so; otherwise, end."""
    wanted = wanted.rstrip("…")
    try:
        bridge.session(wanted)
    except SessionNotFoundError:
        fits = [one for one in _ids(bridge) if wanted and one.startswith(wanted)]
        if not fits:
            raise
        require_one(wanted, fits)
        return fits[0]
    return wanted


def _ids(bridge: AgentBridge) -> Sequence[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page = bridge.sessions(limit=1000, after=after, include=GROUPS)
        found += [one for session in page.items for one in session.chain]
        after = page.next
        if after is None:
            return found
