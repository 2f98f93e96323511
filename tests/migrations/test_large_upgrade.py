"""A large database is upgraded in little memory. `python -m tests.proofs upgrade` has one of 2 GB."""

from __future__ import annotations

import pytest

from tests.proofs import upgrade


@pytest.mark.slow
def test_an_upgrade_takes_little_memory_and_goes_back() -> None:
    result = upgrade.prove(megabytes=1)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.problems == []
    assert result.figures["messages"] == 600
