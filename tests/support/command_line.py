"""The command line, run in this process."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer.testing
from typer.testing import CliRunner, Result

from hermes_store.cli.app import app

# Typer makes all commands anew for each call, which takes longer than most of the calls.
_testing: Any = typer.testing
_testing._get_command = functools.cache(_testing._get_command)


def invoke(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Result:
    """Run a command with changes of the environment, and return its output and how it ended."""
    return CliRunner().invoke(app, [str(one) for one in arguments], env=env)
