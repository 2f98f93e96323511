"""Every public call but the store's verbs with every hostile value: a result, or an error of this library's.

``python -m tests.support.hostile_surfaces`` prints how many calls there are.
"""

from __future__ import annotations

import functools

import pytest

from tests.support.hostile_surfaces import NO_FILES, SURFACES, problems
from tests.support.hostile_values import HOSTILE, some_of

#: Those of which each has found a fault of its own.
TELLING = ("surrogate", "NUL", "odd text", "pipe")


@pytest.mark.parametrize("surface", SURFACES)
def test_telling_values_are_stored_or_refused(surface: str) -> None:
    _, found = problems(surface, lambda _: TELLING)
    assert found == {}


@pytest.mark.slow
@pytest.mark.parametrize("surface", SURFACES)
def test_all_hostile_values_are_stored_or_refused(surface: str) -> None:
    count, found = problems(surface, functools.partial(some_of, [*HOSTILE, *NO_FILES]))
    assert found == {}
    assert count >= len(HOSTILE)
