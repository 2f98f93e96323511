"""Which state.db of the agent's a command reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import SessionNotFoundError
from .exits import CommandError, ExitCode
from .finding import SHOWN_IDS, require_one

if TYPE_CHECKING:
    from ..agent import AgentBridge
    from ..store import Store

Home = Annotated[
    Path | None,
    typer.Option(
        "--home",
        metavar="DIRECTORY",
        show_default=False,
        parser=Path,
        help="The agent's home; else $HERMES_HOME, else ~/.hermes.",
    ),
]
StatePath = Annotated[
    Path | None,
    typer.Option(
        "--path",
        metavar="FILE",
        show_default=False,
        parser=Path,
        help="The agent's state.db itself, instead of a home's.",
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
        help="Also what is left out otherwise: webui, cron, tool, subagent, archived, hidden, empty. May be repeated.",
    ),
]


def make_bridge(path: Path | None, home: Path | None, profile: str | None, store: Store | None = None) -> AgentBridge:
    """Return the bridge to the file that the options name; with a store, one that can import."""
    from ..agent import AgentBridge

    if path is not None and (home is not None or profile is not None):
        raise typer.BadParameter("--path is the file itself; it excludes --home and --agent-profile.")
    return AgentBridge(path, home=home, profile=profile, store=store)


def find_id(bridge: AgentBridge, wanted: str) -> str:
    """Return the id of the agent's session that is called `wanted`, or whose id alone begins so; otherwise, end."""
    try:
        bridge.session(wanted)
    except SessionNotFoundError as error:
        fits = bridge.find(wanted, limit=SHOWN_IDS + 1)
        if not fits:
            raise CommandError(
                f"{error} `hermes-store agent list` lists them (and --include those that it leaves out).",
                ExitCode.NOT_FOUND,
            ) from error
        require_one(wanted, fits)
        return fits[0]
    return wanted
