"""The page on the command line names every command, option and exit code."""

from __future__ import annotations

import re
from typing import Any

import typer.main

from hermes_store.cli.app import app
from hermes_store.cli.exits import ExitCode
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")


def walk(command: Any, words: list[str]) -> Any:
    """Yield each command that is no group, with its words."""
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, [*words, name])
    if not hasattr(command, "commands"):
        yield " ".join(words), command


def test_every_command_and_option_is_on_the_page() -> None:
    program: Any = typer.main.get_command(app)
    missing = set()
    for name, command in walk(program, []):
        if not re.search(rf"`{name}\b", PAGE):
            missing.add(name)
        options = [option for one in command.params for option in (*one.opts, *one.secondary_opts)]
        missing |= {one for one in options if one.startswith("--") and not re.search(rf"`[^`]*{one}\b", PAGE)}
    assert missing == set()


def test_every_exit_code_is_on_the_page() -> None:
    for code in ExitCode:
        assert f"| {code.value} | {code.meaning}" in PAGE
