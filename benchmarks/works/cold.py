"""First reads from the disk"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hermes_store import Store

from ..bench import Bench, copy
from ..contenders.floor_lists import ListFloor
from ..results import FLOOR, OURS
from ..timing import Action, figures, timed
from .content import transcripts

_OURS: Final[dict[str, Callable[[Store], Any]]] = {
    "list 50": lambda store: store.sessions.list(),
    "get a session": lambda store: store.sessions.get("s7"),
    "last 50 of {:,} messages": lambda store: store.messages.tail("l50"),
}
_FLOOR: Final[dict[str, Callable[[ListFloor], Any]]] = {
    "list 50": lambda floor: floor.page(),
    "get a session": lambda floor: floor.get("s7"),
    "last 50 of {:,} messages": lambda floor: floor.tail("l50"),
}


def run(bench: Bench) -> None:
    if not hasattr(os, "posix_fadvise"):
        bench.results.notes.append("First reads from the disk are measured on Linux only.")
        return
    source = transcripts(bench)
    count = bench.settings.size(50_000, 20)
    with bench.scratch() as folder:
        paths = {name: copy(source, folder / f"{name}.db") for name in (FLOOR, OURS)}
        os.sync()  # what is not on the disk yet cannot be dropped
        for work in _OURS:
            taken: dict[str, list[tuple[float, float]]] = {FLOOR: [], OURS: []}
            for number in range(bench.settings.rounds(12) + 1):
                for name in (FLOOR, OURS) if number % 2 else (OURS, FLOOR):
                    one = _ours(paths[name], _OURS[work]) if name == OURS else _floor(paths[name], _FLOOR[work])
                    if number:  # the first round compiles the statements
                        taken[name].append(one)
            said = work.format(count)
            bench.add(f"{said}, from the disk", {name: figures(times) for name, times in taken.items()})


def drop(path: Path) -> None:
    """Drop a file from the system's page cache. Nothing in this process has it open, so this drops no locks."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _ours(path: Path, verb: Callable[[Store], Any]) -> tuple[float, float]:
    drop(path)
    with Store.open(path) as store:
        return timed(Action(lambda: verb(store)))


def _floor(path: Path, verb: Callable[[ListFloor], Any]) -> tuple[float, float]:
    drop(path)
    floor = ListFloor(path)
    try:
        return timed(Action(lambda: verb(floor)))
    finally:
        floor.close()
