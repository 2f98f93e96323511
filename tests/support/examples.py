"""How many examples Hypothesis tries."""

from __future__ import annotations

from tests.support.hostile_values import EVERYWHERE


def examples(number: int) -> int:
    """Return that number, which is what each run of the tests affords; five times as many when all values are tried."""
    return 5 * number if EVERYWHERE else number
