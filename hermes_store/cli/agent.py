"""``hermes-store agent``: the sessions that the agent itself keeps, in its state.db."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..errors import AgentSessionInUseError
from ..quoting import count, size
from . import report as reports
from .agent_file import AgentProfile, Home, Include, Source, StatePath, find_id, make_bridge
from .asking import Yes, confirmed, require_terminal
from .completing import agent_ids
from .exits import CommandError, ExitCode
from .opening import Database, open_or_upgrade
from .output import Json, make_console, plain, print_json, say
from .progress import interruptible
from .rows import After, Limit, of_agent, print_footer, print_rows
from .show import pager, print_transcript, spent, when
from .table import print_facts
from .text import titled
from .times import Since, Until, time_range

if TYPE_CHECKING:
    from ..agent import AgentBridge, AgentDeletion, AgentSession
    from ..reports import ImportProgress, ImportReport

app = typer.Typer(
    name="agent",
    add_completion=False,
    help="The sessions that the agent itself keeps, in its state.db. They are only read, but for `delete`; and only "
    "`import` needs a database.",
    no_args_is_help=True,
)

_Id = Annotated[
    str,
    typer.Argument(
        metavar="ID", help="A session's id, or as much of its beginning as fits no other.", autocompletion=agent_ids
    ),
]


@app.command("list")
def list_sessions(
    *,
    source: Source = None,
    include: Include = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    after: After = None,
    home: Home = None,
    path: StatePath = None,
    profile: AgentProfile = None,
    as_json: Json = False,
) -> None:
    """List the agent's conversations, the last active first.

    Sessions that a compression made of one are one conversation, under the last one's id. Left out, unless --include
    or --source asks for them, are hermes-webui's own, scheduled ones, subagents, archived, hidden and empty ones.
    """
    bridge = make_bridge(path, home, profile)
    times = time_range(since, until)
    page = bridge.sessions(limit=limit, after=after, source=source, include=include or (), **times)
    if as_json:
        print_json(plain(page))
        return
    console = make_console()
    rows = [of_agent(session) for session in page.items]
    if rows:
        print_rows(console, rows, by_source=True)
    print_footer(console, rows, "session", page.next)


@app.command("show")
def show_session(
    session_id: _Id,
    *,
    tail: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N messages.")] = None,
    rewound: Annotated[bool, typer.Option("--rewound", help="Also messages that the user took back.")] = False,
    no_lineage: Annotated[
        bool, typer.Option("--no-lineage", help="Only this very session, without those that a compression ended.")
    ] = False,
    no_pager: Annotated[bool, typer.Option("--no-pager", help="Do not page, even on a terminal.")] = False,
    home: Home = None,
    path: StatePath = None,
    profile: AgentProfile = None,
    as_json: Json = False,
) -> None:
    """Show one of the agent's conversations.

    On a terminal, long tool calls and results are shortened. In a pipe, and with --json, everything is whole.
    """
    bridge = make_bridge(path, home, profile)
    session_id = find_id(bridge, session_id)
    session = bridge.session(session_id)
    messages = bridge.messages(session_id, include_rewound=rewound, lineage=not no_lineage).items
    first = max(0, len(messages) - tail) if tail else 0
    messages = messages[first:]
    if as_json:
        print_json({"session": plain(session), "first_position": first, "messages": messages})
        return
    console = make_console()
    with pager(console, wanted=not no_pager):
        _print_facts(console, session)
        print_transcript(console, first, messages)


def _print_facts(console: Console, session: AgentSession) -> None:
    now = time.time()
    ended = None if session.ended_at is None else when(session.ended_at, now)
    say(console, titled(session.title), "bold")
    facts = {
        "id": session.session_id,
        "state": "archived" if session.archived else None,
        "source": session.source,
        "model": session.model,
        "workspace": session.cwd,
        "goes on from": ", ".join(session.chain[:-1]),
        "parent": session.parent_id,
        "began": None if session.started_at is None else when(session.started_at, now),
        "last active": when(session.last_active, now),
        "ended": f"{ended}, {session.end_reason}" if ended and session.end_reason else ended,
        "tokens": spent(session),
        "messages": f"{session.message_count:,}",
    }
    print_facts(console, facts)


@app.command("import")
def import_sessions(
    session_ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Sessions; without any, all that `list` shows.",
            show_default=False,
            autocompletion=agent_ids,
        ),
    ] = None,
    *,
    source: Source = None,
    include: Include = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name what was skipped as well, and show all notes.")
    ] = False,
    home: Home = None,
    path: StatePath = None,
    profile: AgentProfile = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Import the agent's conversations into the database; create it if there is none.

    The agent's file is only read. Run it again at any time: it imports what the agent has added since. What was
    deleted in the database stays deleted, and what was changed there stays as it is.
    """
    if session_ids and (source is not None or include):
        raise typer.BadParameter("--source and --include choose among all sessions; they exclude ids.")
    reading = make_bridge(path, home, profile)
    # Whatever is wrong with the file or the choice is found before a database is made for nothing.
    wanted = [reading.session(find_id(reading, one)).session_id for one in session_ids or ()]
    reading.sessions(limit=1, source=source, include=include or ())
    console = make_console()
    with open_or_upgrade(db, quiet=as_json) as store:
        bridge = make_bridge(path, home, profile, store)
        report = _import(bridge, console, list(dict.fromkeys(wanted)), source, include or [], quiet=as_json)
        target = store.info().target
    if as_json:
        counts = {outcome.value: number for outcome, number in report.counts.items()}
        print_json({**report.model_dump(), "target": target, "counts": counts})
    else:
        reports.print_import(console, report, target, advise=False, verbose=verbose, noun="session")
    if report.failed:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _import(
    bridge: AgentBridge,
    console: Console,
    session_ids: list[str],
    source: str | None,
    include: list[str],
    *,
    quiet: bool,
) -> ImportReport:
    """Import these sessions; without any, what the list shows."""
    from ..reports import ImportReport

    def state(done: int) -> str:
        return reports.imported_so_far(done, "session")

    with interruptible(console, "Importing", "sessions", quiet=quiet, state=state) as advance:
        if not session_ids:

            def on_progress(now: ImportProgress) -> None:
                advance(now.done, now.total, reports.counted(now.counts))

            return bridge.import_sessions(source=source, include=include, on_progress=on_progress)
        started = time.monotonic()
        items = []
        for session_id in session_ids:
            items.append(bridge.import_session(session_id))
            advance(len(items), len(session_ids), "")
        seconds = time.monotonic() - started
        return ImportReport(source=str(bridge.path), dry_run=False, items=items, seconds=seconds)


