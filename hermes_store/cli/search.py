"""``hermes-store search``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from ..quoting import count
from .filters import Archived, NoProject, NoSource, Profile, Project, Source, project_filter, require_one
from .opening import Database, open_existing
from .output import Json, make_console, plain, print_json, say, say_next
from .rows import After
from .text import moment, printable, titled
from .times import Since, Until, time_range

if TYPE_CHECKING:
    from ..records import SearchHit, SearchPage
    from ..store import View


def search(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORDS...",
            help="Words that all have to be there. One argument may have several: 'begin* -without \"a phrase\"'.",
        ),
    ],
    *,
    profile: Profile = None,
    project: Project = None,
    no_project: NoProject = False,
    archived: Archived = None,
    source: Source = None,
    no_source: NoSource = False,
    role: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only messages of this role, such as user or tool; no titles.")
    ] = None,
    since: Since = None,
    until: Until = None,
    sort: Annotated[
        Literal["relevance", "recent"], typer.Option(help="The best matches first, or the newest.")
    ] = "relevance",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=1000, metavar="N", help="How many at most, up to 1,000.")
    ] = 20,
    after: After = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Find messages and titles in sessions that are not deleted.

    Case and accents do not matter. Chinese, Japanese, Korean and Thai are found by any part; identifiers and paths as
    wholes and by their parts. `hermes-store show ID --around POSITION` shows a message that was found with those around
    it.
    """
    from ..records import WITHOUT

    require_one(
        {"--project": project is not None, "--no-project": no_project},
        {"--source": source is not None, "--no-source": no_source},
    )
    filters: dict[str, Any] = {
        "profile": profile,
        "archived": archived,
        "source": WITHOUT if no_source else source,
        "role": role,
        **time_range(since, until),
    }
    with open_existing(db) as store, store.snapshot() as view:
        filters["project_id"] = project_filter(view, project, profile, db, none=no_project)
        page = _page(view, " ".join(words), {**filters, "order": sort}, limit, after)
    if as_json:
        print_json(plain(page))
        return
    console = make_console()
    for hit in page.items:
        _print_hit(console, hit)
    found = count(len(page.items), "hit")
    say(console, f"{found}{' on this page' if page.next else ''}.", "dim")
    say_next(console, page.next)
    if not page.is_indexed:
        say(console, "Not everything is in the index of words, so messages were read; `reindex` makes one.", "dim")


def _page(view: View, words: str, options: dict[str, Any], limit: int, after: str | None) -> SearchPage:
    """Return a page that is full unless it is the last."""
    page = view.search(words, **options, limit=limit, after=after)
    items = list(page.items)
    while page.next is not None and len(items) < limit:
        page = view.search(words, **options, limit=limit - len(items), after=page.next)
        items += page.items
    return page.model_copy(update={"items": items})


def _print_hit(console: Console, hit: SearchHit) -> None:
    session = hit.session
    place = "title" if hit.position is None else f"message {hit.position}"
    facts = [session.session_id, place, hit.role, None if hit.timestamp is None else moment(hit.timestamp)]
    head = (
        Text(printable(titled(session.title)), style="bold") if hit.position is not None else _highlighted(hit, "bold")
    )
    head.append(f"  {' · '.join(printable(fact) for fact in facts if fact)}", "dim")
    console.print(head, soft_wrap=True)
    if hit.position is not None:
        console.print(Text("  ") + _highlighted(hit), soft_wrap=not console.is_terminal)
    console.print()


def _highlighted(hit: SearchHit, style: str = "") -> Text:
    """Return a snippet in one line, with the matches in it marked."""
    text = Text(style=style)
    place = 0
    for first, last in hit.matches:
        text.append(_inline(hit.snippet[place:first]))
        text.append(_inline(hit.snippet[first:last]), "bold yellow")
        place = last
    text.append(_inline(hit.snippet[place:]))
    return text


def _inline(part: str) -> str:
    """Return a part of a text in one line, with the spaces at its ends."""
    words = printable(part)
    before = " " if part[:1].isspace() else ""
    after = " " if part[-1:].isspace() and words else ""
    return f"{before}{words}{after}"
