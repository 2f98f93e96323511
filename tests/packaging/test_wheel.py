"""The wheel alone, as `pip install` gets it: it has everything, and works where there is no repository."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store.storage import migrations
from tests.support.paths import EXAMPLE_STATE_DIR, ROOT

pytestmark = pytest.mark.slow

#: What a build needs. The copy has no leftovers of other builds, and the repository gets none of this one.
SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "hermes_store", "migrations")
NO_CACHES = shutil.ignore_patterns("__pycache__")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Return what a program prints, which must end well; nothing from here is on its Python path."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        command, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The wheel, built from a copy of the sources in an environment of its own, as at a release."""
    source = folder / "source"
    source.mkdir()
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=NO_CACHES)
        else:
            shutil.copy(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", source, cwd=folder)
    [built] = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Callable[[str], Any]:
    """Run a program that prints JSON in a fresh environment with nothing but the wheel and what it requires."""
    environment = folder / "environment"
    venv.create(environment, with_pip=False)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", wheel, cwd=folder)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return lambda program: json.loads(run(python, "-W", "error", "-c", program, cwd=elsewhere))


def test_the_wheel_holds_every_module_the_migrations_and_the_type_marker(wheel: Path) -> None:
    expected = {"hermes_store/py.typed", "hermes_store/migrations/script.py.mako"}
    for package, target in (("hermes_store", "hermes_store"), ("migrations", "hermes_store/migrations")):
        modules = (ROOT / package).rglob("*.py")
        expected |= {f"{target}/{module.relative_to(ROOT / package).as_posix()}" for module in modules}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_environment_has_the_wheel_and_none_of_its_extras(installed: Callable[[str], Any], folder: Path) -> None:
    found = installed(
        """
import importlib.metadata, importlib.util, json, hermes_store, hermes_store.migrations
print(json.dumps({
    "places": [hermes_store.__file__, *hermes_store.migrations.__path__],
    "version": importlib.metadata.version("hermes-store") == hermes_store.__version__,
    "extras": [name for name in ("typer", "rich", "psycopg", "pytest") if importlib.util.find_spec(name)],
}))
"""
    )
    environment = (folder / "environment").resolve()
    assert all(Path(place).resolve().is_relative_to(environment) for place in found["places"])
    assert found["version"] is True
    assert found["extras"] == []


def test_the_wheel_makes_a_database_writes_it_and_reads_it_again(installed: Callable[[str], Any]) -> None:
    found = installed(
        """
import json
from hermes_store import Store
with Store.open("folder/hermes.db") as store:
    project = store.projects.create(name="Work", color="#7aa2f7")
    session = store.sessions.create(title="Trip", project_id=project.project_id)
    store.messages.extend(session.session_id, [{"role": "user", "content": "hi"}])
with Store.open("folder/hermes.db", migrate=False) as store:
    [listed] = store.sessions.list(project_id=project.project_id).items
    print(json.dumps([store.info().schema_revision, listed.title, store.messages.read(listed.session_id)]))
"""
    )
    assert found == [migrations.HEAD, "Trip", [{"role": "user", "content": "hi"}]]


def test_postgresql_without_its_extra_says_what_to_install(installed: Callable[[str], Any]) -> None:
    found = installed(
        """
import json, hermes_store
try:
    hermes_store.Store.open("postgresql://nobody@localhost/nothing")
except hermes_store.UnsupportedDatabaseError as error:
    print(json.dumps(str(error)))
"""
    )
    assert "pip install 'hermes-store[postgres]'" in found


def test_the_wheel_takes_in_a_webui_directory(installed: Callable[[str], Any], tmp_path: Path) -> None:
    home = shutil.copytree(EXAMPLE_STATE_DIR, tmp_path / "webui")
    files = {path.name for path in (home / "sessions").glob("*.json")} - {"_index.json"}
    found = installed(
        f"""
import json
from hermes_store import Store
from hermes_store.files import import_directory
with Store.open("imported.db") as store:
    report = import_directory(store, {str(home)!r})
    sessions = list(store.sessions.iterate(include_empty=True))
    print(json.dumps([
        len(report.failed), len(sessions), sum(len(store.messages.read(s.session_id)) for s in sessions),
        sum(s.message_count for s in sessions),
    ]))
"""
    )
    failed, sessions, messages, counted = found
    assert failed == 0
    assert sessions == len(files)
    assert messages == counted > 0
