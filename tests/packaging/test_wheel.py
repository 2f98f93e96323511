"""The wheel alone, as `pip install` gets it: it has everything, and works where there is no repository."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store.storage import migrations
from tests.support.building import SOURCES, copy_sources, install, run_clean
from tests.support.first_release import restore_sqlite
from tests.support.paths import EXAMPLE_STATE_DIR, ROOT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The wheel, built from a copy of the sources in an environment of its own, as at a release."""
    source = copy_sources(folder / "source", *SOURCES)
    run_clean(sys.executable, "-m", "build", "--wheel", "--outdir", folder / "dist", source, cwd=folder)
    [built] = (folder / "dist").iterdir()
    return built


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Callable[[str], Any]:
    """Run a program that prints JSON in a fresh environment with nothing but the wheel and what it requires."""
    python = install(folder / "environment", wheel)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    return lambda program: json.loads(run_clean(python, "-W", "error", "-c", program, cwd=elsewhere))


def test_the_wheel_holds_modules_migrations_and_type_marker(wheel: Path) -> None:
    expected = {"hermes_store/py.typed", "hermes_store/migrations/script.py.mako"}
    for package, target in (("hermes_store", "hermes_store"), ("migrations", "hermes_store/migrations")):
        modules = (ROOT / package).rglob("*.py")
        expected |= {f"{target}/{module.relative_to(ROOT / package).as_posix()}" for module in modules}
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_wheel_installs_without_its_extras(installed: Callable[[str], Any], folder: Path) -> None:
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


def test_the_wheel_writes_and_reads_a_new_database(installed: Callable[[str], Any]) -> None:
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


def test_the_installed_command_line_manages_the_schema(folder: Path, wheel: Path, tmp_path: Path) -> None:
    python = install(folder / "with the command line", f"{wheel}[cli]")

    def program(*arguments: str) -> str:
        return run_clean(python, "-W", "error", "-m", "hermes_store", *arguments, cwd=tmp_path)

    script = program("db", "sql", "--db", "made.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "made.db")) as connection:
        connection.executescript(script)
    assert program("db", "current", "--db", "made.db") == f"{migrations.HEAD} (head)\n"
    assert "as revision" in program("db", "check", "--db", "made.db")
    assert f"{migrations.HEAD} (head)" in program("db", "history")
    assert "which is the newest" in program("db", "upgrade", "--db", "made.db")
    restore_sqlite(tmp_path / "old.db")
    assert f"is at {migrations.HEAD} now" in program("db", "upgrade", "--db", "old.db")
