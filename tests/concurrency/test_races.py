"""Verbs at once on PostgreSQL: ids of purged sessions, links, projects and imports stay right, and nobody deadlocks.

`python -m tests.proofs races` tries all pairs of verbs, and more threads for longer.
"""

from __future__ import annotations

import functools
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.outcomes import Outcome
from tests.proofs import races
from tests.support.threads import all_well, together

EXAMPLE = Path(__file__).parents[2] / "examples" / "hermes-home" / "webui"


@pytest.mark.parametrize(
    ("paused", "other"),
    [
        ("create", "create and purge"),
        ("create", "move"),
        ("create", "delete project"),
        ("fork", "retire"),
        ("link up", "link other"),
        ("purge", "link again"),
        ("purge", "save with links"),
        ("delete project", "fork of child"),
        ("into project", "delete project"),
        ("create project", "create another project"),
    ],
)
@pytest.mark.slow
def test_two_verbs_at_once_leave_data_right(postgres_url: str, paused: str, other: str) -> None:
    result = races.pairs(postgres_url, [(paused, other)])
    assert result.problems == []
    assert result.figures["runs"] >= 4


@pytest.mark.slow
def test_sixteen_threads_never_deadlock(postgres_url: str) -> None:
    result = races.mix(postgres_url, seconds=3, threads=16)
    assert result.problems == []
    assert result.figures["verbs done"] >= 16


def test_forks_do_not_wait_for_appends(postgres_url: str) -> None:
    with Store.open(postgres_url) as store, Store.open(postgres_url, busy_timeout=0.05) as hasty:
        store.sessions.create(session_id="parent")
        with store.transaction() as tx:
            tx.messages.append("parent", "one")
            assert hasty.sessions.create(parent_id="parent").parent_id == "parent"


def _failed(outcomes: dict[str, Any]) -> set[str]:
    return {path for path, outcome in outcomes.items() if outcome is Outcome.FAILED}


@pytest.mark.slow
def test_two_imports_of_one_folder_agree(postgres_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "webui"
    shutil.copytree(EXAMPLE, folder)
    barrier = threading.Barrier(2)

    def run() -> dict[str, Any]:
        with Store.open(postgres_url) as store:
            barrier.wait(60)
            report = import_directory(store, folder)
            return {item.path: item.outcome for item in report.items}

    with Store.open(":memory:") as store:
        alone = {item.path: item.outcome for item in import_directory(store, folder).items}
        sessions = len(list(store.sessions.iterate(include_empty=True)))
    one, other = all_well(together(run, run))
    for outcomes in (one, other):
        assert _failed(outcomes) == _failed(alone)
    for path in (path for path, outcome in alone.items() if outcome is Outcome.IMPORTED):
        assert {one[path], other[path]} == {Outcome.IMPORTED, Outcome.UNCHANGED}, path
    with Store.open(postgres_url) as store:
        assert len(list(store.sessions.iterate(include_empty=True))) == sessions


def test_projects_made_at_once_follow_each_other(postgres_url: str) -> None:
    with Store.open(postgres_url) as store:
        all_well(together(*[functools.partial(store.projects.create, name=str(number)) for number in range(4)]))
        assert sorted(one.position for one in store.projects.list().items) == [0, 1, 2, 3]
