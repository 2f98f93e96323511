"""Builds and installs of the package, from a copy of the sources, so that neither leaves anything in the other."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

from tests.support.paths import ROOT

#: What a build needs.
SOURCES: Final = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "hermes_store", "migrations")
#: What only the source distribution has besides.
MORE: Final = (".ci", "CHANGELOG.md", "CONTRIBUTING.md", "alembic.ini", "benchmarks", "docs", "examples", "tests")


def run_clean(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Return what a program prints, which must end well; nothing from here is on its Python path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_sources(target: Path, *names: str) -> Path:
    """Copy parts of the repository, without leftovers of other builds, and return where they are."""
    target.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".hypothesis")
            shutil.copytree(ROOT / name, target / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, target / name)
    return target


def install(folder: Path, *what: str | Path) -> Path:
    """Make an environment in a folder, install something into it, and return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / Path(sys.executable).name
    # (what is imported in it is compiled then)
    options = ("--quiet", "--no-compile")
    run_clean(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=folder.parent)
    return python
