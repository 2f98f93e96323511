"""``hermes-store list``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .agent_file import AgentProfile, Home, StatePath, make_bridge
from .filters import Archived, NoProject, NoSource, Profile, Project, Source, project_filter, require_one
from .opening import Database, command, open_existing
from .output import Json, make_console, plain, print_json, say
from .projects import project_names
from .rows import AGENTS, After, Limit, Row, of_agent, of_store, print_footer, print_rows
from .sorting import TIMES, Order, sorted_page
from .text import printable
from .times import Since, Until, time_range

if TYPE_CHECKING:
    from ..agent import AgentSession
    from ..records import Page, SessionRecord
    from ..store import View


def list_sessions(
    *,
    profile: Profile = None,
    project: Project = None,
    no_project: NoProject = False,
    archived: Archived = None,
    pinned: Annotated[
        bool | None, typer.Option("--pinned/--no-pinned", help="Only pinned sessions, or only the others.")
    ] = None,
    source: Source = None,
    no_source: NoSource = False,
    since: Since = None,
    until: Until = None,
    model: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Only sessions whose model has this in its name. Reads them all.")
    ] = None,
    sort: Annotated[
        Order | None,
        typer.Option(
            show_default=False,
            help="Titles from A to Z, the others from the newest or largest on. Pinned sessions are not first then. "
            "Reads all sessions.",
        ),
    ] = None,
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
    limit: Limit = 50,
    after: After = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """List the sessions: pinned ones first, then the last changed first.

    With --agent, those that the agent keeps in its state.db are among them; --home, --path and --agent-profile say
    which. A session that both have is shown once, from the store. Without the agent's file, the list is the store's.
    """
    from ..records import WITHOUT

    filters: dict[str, Any] = {
        "archived": archived,
        "pinned": pinned,
        "source": WITHOUT if no_source else source,
        "include_empty": every,
        **time_range(since, until),
    }
    _require_sense(
        {"--project": project is not None, "--no-project": no_project},
        {"--source": source is not None, "--no-source": no_source},
        deleted=deleted,
        others=(archived, pinned, every or None, since, until, model, sort),
    )
    if agent:
        if no_project or no_source or deleted or (project, archived, pinned, model, sort) != (None,) * 5:
            raise typer.BadParameter(
                "--agent goes with --profile, --source, --since, --until, --all, --limit and --after only."
            )
        del filters["archived"], filters["pinned"]
        filters |= {"profile": profile, "limit": limit, "after": after}
        agents = agent_profile or (None if state_path else profile)
        _list_with_agent(db, as_json, (state_path, home, agents), filters)
        return
    if (home, state_path, agent_profile) != (None,) * 3:
        raise typer.BadParameter("--home, --path and --agent-profile go with --agent only.")
    hidden = 0
    with open_existing(db) as store, store.snapshot() as view:
        if deleted:
            page = view.sessions.list_deleted(profile=profile, limit=limit, after=after)
        else:
            filters["project_id"] = project_filter(view, project, profile, db, none=no_project)
            page = _page(view, {**filters, "profile": profile}, sort, model=model, limit=limit, after=after)
            if page.total is not None and model is None and not (every or as_json):
                hidden = view.sessions.count(**{**filters, "include_empty": True}, profile=profile) - page.total
        names = project_names(view)
    if as_json:
        print_json(plain(page))
        return
    age_header, then = TIMES.get(sort, ("Age", lambda _: None))
    rows = [of_store(session, names, then=then(session)) for session in page.items]
    narrowed = (project, source, archived, pinned, since, until, model, profile, after) != (None,) * 9
    if not (rows or hidden or narrowed or no_project or no_source or deleted):
        say(make_console(), f"No sessions yet; `{command('import', db)}` imports those of hermes-webui.")
        return
    noun = "deleted session" if deleted else "session"
    _print(rows, noun, page.next, page.total, age_header=age_header)
    if hidden:
        are, them = ("is", "it") if hidden == 1 else ("are", "them")
        say(make_console(), f"{hidden:,} more {are} untitled and without messages; --all shows {them}.", "dim")


def _require_sense(
    project: dict[str, bool], source: dict[str, bool], *, deleted: bool, others: tuple[object, ...]
) -> None:
    """Raise an error for options that exclude each other."""
    require_one(project, source)
    if any(project.values()) and any(source.values()):
        raise typer.BadParameter("Filter by project or by source, not by both.")
    if deleted and (any(project.values()) or any(source.values()) or others != (None,) * len(others)):
        raise typer.BadParameter("--deleted goes with --profile, --limit and --after only.")


def _page(
    view: View, filters: dict[str, Any], sort: Order | None, *, model: str | None, limit: int, after: str | None
) -> Page[SessionRecord]:
    """Return a page from an index, or, where no index has that order or filter, from all sessions."""
    if sort is None and model is None:
        return view.sessions.list(**filters, limit=limit, after=after, total=True)
    return sorted_page(view.sessions.iterate(**filters), sort, model=model, limit=limit, after=after)


def _list_with_agent(
    db: str, as_json: bool, place: tuple[Path | None, Path | None, str | None], filters: dict[str, Any]
) -> None:
    from ..agent.combined_listing import list_combined
    from ..records import SessionRecord

    with open_existing(db) as store:
        page = list_combined(store, make_bridge(*place, store), **filters)
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
    _print(rows, "session", page.next)


def _print(rows: list[Row], noun: str, after: str | None, total: int | None = None, *, age_header: str = "Age") -> None:
    console = make_console()
    if rows:
        print_rows(console, rows, age_header=age_header)
    print_footer(console, rows, noun, after, total)


def _with_keeper(session: SessionRecord | AgentSession) -> dict[str, Any]:
    """Return a session for JSON, with who keeps it."""
    from ..records import SessionRecord

    return {**plain(session), "kept_by": "store" if isinstance(session, SessionRecord) else "agent"}
