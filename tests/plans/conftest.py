"""Databases to measure, each made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hermes_store import Store
from tests.support import list_sample as sample


@pytest.fixture(scope="module")
def databases(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sample.Databases]:
    folder = tmp_path_factory.mktemp("databases")
    made: dict[tuple[int, bool], Store] = {}
    with ExitStack() as stack:

        def database(count: int, analyzed: bool) -> Store:
            if (count, analyzed) not in made:
                path = shutil.copy(sqlite_template, folder / f"{count}-{analyzed}.db")
                store = made[count, analyzed] = stack.enter_context(Store.open(path, durability="normal"))
                sample.fill(store, count)
                if analyzed:
                    sample.analyze(store)
            return made[count, analyzed]

        yield database


@pytest.fixture(params=[False, True], ids=["no statistics", "after ANALYZE"])
def analyzed(request: pytest.FixtureRequest) -> bool:
    """Whether SQLite knows how many rows there are: without, its planner guesses."""
    return bool(request.param)
