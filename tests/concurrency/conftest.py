"""Each test of a behaviour under concurrency runs on a SQLite file and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hermes_store import Store

# Forking beside threads is what these tests are about; newer Pythons warn of it.
FORK_WARNING = "ignore:.*multi-threaded, use of (fork|forkpty):DeprecationWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings(FORK_WARNING))


@pytest.fixture(params=["sqlite-file", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    """Where a fresh database is that processes can share."""
    return str(request.getfixturevalue("sqlite_path" if request.param == "sqlite-file" else "postgres_url"))


@pytest.fixture
def store(target: str) -> Iterator[Store]:
    with Store.open(target, durability="normal", busy_timeout=60) as store:
        yield store
