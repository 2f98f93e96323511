"""Bytes of the file are flipped or zeroed: nothing wrong is read, and nothing fails but by this library's errors."""

from __future__ import annotations

import pytest

from tests.support.damaged_files import fuzz


@pytest.mark.slow
@pytest.mark.parametrize("first", [0, 100, 200])
def test_damaged_bytes_give_right_values_or_errors(first: int) -> None:
    assert fuzz(first, 100) == {}
