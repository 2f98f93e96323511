"""Many writers at once"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hermes_store import Store

from .. import writer
from ..bench import Bench, copy
from ..results import FLOOR, OURS
from ..writer import Durability
from . import content

_SECONDS: Final = 1.2
_ROUNDS: Final = 3
_DURABILITIES: Final[tuple[Durability, ...]] = ("full", "normal")
_Run = Callable[[str, Path, Durability, Sequence[str], float], list[list[float]]]


def run(bench: Bench) -> None:
    # Only the smallest scales, for trying the program, have fewer.
    threads, processes = (min(count, bench.settings.size(10 * count, 2)) for count in (16, 8))
    _run(bench, threads, "threads", writer.threads)
    with contextlib.closing(writer.Processes(processes)) as running:
        _run(bench, processes, "processes", running.run)


def _run(bench: Bench, count: int, kind: str, append: _Run) -> None:
    source = content.sessions(bench)
    seconds = _SECONDS * bench.settings.scale**0.5
    for sessions, said in ((["s1"] * count, "one session"), ([f"w{n}" for n in range(count)], "own sessions")):
        for durability in _DURABILITIES:
            taken: dict[str, list[list[float]]] = {name: [[] for _ in sessions] for name in (FLOOR, OURS)}
            for number in range(bench.settings.rounds(_ROUNDS)):
                for name in (FLOOR, OURS) if number % 2 else (OURS, FLOOR):
                    with bench.scratch() as folder:
                        path = copy(source, folder / "both.db")
                        with Store.open(path, durability="normal") as store, store.transaction() as tx:
                            for session_id in set(sessions) - {"s1"}:
                                tx.sessions.create(session_id=session_id, title="A title")
                        parts = append(name, path, durability, sessions, seconds)
                        taken[name] = [before + now for before, now in zip(taken[name], parts, strict=True)]
            _note(bench, f"{count} {kind}, {said}, {durability} durability", taken[FLOOR], taken[OURS], seconds)


def _note(
    bench: Bench, work: str, floor: Sequence[Sequence[float]], ours: Sequence[Sequence[float]], seconds: float
) -> None:
    """Note the appends of a second, the longest wait, and how far the slowest writer is from an equal share."""
    seconds *= bench.settings.rounds(_ROUNDS)
    counts = {name: sum(map(len, taken)) for name, taken in ((FLOOR, floor), (OURS, ours))}
    values = {
        f"{FLOOR}: appends a second": counts[FLOOR] / seconds,
        f"{OURS}: appends a second": counts[OURS] / seconds,
        "ratio": counts[OURS] / max(1, counts[FLOOR]),
        f"{FLOOR}: longest wait, ms": _longest(floor),
        f"{OURS}: longest wait, ms": _longest(ours),
        f"{FLOOR}: least share": _least(floor),
        f"{OURS}: least share": _least(ours),
    }
    bench.measure(work, values)


def _longest(taken: Sequence[Sequence[float]]) -> float:
    return max((one for part in taken for one in part), default=0.0) * 1e3


def _least(taken: Sequence[Sequence[float]]) -> float:
    """Return the appends of the writer with the fewest, compared with an equal share."""
    counts = [len(part) for part in taken]
    return min(counts) * len(counts) / max(1, sum(counts))
