"""Asking on the terminal before something is done that cannot be undone."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .exits import CommandError, ExitCode
from .text import printable

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; needed where there is no terminal.")]


def require_terminal(nothing: str) -> None:
    """End where nobody can be asked.

    Args:
        nothing: what did not happen, as in "Nothing was deleted".
    """
    if not sys.stdin.isatty():
        raise CommandError(f"{nothing}: there is no terminal to ask on; --yes says yes.", ExitCode.USAGE)


def confirmed(question: str) -> bool:
    """Ask, on the terminal, and return whether the answer is yes."""
    try:
        return typer.confirm(printable(question), err=True)
    except typer.Abort:
        sys.stderr.write("\n")
        raise KeyboardInterrupt from None
