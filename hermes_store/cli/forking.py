"""``hermes-store fork``, ``lineage``, ``history`` and ``undo``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ..errors import RevisionNotKeptError, UndoError
from ..quoting import count, size
from .exits import CommandError, ExitCode
from .finding import SessionId, find_session
from .opening import Database, command, open_existing, open_to_write
from .output import Json, make_console, plain, print_json, say
from .table import Column, cell, print_table
from .text import age, printable, titled

if TYPE_CHECKING:
    from rich.console import Console

    from ..records import Lineage, MessageCut, RelatedSession, SessionRecord


def fork(
    session_id: SessionId,
    *,
    at: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Begin with the first N messages; with all without it.")
    ] = None,
    revision: Annotated[
        int | None,
        typer.Option(metavar="N", help="The messages as they were at this revision, which `history` lists."),
    ] = None,
    title: Annotated[str | None, typer.Option(metavar="TEXT", help="The title of the new session.")] = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Create a session that begins with the messages of another one, and is linked to it."""
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        session = find_session(view, session_id, db, what="forked")
        try:
            made = view.sessions.fork(session.session_id, at=at, revision=revision, title=title)
        except RevisionNotKeptError as error:
            raise CommandError(
                f"The messages of session {session.session_id!r} at revision {revision} are not kept. Nothing was "
                f"forked; `{command(f'history {session.session_id}', db)}` lists what is kept.",
                ExitCode.NOT_FOUND,
            ) from error
    if as_json:
        print_json(plain(made))
        return
    console = make_console()
    say(console, f"Forked {session.session_id} with {count(made.message_count, 'message')}: {printable(made.title)}")
    say(console, made.session_id)


def lineage(session_id: SessionId, *, db: Database = "", as_json: Json = False) -> None:
    """Show what a session came from, and what came from it, as a tree."""
    with open_existing(db) as store, store.snapshot() as view:
        session = find_session(view, session_id, db, what="shown")
        found = view.sessions.lineage(session.session_id)
    if as_json:
        print_json({"session": plain(session), **plain(found)})
        return
    _print_tree(make_console(), session, found)


def _print_tree(console: Console, session: SessionRecord, found: Lineage) -> None:
    depth = len(found.ancestors)
    for level, one in enumerate(reversed(found.ancestors)):
        _print_line(console, one, level)
    facts = [session.session_id, count(session.message_count, "message")]
    _print_level(console, depth, [titled(session.title), *facts], "bold")
    for one in found.descendants:
        _print_line(console, one, depth + one.distance)


#: Deeper levels are not indented further: a line would not fit.
_DEEPEST = 30


def _print_line(console: Console, one: RelatedSession, level: int) -> None:
    facts = [titled(one.title), one.session_id, count(one.message_count, "message")]
    if one.parent_id is not None:
        left = "" if one.forked_at is None else f" at {one.forked_at}"
        facts.append(f"{one.kind or 'linked'}{left}")
    if one.deleted_at is not None:
        facts.append("deleted")
    _print_level(console, level, facts)


def _print_level(console: Console, level: int, facts: Sequence[str], style: str = "") -> None:
    text = "  ".join(map(printable, facts))
    console.print(Text("  " * min(level, _DEEPEST) + text, style), soft_wrap=True)


def history(session_id: SessionId, *, db: Database = "", as_json: Json = False) -> None:
    """List what was removed from a session or overwritten in it, the last cut first. `undo` puts that back."""
    with open_existing(db) as store, store.snapshot() as view:
        session = find_session(view, session_id, db, what="shown")
        cuts = view.messages.history(session.session_id)
    if as_json:
        print_json({"items": [plain(cut) for cut in cuts]})
        return
    console = make_console()
    if cuts:
        print_table(console, _columns(cuts), [""] * len(cuts))
        console.print()
    total = sum(cut.messages for cut in cuts)
    kept = count(total, "removed or overwritten message is", "removed or overwritten messages are")
    say(console, f"{count(len(cuts), 'cut')}; {kept} kept.", "dim")
    if cuts:
        say(console, f"`{command(f'fork {session.session_id} --revision N', db)}` brings one back.", "dim")


def _columns(cuts: Sequence[MessageCut]) -> list[Column]:
    now = time.time()
    return [
        Column(header="Revision", rank=1, right=True, cells=[str(cut.revision) for cut in cuts]),
        Column(header="Cut", rank=2, least=8, cells=[cell(cut.verb) for cut in cuts]),
        Column(header="Kept", rank=3, right=True, cells=[f"{cut.messages:,}" for cut in cuts]),
        Column(header="Of", rank=5, right=True, cells=[f"{cut.message_count:,}" for cut in cuts]),
        Column(header="Size", rank=6, right=True, cells=[size(cut.size_bytes) for cut in cuts]),
        Column(header="Age", rank=4, right=True, cells=[age(cut.cut_at, now) for cut in cuts]),
    ]


def undo(session_id: SessionId, *, db: Database = "", as_json: Json = False) -> None:
    """Put back what was last removed from a session or overwritten in it, if no message was written since.

    The exit code is 1 if there was nothing to put back.
    """
    with open_to_write(db, quiet=as_json) as store, store.transaction() as view:
        session = find_session(view, session_id, db, what="changed")
        try:
            result = view.messages.undo(session.session_id)
        except UndoError as error:
            advice = ""
            if error.revision is not None:
                way = command(f"fork {session.session_id} --revision {error.revision}", db)
                advice = f" `{way}` brings the messages from before it back as a new session."
            raise CommandError(
                f"Nothing was undone in session {session.session_id!r}: {error.reason}.{advice}", ExitCode.SOME_FAILED
            ) from error
    if as_json:
        print_json({"session_id": session.session_id, **plain(result)})
        return
    said = f"Put back {count(result.restored, 'message')} in {session.session_id}"
    if result.removed:
        said += f", and removed {count(result.removed, 'message')}"
    say(make_console(), f"{said}; it has {count(result.message_count, 'message')} now.")
