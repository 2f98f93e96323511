"""``hermes-store list``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

import typer

from ..agent import AgentBridge, AgentSession
from ..agent.combined_listing import list_combined
from ..records import WITHOUT, Missing, SessionRecord
from ..store import Store, View
from .agent_file import AgentProfile, Home, StatePath, make_bridge
from .opening import Database, command, open_existing
from .output import Json, make_console, plain, print_json, say
from .projects import find_project, project_names
from .rows import AGENTS, of_agent, of_store, print_footer, print_rows
from .text import printable


def list_sessions(
    *,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Only this profile's sessions.")] = None,
    project: Annotated[str | None, typer.Option(metavar="ID_OR_NAME", help="Only sessions of this project.")] = None,
    no_project: Annotated[bool, typer.Option("--no-project", help="Only sessions without a project.")] = False,
    archived: Annotated[
        bool | None, typer.Option("--archived/--no-archived", help="Only archived sessions, or only the others.")
    ] = None,
    pinned: Annotated[
        bool | None, typer.Option("--pinned/--no-pinned", help="Only pinned sessions, or only the others.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only sessions from there: cli, telegram, cron, …")
    ] = None,
    no_source: Annotated[
        bool, typer.Option("--no-source", help="Only sessions that were begun in the user interface itself.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also the untitled sessions without a message, which are hidden otherwise.")
    ] = False,
    deleted: Annotated[
        bool, typer.Option("--deleted", help="The deleted sessions instead, the last deleted first.")
    ] = False,
    agent: Annotated[
        bool, typer.Option("--agent", help="Also the agent's own sessions that the store does not have.")
    ] = False,
    home: Home = None,
    state_path: StatePath = None,
    agent_profile: AgentProfile = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many at most, up to 1,000.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="The page after another one, whose last line has the cursor.")
    ] = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """List the sessions: pinned ones first, then the last changed first.

    With --agent, those that the agent keeps in its state.db are among them; --home, --path and --agent-profile say
    which. A session that both have is shown once, from the store. Without the agent's file, the list is the store's.
    """
    if project is not None and no_project:
        raise typer.BadParameter("--project and --no-project exclude each other.")
    if source is not None and no_source:
        raise typer.BadParameter("--source and --no-source exclude each other.")
    chosen = (project, source, archived, pinned, no_project or None, no_source or None, every or None)
    narrowed = any(value is not None for value in chosen)
    if (project is not None or no_project) and (source is not None or no_source):
        raise typer.BadParameter("Filter by project or by source, not by both.")
    if deleted and narrowed:
        raise typer.BadParameter("--deleted goes with --profile, --limit and --after only.")
    if agent:
        unfit = (project, archived, pinned) != (None,) * 3 or no_project or no_source or deleted
        if unfit:
            raise typer.BadParameter("--agent goes with --profile, --source, --all, --limit and --after only.")
        agents = agent_profile or (None if state_path else profile)
        filters = {"profile": profile, "source": source, "include_empty": every, "limit": limit, "after": after}
        _list_with_agent(db, as_json, bridge=lambda store: make_bridge(state_path, home, agents, store), **filters)
        return
    if (home, state_path, agent_profile) != (None,) * 3:
        raise typer.BadParameter("--home, --path and --agent-profile go with --agent only.")
    with open_existing(db) as store, store.snapshot() as view:
        if deleted:
            page = view.sessions.list_deleted(profile=profile, limit=limit, after=after)
        else:
            page = view.sessions.list(
                profile=profile,
                project_id=_project_id(view, project, profile, none=no_project),
                archived=archived,
                pinned=pinned,
                source=WITHOUT if no_source else source,
                include_empty=every,
                limit=limit,
                after=after,
                total=True,
            )
        names = project_names(view)
    if as_json:
        print_json(plain(page))
        return
    console = make_console()
    rows = [of_store(session, names) for session in page.items]
    if rows:
        print_rows(console, rows)
    elif not (deleted or narrowed or profile or after):
        say(console, f"No sessions yet; `{command('import', db)}` takes in those of hermes-webui.")
        return
    print_footer(console, rows, "deleted session" if deleted else "session", page.next, page.total)


def _project_id(
    view: View, project: str | None, profile: str | None, *, none: bool
) -> str | Literal[Missing.WITHOUT] | None:
    if project is None:
        return WITHOUT if none else None
    return find_project(view, project, profile).project_id


def _list_with_agent(db: str, as_json: bool, *, bridge: Callable[[Store], AgentBridge], **filters: Any) -> None:
    with open_existing(db) as store:
        page = list_combined(store, bridge(store), **filters)
        names = project_names(store)
    if page.agent_error is not None:
        sys.stderr.write(f"The agent's sessions are left out: {printable(str(page.agent_error))}\n")
    if as_json:
        print_json({"items": [_with_keeper(session) for session in page.items], "next": page.next})
        return
    rows = [
        of_store(session, names) if isinstance(session, SessionRecord) else of_agent(session, AGENTS)
        for session in page.items
    ]
    console = make_console()
    if rows:
        print_rows(console, rows)
    print_footer(console, rows, "session", page.next)


def _with_keeper(session: SessionRecord | AgentSession) -> dict[str, Any]:
    """Return a session for JSON, with who keeps it."""
    return {**plain(session), "kept_by": "store" if isinstance(session, SessionRecord) else "agent"}
