"""What the tests of the files share: a state directory, and a store on each kind of database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_store import Store
from tests.support.state_dir import StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    """An empty state directory."""
    return StateDir(tmp_path / "webui")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A fresh store, on each kind of database in turn."""
    fixture = "sqlite_path" if request.param == "sqlite" else "postgres_url"
    with Store.open(request.getfixturevalue(fixture), durability="normal") as store:
        yield store


@pytest.fixture
def new_store(sqlite_template: Path, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Open as many fresh stores as are asked for."""
    opened: list[Store] = []

    def make() -> Store:
        path = tmp_path / f"store-{len(opened)}.db"
        path.write_bytes(sqlite_template.read_bytes())  # nobody has it open yet
        opened.append(Store.open(path, durability="normal"))
        return opened[-1]

    yield make
    for store in opened:
        store.close()
