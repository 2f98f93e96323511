"""``hermes-store prune``: what nobody has used for long goes to the trash."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..quoting import count
from .filters import Profile
from .opening import Database, command, open_existing, open_to_write
from .output import Json, make_console, plain, print_json, say
from .projects import project_names
from .rows import of_store, print_rows
from .sorting import last_activity
from .text import titled
from .times import FORMS, moment

if TYPE_CHECKING:
    from ..records import SessionRecord
    from ..store import View


def prune(
    *,
    older_than: Annotated[
        str,
        typer.Option(
            metavar="TIME", show_default=False, help=f"Sessions whose last activity was before then: {FORMS}."
        ),
    ],
    keep_pinned: Annotated[bool, typer.Option("--keep-pinned", help="Keep pinned sessions, however old.")] = False,
    profile: Profile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be deleted; delete nothing.")] = False,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Move sessions without activity for some time to the trash. `restore` brings them back, `purge` removes them."""
    until = moment("--older-than", older_than) or 0.0
    if dry_run:
        with open_existing(db) as store, store.snapshot() as view:
            planned = _inactive(view, until, profile, keep_pinned=keep_pinned)
            names = project_names(view)
        if as_json:
            print_json({"dry_run": True, "items": [plain(session) for session in planned]})
            return
        console = make_console()
        rows = [of_store(session, names, then=last_activity(session)) for session in planned]
        if rows:
            print_rows(console, rows, age_header="Active")
        say(console, f"Would move {count(len(rows), 'session')} to the trash.")
        return
    with open_to_write(db, quiet=as_json) as store:
        done = store.sessions.delete_inactive(older_than=time.time() - until, keep_pinned=keep_pinned, profile=profile)
        records = store.sessions.get_many(done, deleted=True)
    _print_done([records[one] for one in done if one in records], db, as_json=as_json)


def _inactive(view: View, until: float, profile: str | None, *, keep_pinned: bool) -> list[SessionRecord]:
    from ..deletion import is_inactive

    pinned = False if keep_pinned else None
    found = view.sessions.iterate(profile=profile, pinned=pinned, until=until, order="activity", include_empty=True)
    return [session for session in found if is_inactive(session, until)]


def _print_done(done: Sequence[SessionRecord], db: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": False, "items": [plain(session) for session in done]})
        return
    console = make_console()
    for session in done:
        say(console, f"Deleted {session.session_id} ({titled(session.title)}).")
    hint = f" `{command('trash', db)}` lists them, `{command('restore ID...', db)}` brings them back." if done else ""
    say(console, f"{count(len(done), 'session')} went to the trash.{hint}")
