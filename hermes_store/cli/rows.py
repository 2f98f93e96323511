"""The table of a list of sessions, the store's or the agent's, and what stands under it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from ..quoting import count
from .output import say, say_next
from .table import Column, cell, id_column, print_table
from .text import age, titled

if TYPE_CHECKING:
    from ..agent import AgentSession
    from ..records import SessionRecord

Limit = Annotated[
    int, typer.Option("--limit", "-n", min=1, max=1000, metavar="N", help="How many at most, up to 1,000.")
]
After = Annotated[
    str | None, typer.Option(metavar="CURSOR", help="The page after another one, whose last line has the cursor.")
]

PINNED: Final = "★"
ARCHIVED: Final = "▫"
AGENTS: Final = "◆"
RECOVERED: Final = "◌"
_LEGEND: Final = {
    PINNED: "pinned",
    ARCHIVED: "archived",
    AGENTS: "the agent's, not in the store",
    RECOVERED: "recovered from a damaged file",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A session as a table shows it."""

    mark: str
    title: str
    messages: int
    model: str | None
    project: str | None = None
    profile: str = ""
    source: str | None
    #: The time that its age is counted from.
    then: float
    id: str
    archived: bool


def of_store(session: SessionRecord, projects: Mapping[str, str], *, then: float | None = None) -> Row:
    """Return the row of a session of the store's.

    Args:
        projects: the names of the projects by id.
        then: the time that its age is counted from; else the last change, or when it was deleted.
    """
    return Row(
        mark=(PINNED if session.pinned else ARCHIVED if session.archived else "")
        + (RECOVERED if session.recovered else ""),
        title=titled(session.title),
        messages=session.message_count,
        model=session.model,
        project=projects.get(session.project_id or ""),
        profile="" if session.profile == "default" else session.profile,
        source=session.source,
        then=session.deleted_at or session.updated_at if then is None else then,
        id=session.session_id,
        archived=session.archived,
    )


def of_agent(session: AgentSession, mark: str = "") -> Row:
    """Return the row of a conversation of the agent's."""
    return Row(
        mark=mark or (ARCHIVED if session.archived else ""),
        title=titled(session.title),
        messages=session.message_count,
        model=session.model,
        source=session.source,
        then=session.last_active,
        id=session.session_id,
        archived=session.archived,
    )


def print_rows(console: Console, rows: Sequence[Row], *, by_source: bool = False, age_header: str = "Age") -> None:
    """Print the table; `by_source`, if the source is more than a luxury."""
    now = time.time()
    models = [cell(row.model) for row in rows]
    if console.is_terminal:  # without the provider
        models = [model.rpartition("/")[2] for model in models]
    columns = [
        Column(header="", rank=1, gap=1, style="yellow", cells=[row.mark for row in rows]),
        Column(header="Title", rank=1, least=20, enough=60, cells=[cell(row.title) for row in rows]),
        Column(header="Msgs", rank=4, least=4, right=True, cells=[f"{row.messages:,}" for row in rows]),
        Column(header="Model", rank=5, least=12, enough=24, cut="start", cells=models),
        Column(header="Project", rank=6, least=9, enough=20, cells=[cell(row.project) for row in rows]),
        Column(header="Profile", rank=7, luxury=True, enough=12, cells=[cell(row.profile) for row in rows]),
        Column(
            header="Source",
            rank=8,
            least=8,
            luxury=not by_source,
            enough=12,
            cells=[cell(row.source) for row in rows],
        ),
        Column(header=age_header, rank=3, least=9, right=True, cells=[age(row.then, now) for row in rows]),
        id_column([row.id for row in rows]),
    ]
    print_table(console, columns, ["dim" if row.archived else "" for row in rows])
    console.print()


def print_footer(console: Console, rows: Sequence[Row], noun: str, after: str | None, total: int | None = None) -> None:
    """Say how many rows there are, what the marks mean, and how to go on."""
    words = count(len(rows), noun)
    if total is None:
        words += " on this page" if after is not None else ""
    elif total != len(rows):
        words = f"{len(rows):,} of {count(total, noun)}"
    marks = {mark for row in rows for mark in row.mark}
    legend = [f"{mark} {meaning}" for mark, meaning in _LEGEND.items() if mark in marks]
    explained = f" ({', '.join(legend)})" if legend else ""
    say(console, f"{words}{explained}.", "dim")
    say_next(console, after)
