"""Start a process"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..bench import Bench, copy
from ..results import FLOOR, OURS
from ..timing import Action
from .content import transcripts

_ROOT = Path(__file__).parents[2]
_LIST = "import sys; from hermes_store import Store; Store.open(sys.argv[1]).sessions.list()"
# `import pydantic` and `import rich` load next to nothing: their classes are loaded when they are asked for.
_LIBRARIES = "import sqlalchemy.orm; from pydantic import BaseModel"
_CLI_LIBRARIES = f"import typer; from rich.console import Console; from rich.table import Table; {_LIBRARIES}"
# Modules that are installed have been compiled. Here the first process does that, if it may.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run(bench: Bench) -> None:
    if importlib.util.find_spec("typer") is None:
        bench.results.notes.append("The start of a process is left out: Typer and Rich are not installed.")
        return
    with bench.scratch() as folder:
        path = str(copy(transcripts(bench), folder / "ours.db"))
        command = [sys.executable, "-m", "hermes_store"]
        for work, floor, ours in (
            ("import hermes_store, open, list 50", _LIBRARIES, [sys.executable, "-c", _LIST, path]),
            ("hermes-store list", _CLI_LIBRARIES, [*command, "list", "--db", path]),
            ("hermes-store --help", "import typer, rich", [*command, "--help"]),
            ("hermes-store --version", "import typer, rich", [*command, "--version"]),
        ):
            actions = {FLOOR: _process([sys.executable, "-c", floor]), OURS: _process(ours)}
            bench.compare(f"{work}; the floor: {floor}", actions, rounds=7, warm=0)


def _process(command: Sequence[str]) -> Action:
    return Action(lambda: subprocess.run(command, check=True, capture_output=True, cwd=_ROOT, env=_ENVIRONMENT))
