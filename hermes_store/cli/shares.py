"""``hermes-store shares`` and ``revoke``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ..quoting import count
from .completing import session_ids
from .finding import ID_HELP, find_session
from .opening import Database, open_existing, open_to_write
from .output import Json, make_console, plain, print_json, say, say_next
from .rows import After, Limit
from .table import Column, cell, id_column, print_table
from .text import age

if TYPE_CHECKING:
    from ..records import ShareRecord


def list_shares(
    session: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help=f"Only those of a session. {ID_HELP}", show_default=False, autocompletion=session_ids
        ),
    ] = None,
    *,
    profile: Annotated[str | None, typer.Option(metavar="NAME", help="Only those of this profile's sessions.")] = None,
    limit: Limit = 50,
    after: After = None,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """List the shares of sessions, the newest first. `revoke` ends one."""
    with open_existing(db) as store, store.snapshot() as view:
        found = None if session is None else find_session(view, session, db, what="looked at").session_id
        page = view.shares.list(found, profile=profile, limit=limit, after=after)
    if as_json:
        print_json(plain(page))
        return
    console = make_console()
    if page.items:
        print_table(console, _columns(page.items), ["dim" if one.revoked_at else "" for one in page.items])
        console.print()
    more = " on this page" if page.next is not None else ""
    say(console, f"{count(len(page.items), 'share')}{more}.", "dim")
    say_next(console, page.next)


def revoke(
    token: Annotated[
        str,
        typer.Argument(
            metavar="TOKEN", help="What is in the link; -- goes before one that begins with -.", show_default=False
        ),
    ],
    *,
    db: Database = "",
    as_json: Json = False,
) -> None:
    """Revoke a share: whoever has the link reads nothing more. It stays in the list."""
    with open_to_write(db, quiet=as_json) as store:
        share = store.shares.revoke(token)
    if as_json:
        print_json(plain(share))
        return
    say(make_console(), f"Revoked share {share.token} of session {share.session_id}.")


def _columns(shares: Sequence[ShareRecord]) -> list[Column]:
    now = time.time()
    states = ["" if one.revoked_at is None else f"revoked {age(one.revoked_at, now)}" for one in shares]
    return [
        Column(header="Session", rank=2, least=12, whole=True, cells=[cell(one.session_id) for one in shares]),
        Column(header="Age", rank=4, right=True, cells=[age(one.created_at, now) for one in shares]),
        Column(header="Copied", rank=5, right=True, cells=[age(one.updated_at, now) for one in shares]),
        Column(header="State", rank=3, least=7, cells=states),
        id_column([one.token for one in shares]),
    ]
