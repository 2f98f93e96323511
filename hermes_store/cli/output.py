"""What commands print on: a console for people, JSON for programs."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from .text import harmless_json, printable

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704 - rich calls this where it caught the error; `exits.reported` ends the command


def is_terminal() -> bool:
    """Whether a person reads the output. Otherwise, no value in it is cut."""
    return sys.stdout.isatty()


def make_console() -> Console:
    """Return a console on standard output; with colours on a terminal, unless NO_COLOR is set."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an encoding without "…" shows "?"
    terminal = is_terminal()
    coloured = terminal and not os.environ.get("NO_COLOR")
    return _Console(
        color_system="auto" if coloured else None,
        force_terminal=terminal,
        markup=False,
        emoji=False,
        highlight=False,
    )


def is_lively(console: Console) -> bool:
    """Whether progress may be drawn on it."""
    return console.is_terminal and not console.is_dumb_terminal and console.color_system is not None


def line(text: str, style: str = "") -> Text:
    """Return one printable line."""
    return Text(printable(text), style=style)


def say(console: Console, text: str, style: str = "") -> None:
    """Print a line, which stays one however long it is: paths, cursors and commands in it are there to be copied."""
    console.print(line(text), style=style, soft_wrap=True)


def say_next(console: Console, after: str | None) -> None:
    """Say how to have the next page, if there is one."""
    if after is not None:
        say(console, f"For the next ones, add --after {after}")


def plain(value: Any) -> Any:
    """Return a record as a dict, with the records in it, whatever depth its JSON values have."""
    from ..record_base import Record

    if isinstance(value, Record):
        return {name: plain(part) for name, part in vars(value).items()}
    if isinstance(value, list | tuple) and value and isinstance(value[0], Record):
        return [plain(one) for one in value]
    return value


def print_json(value: Any) -> None:
    """Print a value as JSON in UTF-8, whatever is in it."""
    typer.echo(harmless_json(value))
