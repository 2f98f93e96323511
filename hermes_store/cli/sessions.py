"""``hermes-store list``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Final, Literal

import typer
from rich.console import Console

from ..listing import ANY, AnyValue
from ..records import Page, SessionRecord
from ..store import View
from .opening import Database, command, open_existing
from .output import Json, make_console, print_json, say
from .projects import find_project
from .table import Column, cell, print_table
from .text import age, count

PINNED: Final = "★"
ARCHIVED: Final = "▫"


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
    limit: Annotated[int, typer.Option(min=1, max=1000, metavar="N", help="How many at most, up to 1,000.")] = 50,
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Go on behind a page; its last line says with what.")
    ] = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """List the sessions: pinned ones first, then the last changed first."""
    if project is not None and no_project:
        raise typer.BadParameter("--project and --no-project exclude each other.")
    if source is not None and no_source:
        raise typer.BadParameter("--source and --no-source exclude each other.")
    narrowed = (project, source, archived, pinned) != (None,) * 4 or no_project or no_source or every
    if deleted and narrowed:
        raise typer.BadParameter("--deleted goes with --profile, --limit and --after only.")
    with open_existing(db) as store, store.snapshot() as view:
        if deleted:
            page = view.sessions.list_deleted(profile=profile, limit=limit, after=after)
        else:
            page = view.sessions.list(
                profile=profile,
                project_id=_project_id(view, project, profile, none=no_project),
                archived=archived,
                pinned=pinned,
                source=None if no_source else source or ANY,
                include_empty=every,
                limit=limit,
                after=after,
                total=True,
            )
        names = {project.project_id: project.name for project in view.projects.list()}
    if as_json:
        print_json(page.model_dump())
        return
    console = make_console()
    if page.items:
        _print_table(console, page.items, names)
    elif not (deleted or narrowed or profile or after):
        say(console, f"No sessions yet; `{command('import', db)}` takes in those of hermes-webui.")
        return
    _print_footer(console, page, "deleted session" if deleted else "session")


def _project_id(
    view: View, project: str | None, profile: str | None, *, none: bool
) -> str | Literal[AnyValue.ANY] | None:
    if project is None:
        return None if none else ANY
    return find_project(view, project, profile).project_id


def _print_table(console: Console, sessions: list[SessionRecord], names: Mapping[str, str]) -> None:
    now = time.time()
    columns = [
        Column(header="", rank=1, gap=1, style="yellow", cells=[_mark(session) for session in sessions]),
        Column(header="Title", rank=1, least=20, enough=60, cells=[cell(session.title) for session in sessions]),
        Column(
            header="Msgs", rank=4, least=4, right=True, cells=[f"{session.message_count:,}" for session in sessions]
        ),
        Column(
            header="Model", rank=5, least=12, enough=24, cut="start", cells=[_model(session) for session in sessions]
        ),
        Column(
            header="Project",
            rank=6,
            least=9,
            enough=20,
            cells=[cell(names.get(session.project_id or "")) for session in sessions],
        ),
        Column(
            header="Profile",
            rank=7,
            luxury=True,
            enough=12,
            cells=["" if session.profile == "default" else cell(session.profile) for session in sessions],
        ),
        Column(header="Source", rank=8, luxury=True, enough=12, cells=[cell(session.source) for session in sessions]),
        Column(
            header="Age",
            rank=3,
            least=9,
            right=True,
            cells=[age(session.deleted_at or session.updated_at, now) for session in sessions],
        ),
        Column(
            header="Id", rank=2, least=12, enough=22, cells=[session.session_id for session in sessions], style="cyan"
        ),
    ]
    print_table(console, columns, ["dim" if session.archived else "" for session in sessions])
    console.print()


def _mark(session: SessionRecord) -> str:
    return PINNED if session.pinned else ARCHIVED if session.archived else ""


def _model(session: SessionRecord) -> str:
    """Return the model without its provider."""
    return cell((session.model or "").rpartition("/")[2])


def _print_footer(console: Console, page: Page[SessionRecord], noun: str) -> None:
    shown = len(page.items)
    words = count(shown, noun)
    if page.total is None:
        words += " on this page" if page.next is not None else ""
    elif page.total != shown:
        words = f"{shown:,} of {count(page.total, noun)}"
    marks = {_mark(session) for session in page.items}
    legend = [f"{mark} {meaning}" for mark, meaning in ((PINNED, "pinned"), (ARCHIVED, "archived")) if mark in marks]
    explained = f" ({', '.join(legend)})" if legend else ""
    say(console, f"{words}{explained}.", "dim")
    if page.next is not None:
        say(console, f"For the next ones, add --after {page.next}")
