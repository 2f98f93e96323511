"""Proof: a salvage of a damaged database brings back every session that is whole, and nothing that was never there."""

from __future__ import annotations

from tests.proofs.result import Result
from tests.support.salvaged_files import fuzz


def prove(*, trials: int, seed: int = 0) -> Result:
    """Damage a database, each time in another way, and salvage it.

    Args:
        trials: how many.
        seed: of the first one; the following ones have the following seeds.
    """
    failures = fuzz(seed, trials)
    return Result(
        figures={"trials": trials, "salvages that brought back every whole session": trials - len(failures)},
        problems=[f"seed {number}: {problem}" for number, found in failures.items() for problem in found],
    )
