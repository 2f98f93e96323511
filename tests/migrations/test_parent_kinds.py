"""Revision 0006: why the sessions that are there have a parent, as far as they tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from tests.support.first_release import restore_sqlite
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.state_dir import StateDir
from tests.support.upgrading import execute

KINDS = {
    "branch": "fork",
    "worker": "subagent",
    "next": "compression",
    "named": "import",
    "verb": "fork",
    "counted": "fork",
    "damaged": "fork",
    "without": None,
}


def make(target: str, folder: Path) -> None:
    """Make a database of the revision before, with links of each kind."""
    state = StateDir(folder)
    files: dict[str, dict[str, Any]] = {
        "old": {"pre_compression_snapshot": True},
        "named": {"parent_session_id": "other"},
        "next": {"parent_session_id": "old"},
        "branch": {"parent_session_id": "old", "session_source": "fork"},
        "worker": {"parent_session_id": "other", "source_tag": "subagent"},
        "other": {},
    }
    for name, values in files.items():
        state.session(name, "hi", **values)
    with Store.open(target) as store:
        import_directory(store, state.root)
        store.sessions.create(session_id="verb", parent_id="other")
        store.sessions.create(session_id="counted", parent_id="other", forked_at=2)
        store.sessions.create(session_id="damaged", parent_id="other")
        store.documents.put("damaged", {"k": 1})
        store.sessions.create(session_id="without")
    revision = schema_revision_before()
    output(alembic("-x", f"url={target}", "downgrade", revision))
    execute(target, "UPDATE session_extras SET payload = '{' WHERE payload = '{\"k\":1}'")


def schema_revision_before() -> str:
    """Return the revision that 0006 follows."""
    return next(line.split()[0] for line in alembic("history").stdout.splitlines() if "-> 0006" in line)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        target = str(tmp_path / "old.db")
    else:
        make_database: Callable[..., str] = request.getfixturevalue("make_postgres_database")
        target = make_database(empty=True)
    make(target, tmp_path / "files")
    return target


@pytest.mark.slow
def test_the_upgrade_fills_the_kinds_of_links(database: str) -> None:
    assert "parent_kind" not in schema_of(database)["sessions"]["columns"]
    with Store.open(database) as store:
        found = {name: store.sessions.get(name).parent_kind for name in KINDS}
        assert found == KINDS
        assert all((store.sessions.get(name).parent_id is None) == (kind is None) for name, kind in KINDS.items())


def test_the_links_of_the_first_release_have_kinds(tmp_path: Path) -> None:
    with Store.open(restore_sqlite(tmp_path / "first.db")) as store:
        found = list(store.sessions.iterate(include_empty=True))
        assert {one.parent_kind for one in found if one.parent_id is None} == {None}
        assert {one.parent_kind for one in found if one.parent_id is not None} <= {"fork", "import", "subagent"}
        assert any(one.parent_id is not None for one in found)
