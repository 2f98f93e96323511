"""One suite, every backend: `store` is a fresh store on each of them in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hermes_store import Store


@pytest.fixture(params=["sqlite-file", "sqlite-memory", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    """Where a fresh database is, on the backend under test."""
    if request.param == "sqlite-file":
        return str(request.getfixturevalue("sqlite_path"))
    if request.param == "sqlite-memory":
        return ":memory:"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(target: str) -> Iterator[Store]:
    with Store.open(target, durability="normal") as store:
        yield store


@pytest.fixture
def session_id(store: Store) -> str:
    """A session without messages."""
    return store.sessions.create(title="Trip").session_id
