"""The command line, run in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from typer.testing import CliRunner, Result

from hermes_store.cli.app import app


def invoke(arguments: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Result:
    """Run a command with changes of the environment, and return its output and how it ended."""
    return CliRunner().invoke(app, [str(one) for one in arguments], env=env)
