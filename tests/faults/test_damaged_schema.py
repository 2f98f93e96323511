"""One byte of the schema is damaged: everything is listed and exported, as it is or after what the error names."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.damaged_schema import example, fuzz


@pytest.mark.slow
def test_a_damaged_schema_costs_nothing(tmp_path: Path) -> None:
    data, expected, places = example(tmp_path)
    ways, failures = fuzz(places[::331], data, expected, seed=2)
    assert failures == {}
    assert ways["repair"] > 10
