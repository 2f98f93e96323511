"""``hermes-store show``."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Console

from ..errors import SessionNotFoundError
from ..records import SessionRecord
from ..store import View
from .exits import CommandError, ExitCode
from .messages import render_message
from .opening import Database, open_existing
from .output import Json, make_console, print_json, say
from .table import print_facts
from .text import age, count, moment, printable, shortened

_PAGE = 1000


def show(
    session_id: Annotated[
        str, typer.Argument(metavar="ID", help="A session's id, or as much of its beginning as fits no other.")
    ],
    tail: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N messages.")] = None,
    no_pager: Annotated[bool, typer.Option("--no-pager", help="Do not page, even on a terminal.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Show a session and its transcript. Tool calls and results are shortened; --json has all of everything."""
    with open_existing(db) as store, store.snapshot() as view:
        session = _find(view, session_id.rstrip("…"))
        documents = view.documents.read(session.session_id, *([] if as_json else ["pending_user_message"]))
        first, messages = _read(view, session, tail or session.message_count)
        project = None if session.project_id is None else view.projects.get(session.project_id).name
    if as_json:
        print_json(
            {"session": session.model_dump(), "documents": documents, "first_position": first, "messages": messages}
        )
        return
    console = make_console()
    with _pager(console, wanted=not no_pager):
        _print_facts(console, session, project, documents.get("pending_user_message"))
        if first:
            console.print()
            say(console, f"… {count(first, 'earlier message')}", "dim")
        for position, message in enumerate(messages, first):
            for part in render_message(position, message):
                # For a program, a line of a message stays a line, however long.
                console.print(part, soft_wrap=not console.is_terminal)


def _find(view: View, wanted: str) -> SessionRecord:
    """Return the session that is called `wanted`, or the only one whose id begins so; otherwise, end."""
    try:
        return view.sessions.get(wanted)
    except SessionNotFoundError:
        fits = [session for session in view.sessions.iterate() if session.session_id.startswith(wanted)]
        if not fits:
            raise
    if len(fits) > 1:
        ids = ", ".join(session.session_id for session in fits[:5])
        more = ", …" if len(fits) > 5 else ""
        raise CommandError(
            f"The ids of {len(fits)} sessions begin with {wanted!r}: {ids}{more}. Give more of it.", ExitCode.NOT_FOUND
        )
    return fits[0]


def _read(view: View, session: SessionRecord, wanted: int) -> tuple[int, list[Any]]:
    """Return the last `wanted` messages, and the position of the first of them."""
    pages = [view.messages.tail(session.session_id, limit=max(1, min(wanted, _PAGE)))]
    left = wanted - len(pages[0].items)
    while left > 0 and pages[-1].previous is not None:
        pages.append(view.messages.page(session.session_id, before=pages[-1].previous, limit=min(left, _PAGE)))
        left -= len(pages[-1].items)
    return pages[-1].first_position, [message for page in reversed(pages) for message in page.items]


@contextlib.contextmanager
def _pager(console: Console, *, wanted: bool) -> Iterator[None]:
    if not (wanted and console.is_terminal):
        yield
        return
    # As git does: colours, no paging of what fits the screen, and the text stays there afterwards.
    options = os.environ.setdefault("LESS", "FRX")
    with console.pager(styles=console.color_system is not None and "R" in options.upper()):
        yield


def _print_facts(console: Console, session: SessionRecord, project: str | None, pending: Any) -> None:
    now = time.time()
    state = [word for word, holds in (("pinned", session.pinned), ("archived", session.archived)) if holds]
    spent = f", ${session.estimated_cost:,.2f}" if session.estimated_cost is not None else ""
    tokens = f"{session.input_tokens:,} in, {session.output_tokens:,} out{spent}"
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
        "created": f"{moment(session.created_at)} ({_ago(session.created_at, now)})",
        "changed": f"{moment(session.updated_at)} ({_ago(session.updated_at, now)})",
        "tokens": tokens if session.input_tokens or session.output_tokens or spent else None,
        "messages": f"{session.message_count:,}",
        "unanswered": shortened(printable(pending), lines=1, characters=200) if isinstance(pending, str) else None,
    }
    say(console, session.title, "bold")
    print_facts(console, facts)


def _ago(then: float, now: float) -> str:
    words = age(then, now)
    return words if words in ("now", "?") or words.startswith("in ") else f"{words} ago"