@app.command("delete")
def delete_session(
    session_id: _Id,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be deleted; delete nothing.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also a session that has not ended, or that the agent is at work on.")
    ] = False,
    yes: Yes = False,
    home: Home = None,
    path: StatePath = None,
    profile: AgentProfile = None,
    as_json: Json = False,
) -> None:
    """Delete a session from the agent's own file, for good: with its messages, and the subagents that worked for it.

    It is the only command that writes there. Other sessions that came from it stay, and so does a copy in the database.
    """
    bridge = make_bridge(path, home, profile)
    session_id = find_id(bridge, session_id)
    try:
        done = bridge.delete_session(session_id, dry_run=True, force=force)
        if not dry_run:
            if not (yes or _confirmed(bridge, done)):
                say(make_console(), "Nothing was deleted.")
                return
            done = bridge.delete_session(session_id, force=force)
    except AgentSessionInUseError as error:
        advice = "Nothing was deleted; try again once it has ended, or delete it with --force."
        raise CommandError(f"{error.reason} {advice}", ExitCode.UNUSABLE) from error
    if as_json:
        print_json(done.model_dump())
    else:
        _print_deletion(done)


def _confirmed(bridge: AgentBridge, planned: AgentDeletion) -> bool:
    """Ask, on the terminal, whether to delete that."""
    require_terminal("Nothing was deleted")
    session = bridge.session(planned.session_id)
    return confirmed(f"Delete {titled(session.title)!r} ({_amount(planned)}) from {bridge.path} for good?")


def _amount(deletion: AgentDeletion) -> str:
    subagents = len(deletion.sessions) - 1
    words = count(deletion.messages, "message")
    return f"{words}, {count(subagents, 'subagent')}" if subagents else words


def _print_deletion(done: AgentDeletion) -> None:
    console = make_console()
    verb = "Would delete" if done.dry_run else "Deleted"
    say(console, f"{verb} session {done.session_id} ({_amount(done)}).")
    facts = {
        "subagents": ", ".join(done.sessions[1:]),
        "stay, without a parent": ", ".join(done.released),
        "prompts that nothing else uses": f"{done.prompts:,}" if done.prompts else None,
    }
    if said := {name: value for name, value in facts.items() if value}:
        print_facts(console, said)


@app.command("info")
def info(*, home: Home = None, path: StatePath = None, profile: AgentProfile = None, as_json: Json = False) -> None:
    """Say which file of the agent's is read, and what is in it, hidden sessions included."""
    facts = make_bridge(path, home, profile).info()
    if as_json:
        print_json(facts.model_dump())
        return
    rows: dict[str, Any] = {
        "file": facts.path,
        "size": size(facts.size_bytes),
        "journal": facts.journal_mode,
        "schema": None if facts.schema_version is None else f"version {facts.schema_version}",
        "sessions": f"{facts.sessions:,}",
        "messages": f"{facts.messages:,}",
    }
    print_facts(make_console(), rows)
