"""Proof: in a damaged database nothing wrong is read, nothing fails but by typed errors, and `verify` finds the damage.

Each trial flips bits of a closed database, or replaces a part or a page of it, and lets tools work on copies of it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hermes_store import DatabaseCorruptError, HermesStoreError, Store
from hermes_store.maintenance import verify
from tests.proofs.result import Result
from tests.support.damaged_files import DOCUMENT, damage, make, message, problems

#: What works on a damaged database, in a folder of its own, named ``hermes.db``. It returns what was wrong, and counts.
Tool = Callable[[Path, Result], list[str]]

_SESSIONS: Final = range(6)


def prove(*, trials: int, seed: int = 0, tools: Sequence[Tool] | None = None) -> Result:
    """Damage a database, each time in another way.

    Args:
        trials: how many.
        seed: of the first one; the following ones have the following seeds.
        tools: what works on it; reading and `verify` when None.
    """
    result = Result()
    with tempfile.TemporaryDirectory(prefix="damage-") as name:
        make(Path(name) / "whole.db")
        data = (Path(name) / "whole.db").read_bytes()
        for number in range(seed, seed + trials):
            result.count("trials")
            damaged = damage(data, number)
            for tool in TOOLS if tools is None else tools:
                with tempfile.TemporaryDirectory(dir=name) as one:
                    (Path(one) / "hermes.db").write_bytes(damaged)
                    result.problems += [f"seed {number}: {problem}" for problem in tool(Path(one), result)]
    return result


def read_everything(folder: Path, _: Result) -> list[str]:
    """Read, list and export."""
    return problems(folder)


def find_with_verify(folder: Path, result: Result) -> list[str]:
    """Run `verify`, which has to find what cannot be read."""
    try:
        with Store.open(folder / "hermes.db", durability="normal") as store:
            touched = [name for session in _SESSIONS for name in _unreadable(store, session)]
            result.count("trials that touched data", bool(touched))
            try:
                report = verify(store)
            except DatabaseCorruptError:
                result.count("databases that verify refuses as damaged")
                return []
            result.count("databases in which verify finds damage", not report.ok)
            if touched and report.ok:
                return [f"verify does not find that {touched[0]}"]
    except HermesStoreError:
        result.count("databases that cannot be opened")
    except Exception as error:  # whatever it is, it is a problem
        return [f"verify: {type(error).__name__}: {error}"]
    return []


def _unreadable(store: Store, session: int) -> list[str]:
    """Return what of a session cannot be read as it was written."""
    session_id = f"s{session}"
    expected = [message(session, position) for position in range(20)]
    found = []
    for name, read in (
        ("messages", lambda: store.messages.read(session_id) == expected),
        ("document", lambda: store.documents.read(session_id, "large") == {"large": DOCUMENT}),
    ):
        try:
            is_there = read()
        except HermesStoreError:
            is_there = False
        if not is_there:
            found.append(f"the {name} of {session_id} cannot be read")
    return found


TOOLS: Final[Sequence[Tool]] = (read_everything, find_with_verify)
