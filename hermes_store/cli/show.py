"""``hermes-store show``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..errors import MessageNotFoundError
from ..quoting import count
from .finding import SessionId, find_session
from .opening import Database, open_existing
from .output import Json, make_console, plain, print_json, say
from .table import print_facts
from .text import age, moment, printable, shortened, titled

if TYPE_CHECKING:
    from ..agent import AgentSession
    from ..records import SessionRecord
    from ..store import View

_PAGE = 1000


def show(
    session_id: SessionId,
    *,
    tail: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N messages.")] = None,
    around: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="POSITION", help="Only the message at this position, the 5 before it and the 5 after it."
        ),
    ] = None,
    no_pager: Annotated[bool, typer.Option("--no-pager", help="Do not page, even on a terminal.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Show a session and its transcript.

    On a terminal, long tool calls and results are shortened. In a pipe, and with --json, everything is whole.
    """
    if tail is not None and around is not None:
        raise typer.BadParameter("--tail and --around exclude each other.")
    with open_existing(db) as store, store.snapshot() as view:
        session = find_session(view, session_id, db, what="shown")
        documents = view.documents.read(session.session_id, *([] if as_json else ["pending_user_message"]))
        first, messages = _wanted(view, session, tail, around)
        project = None if session.project_id is None else view.projects.get(session.project_id).name
        missing = _missing(view, session) if session.recovered and not as_json else None
    if as_json:
        print_json({"session": plain(session), "documents": documents, "first_position": first, "messages": messages})
        return
    console = make_console()
    with pager(console, wanted=not no_pager):
        pending = documents.get("pending_user_message")
        if isinstance(pending, str) and console.is_terminal:
            pending = shortened(printable(pending), lines=1, characters=200)
        _print_facts(console, session, project, pending, missing)
        print_transcript(console, first, messages)
        later = session.message_count - first - len(messages)
        if later > 0:
            say(console, f"… {count(later, 'later message')}", "dim")


#: How many messages --around shows on each side.
_AROUND = 5


def _wanted(view: View, session: SessionRecord, tail: int | None, around: int | None) -> tuple[int, list[Any]]:
    """Return messages, and the position of the first of them."""
    from ..pagination import write_cursor

    if around is None:
        return _read(view, session, tail or session.message_count)
    if around >= session.message_count:
        raise MessageNotFoundError(session.session_id, around, session.message_count)
    first = max(0, around - _AROUND)
    begin = write_cursor("messages", first)
    page = view.messages.page(session.session_id, after=begin, limit=around + _AROUND + 1 - first)
    return page.first_position, page.items


def _missing(view: View, session: SessionRecord) -> str | None:
    """Return what was wrong with the damaged file that a session was imported from, as far as the import log says."""
    reasons = [record.reason for record in view.imports.of_session(session.session_id)]
    return "; ".join(reason for reason in reasons if reason) or None


def _read(view: View, session: SessionRecord, wanted: int) -> tuple[int, list[Any]]:
    """Return the last `wanted` messages, and the position of the first of them."""
    pages = [view.messages.tail(session.session_id, limit=max(1, min(wanted, _PAGE)))]
    left = wanted - len(pages[0].items)
    while left > 0 and pages[-1].previous is not None:
        pages.append(view.messages.page(session.session_id, before=pages[-1].previous, limit=min(left, _PAGE)))
        left -= len(pages[-1].items)
    return pages[-1].first_position, [message for page in reversed(pages) for message in page.items]


@contextlib.contextmanager
def pager(console: Console, *, wanted: bool) -> Iterator[None]:
    """Send what the block prints through the pager, if that is wanted and there is a terminal."""
    if not (wanted and console.is_terminal):
        yield
        return
    # As git does: colours, no paging of what fits the screen, and the text stays there afterwards.
    options = os.environ.setdefault("LESS", "FRX")
    with console.pager(styles=console.color_system is not None and "R" in options.upper()):
        yield


def print_transcript(console: Console, first: int, messages: Sequence[Any]) -> None:
    """Print messages, the first of which is at position `first`."""
    from .messages import render_message

    if first:
        console.print()
        say(console, f"… {count(first, 'earlier message')}", "dim")
    for position, message in enumerate(messages, first):
        for part in render_message(position, message, width=console.width if console.is_terminal else None):
            # For a program, a line of a message stays a line, however long.
            console.print(part, soft_wrap=not console.is_terminal)


def _print_facts(
    console: Console, session: SessionRecord, project: str | None, pending: Any, missing: str | None
) -> None:
    now = time.time()
    states = {"pinned": session.pinned, "archived": session.archived, "recovered": session.recovered}
    state = [word for word, holds in states.items() if holds]
    facts = {
        "id": session.session_id,
        "state": ", ".join(state),
        "profile": session.profile,
        "project": project,
        "model": session.model,
        "personality": session.personality,
        "workspace": session.workspace,
        "source": session.source,
        "forked from": session.parent_id,
        "created": when(session.created_at, now),
        "changed": when(session.updated_at, now),
        "tokens": spent(session),
        "messages": f"{session.message_count:,}",
        "unanswered": pending if isinstance(pending, str) else None,
        "damage": missing,
    }
    say(console, titled(session.title), "bold")
    print_facts(console, facts)


def when(then: float, now: float) -> str:
    """Return a time, and how long ago it is."""
    words = age(then, now)
    return f"{moment(then)} ({words if words in ('now', '?') or words.startswith('in ') else f'{words} ago'})"


def spent(session: SessionRecord | AgentSession) -> str | None:
    """Return what a session took of tokens and money."""
    cost = f", ${session.estimated_cost:,.2f}" if session.estimated_cost is not None else ""
    if not (session.input_tokens or session.output_tokens or cost):
        return None
    return f"{session.input_tokens:,} in, {session.output_tokens:,} out{cost}"
