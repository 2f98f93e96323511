"""``hermes-store export ID --format …``: one conversation, to read or to share."""

from __future__ import annotations

import enum
from pathlib import Path

import typer

from .. import paths
from ..quoting import size
from .finding import find_session
from .opening import open_existing
from .output import make_console, print_json, say
from .private_file import write_private
from .text import harmless_json, titled


class Format(enum.StrEnum):
    """The values of ``--format``."""

    JSON = "json"
    MARKDOWN = "markdown"
    HTML = "html"


def export_session(wanted: str, form: Format, output: Path | None, db: str, *, force: bool, as_json: bool) -> None:
    """Write a conversation to a file, or to the standard output when `output` is None.

    Args:
        wanted: the session's id, or its beginning.
        force: replace the file if it exists.
        as_json: say what was written as JSON.
    """
    from .. import conversations

    if output is None and (force or as_json):
        raise typer.BadParameter("--force and --json go with --output, or without --format.")
    with open_existing(db) as store, store.snapshot() as view:
        session = find_session(view, wanted, db, what="exported")
        values = view.sessions.as_json(session.session_id)
    if form is Format.JSON:
        content = harmless_json(values) + b"\n"
    else:
        write = conversations.to_html if form is Format.HTML else conversations.to_markdown
        content = write(values).encode("utf-8")
    if output is None:
        typer.echo(content, nl=False)
        return
    path = paths.path_of(output, "file")
    write_private(path, content, force=force)
    if as_json:
        facts = {"session_id": session.session_id, "format": form.value}
        print_json({**facts, "path": str(path), "size_bytes": len(content)})
    else:
        say(make_console(), f"Wrote {session.session_id} ({titled(session.title)}) to {path} ({size(len(content))}).")
