"""A PostgreSQL server that is stopped at any moment has all that its clients were told is done, and nothing half."""

from __future__ import annotations

import pytest

from tests.proofs import server_kill


@pytest.mark.slow
def test_a_killed_server_loses_no_acknowledged_operation() -> None:
    result = server_kill.prove(kills=3, seed=2)
    assert result.problems == []
    assert result.figures["kills"] == 3
    assert result.figures["acknowledged operations"] >= 10
