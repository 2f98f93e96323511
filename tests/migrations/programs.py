"""Other processes: Alembic's command line, and Python programs that use the library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def alembic(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `alembic` in the repository's root."""
    return run(sys.executable, "-m", "alembic", *arguments, cwd=ROOT, **environment)


def python(program: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program, to which a warning is an error."""
    return run(sys.executable, "-W", "error", "-c", program, *arguments, cwd=cwd, **environment)


def run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120, check=False
    )


def output(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a program printed, which must have ended well."""
    assert done.returncode == 0, done.stderr
    return done.stdout
