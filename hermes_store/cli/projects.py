"""``hermes-store projects``, and finding the project that somebody means."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..quoting import count
from .exits import CommandError, ExitCode
from .opening import Database, command, open_existing
from .output import Json, make_console, plain, print_json, say
from .table import Column, cell, id_column, print_table
from .text import age

if TYPE_CHECKING:
    from ..records import ProjectRecord
    from ..store import View


def list_projects(
    *,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Only this profile's.")] = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """List the projects, with how many sessions each has."""
    with open_existing(db) as store, store.snapshot() as view:
        projects = all_projects(view, profile)
    if as_json:
        print_json({"items": [plain(project) for project in projects]})
        return
    console = make_console()
    if projects:
        print_table(console, _columns(projects), [""] * len(projects))
        console.print()
    say(console, f"{count(len(projects), 'project')}." if projects else "No projects.", "dim")


def _columns(projects: Sequence[ProjectRecord]) -> list[Column]:
    now = time.time()
    counts = [f"{project.session_count:,}" for project in projects]
    return [
        Column(header="Project", rank=1, least=20, enough=60, cells=[cell(project.name) for project in projects]),
        Column(header="Sessions", rank=3, least=8, right=True, cells=counts),
        Column(header="Profile", rank=5, least=8, cells=[cell(project.profile) for project in projects]),
        Column(header="Colour", rank=6, least=9, cells=[cell(project.color) for project in projects], style="dim"),
        Column(header="Age", rank=4, right=True, cells=[age(project.created_at, now) for project in projects]),
        id_column([project.project_id for project in projects]),
    ]


def all_projects(view: View, profile: str | None = None) -> list[ProjectRecord]:
    """Return the projects of a profile, or of all profiles, page by page."""
    page = view.projects.list(profile=profile)
    projects = page.items
    while page.next is not None:
        page = view.projects.list(profile=profile, after=page.next)
        projects += page.items
    return projects


def project_names(view: View) -> dict[str, str]:
    """Return the names of all projects by id."""
    return {project.project_id: project.name for project in all_projects(view)}


def find_project(view: View, wanted: str, profile: str | None, db: str) -> ProjectRecord:
    """Return the project whose id, or else whose name, is `wanted`; where there is not exactly one, end."""
    listed = all_projects(view, profile)
    for fits in (
        [project for project in listed if project.project_id == wanted],
        [project for project in listed if project.name == wanted],
        [project for project in listed if project.name.casefold() == wanted.casefold()],
    ):
        if len(fits) == 1:
            return fits[0]
        if fits:
            ids = ", ".join(f"{project.project_id} (profile {project.profile})" for project in fits)
            raise CommandError(
                f"{count(len(fits), 'project')} are called {wanted!r}; say which by its id: {ids}.", ExitCode.NOT_FOUND
            )
    place, listing = ("", "projects")
    if profile is not None:
        place, listing = f" in the profile {profile!r}", f"projects --profile {shlex.quote(profile)}"
    raise CommandError(
        f"There is no project {wanted!r}{place}; `{command(listing, db)}` lists them.", ExitCode.NOT_FOUND
    )
