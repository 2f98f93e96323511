"""What every work is given: the settings, the databases, the peers, and where its results go."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import databases, timing
from .peers import Peer, PeerSet
from .results import Comparison, Measurement, Results
from .timing import Action, Figures


@dataclass(frozen=True)
class Settings:
    """What the command line says."""

    #: 1 for the sizes and rounds that are published.
    scale: float
    #: Where databases are made; it must be on a real disk.
    folder: Path
    peers: bool
    #: The server whose databases are used; one is started if it is None.
    postgres: str | None

    def size(self, number: int, least: int = 1) -> int:
        """Return a size at this scale."""
        return max(least, round(number * self.scale))

    def rounds(self, number: int) -> int:
        """Return a number of rounds at this scale: fewer of them matter less than smaller sizes."""
        return max(1, round(number * math.sqrt(self.scale)))


class Bench:
    """One run of the program."""

    def __init__(self, settings: Settings, results: Results) -> None:
        self.settings = settings
        self.results = results
        self.section = ""
        self._peers = PeerSet(settings.folder, results.notes.append) if settings.peers else None

    def begin(self, section: str) -> None:
        """Begin a section, to which belongs what is measured from now on."""
        self.section = section
        self.results.titles.append(section)

    def database(self, name: str, content: databases.Content) -> Path:
        """Return a database with this content, made once. Copy it before you write to it."""
        return databases.build(self.settings.folder / f"{name}.db", content)

    def empty(self, target: Path) -> Path:
        """Make a database without rows, and return its path."""
        return copy(databases.empty(self.settings.folder), target)

    def peers(self, stack: contextlib.ExitStack, folder: Path, *, messages: int = 0, sessions: int = 0) -> list[Peer]:
        """Open the peers, as `PeerSet.open`; none if the settings leave them out."""
        return [] if self._peers is None else self._peers.open(stack, folder, messages=messages, sessions=sessions)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give a folder that is removed afterwards."""
        with tempfile.TemporaryDirectory(dir=self.settings.folder, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def compare(
        self,
        work: str,
        actions: Mapping[str, Action | Callable[..., Any]],
        *,
        rounds: int,
        inner: int = 1,
        warm: int = 1,
        before: Callable[[str], object] | None = None,
        curve: tuple[str, int] | None = None,
    ) -> None:
        """Measure contenders, as `timing.compare`, and note what they took.

        Args:
            work: what they do.
            actions: by contender. Functions take no arguments.
            curve: the curve that it is a point of, and where.
        """
        made = {name: one if isinstance(one, Action) else Action(one) for name, one in actions.items()}
        taken = timing.compare(made, rounds=self.settings.rounds(rounds), inner=inner, warm=warm, before=before)
        self.add(work, taken, curve)

    def add(self, work: str, taken: Mapping[str, Figures], curve: tuple[str, int] | None = None) -> None:
        """Note what contenders took."""
        name, size = curve or (None, None)
        self.results.comparisons.append(Comparison(self.section, work, taken, name, size))

    def measure(self, work: str, values: Mapping[str, float]) -> None:
        """Note figures that are not times of single calls, by names that tell their unit."""
        self.results.measurements.append(Measurement(self.section, work, values))


def copy(source: Path, target: Path) -> Path:
    """Copy a database that nobody has open, and flush it, so that nothing that is measured has to."""
    shutil.copyfile(source, target)
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    return target
