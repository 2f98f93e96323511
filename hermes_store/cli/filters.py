"""The options by which commands choose sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .projects import find_project

if TYPE_CHECKING:
    from ..records import Missing
    from ..store import View

Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="Only this profile's sessions.")]
Project = Annotated[str | None, typer.Option("--project", metavar="ID_OR_NAME", help="Only sessions of this project.")]
NoProject = Annotated[bool, typer.Option("--no-project", help="Only sessions without a project.")]
Archived = Annotated[
    bool | None, typer.Option("--archived/--no-archived", help="Only archived sessions, or only the others.")
]
Source = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Only sessions from there: cli, telegram, cron, …")
]
NoSource = Annotated[
    bool, typer.Option("--no-source", help="Only sessions that were begun in the user interface itself.")
]


def require_one(*alternatives: Mapping[str, bool]) -> None:
    """Raise an error for options that exclude each other: by name, whether each is given."""
    for options in alternatives:
        if all(options.values()):
            raise typer.BadParameter(f"{' and '.join(options)} exclude each other.")


def project_filter(
    view: View, project: str | None, profile: str | None, db: str, *, none: bool
) -> str | Literal[Missing.WITHOUT] | None:
    """Return a list's `project_id`: that of a project, given by id or name; `WITHOUT`; or None for all sessions."""
    from ..records import WITHOUT

    if none:
        return WITHOUT
    return None if project is None else find_project(view, project, profile, db).project_id
