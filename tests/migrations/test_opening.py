"""What opening a store does about the schema, in processes of its own where imports or races matter."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.storage import migrations
from tests.support.contents import contents
from tests.support.processes import output, python
from tests.support.schemas import schema_of
from tests.support.upgrading import rows

NewDatabase = Callable[[], str]
HEAVY = ("alembic", "typer", "rich", "psycopg", "sqlalchemy.ext.asyncio", "hermes_store.cli")
IMPORTED = f"import json, sys; print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"


def test_importing_the_library_imports_nothing_unneeded(tmp_path: Path) -> None:
    assert json.loads(output(python(f"import hermes_store; {IMPORTED}", cwd=tmp_path))) == []


@pytest.mark.slow
def test_opening_a_current_database_does_not_import_alembic(filled: Path, tmp_path: Path) -> None:
    program = f"""
import sys
from hermes_store import Store
with Store.open(sys.argv[1]) as store:
    assert store.messages.read("parent")
{IMPORTED}
"""
    assert json.loads(output(python(program, str(filled), cwd=tmp_path))) == []
    fresh = json.loads(
        output(python(program.replace('assert store.messages.read("parent")', "pass"), "new.db", cwd=tmp_path))
    )
    assert "alembic" in fresh  # so it would have been seen


RACER = """
import sys
import alembic.command
from hermes_store import Store
print("ready", flush=True)
sys.stdin.readline()
with Store.open(sys.argv[1]) as store:
    store.sessions.create(title="from a racer")
"""


@pytest.mark.slow
def test_many_processes_open_one_fresh_database_at_once(new_database: NewDatabase) -> None:
    url, other = new_database(), new_database()
    racers = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", RACER, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    errors = [racer.communicate(timeout=120)[1] for racer in racers]
    assert [(racer.returncode, error) for racer, error in zip(racers, errors, strict=True)] == [(0, "")] * 4
    with Store.open(url, migrate=False) as store:
        assert [session.title for session in store.sessions.list().items] == ["from a racer"] * 4
    Store.open(other).close()
    assert schema_of(url) == schema_of(other)


def test_many_threads_open_one_fresh_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "hermes.db"
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: Store.open(path, busy_timeout=60), range(6)))
    ids = {store.sessions.create().session_id for store in stores}
    assert {record.session_id for record in stores[0].sessions.list().items} == ids
    for store in stores:
        store.close()
    assert [file.name for file in path.parent.iterdir()] == ["hermes.db"]


def test_opening_a_current_database_again_writes_nothing(filled: Path) -> None:
    before = filled.read_bytes()
    with Store.open(filled) as store:
        assert len(contents(store)) == 3
    assert filled.read_bytes() == before
    assert [path.name for path in filled.parent.iterdir() if path.suffix == ".bak"] == []


@pytest.mark.parametrize("how", [{}, {"migrate": False}, {"read_only": True}])
def test_a_current_database_opens_in_every_way(filled: Path, how: dict[str, Any]) -> None:
    with Store.open(filled, **how) as store:
        assert store.messages.read("parent")


def test_the_tests_quick_upgrade_gives_the_same_schema(
    tmp_path: Path, upgrade_of_new_files: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(tmp_path / "migrated.db").close()
    monkeypatch.setattr(migrations, "upgrade", upgrade_of_new_files)
    Store.open(tmp_path / "quick.db").close()
    migrated, quick = (str(tmp_path / name) for name in ("migrated.db", "quick.db"))
    assert schema_of(quick) == schema_of(migrated)
    for question in ("SELECT version_num FROM hermes_store_version", "PRAGMA application_id", "PRAGMA user_version"):
        assert rows(quick, question) == rows(migrated, question)
