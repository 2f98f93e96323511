"""One store in memory for all examples of a module; each example works in sessions of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hermes_store import Store


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store.open(":memory:") as store:
        yield store
