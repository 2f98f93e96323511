"""What was measured, as the table, the plots and the JSON file show it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from .timing import Figures

#: The names of contenders. All others are peers.
FLOOR: Final = "floor"
OURS: Final = "hermes_store"
JSON_FILES: Final = "JSON files"


@dataclass(frozen=True)
class Comparison:
    """One work, and what each contender took for it."""

    section: str
    work: str
    contenders: Mapping[str, Figures]
    #: The curve that it is a point of, and where.
    curve: str | None = None
    size: int | None = None

    def cpu(self, name: str) -> float | None:
        """Return a contender's processor time in milliseconds; None if it does not do this work."""
        found = self.contenders.get(name)
        return None if found is None else found.cpu

    def ratio(self, measure: str) -> float | None:
        """Return ours divided by the floor's, of "cpu" or "wall"; None if there is no floor."""
        if OURS not in self.contenders or FLOOR not in self.contenders:
            return None
        floor = getattr(self.contenders[FLOOR], measure)
        return getattr(self.contenders[OURS], measure) / floor if floor else None

    def peers(self) -> dict[str, float]:
        """Return the peers' processor times in milliseconds."""
        return {name: one.cpu for name, one in self.contenders.items() if name not in (FLOOR, OURS, JSON_FILES)}


@dataclass(frozen=True)
class Measurement:
    """One work, and figures that are not times of single calls, by names that tell their unit."""

    section: str
    work: str
    values: Mapping[str, float]


@dataclass
class Results:
    """Everything that was measured."""

    #: The date, the versions, and the kind of machine.
    about: dict[str, str]
    #: The sections, in their order.
    titles: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    #: What was left out, and why.
    notes: list[str] = field(default_factory=list)

    def sections(self) -> Iterator[tuple[str, list[Comparison], list[Measurement]]]:
        """Yield each section's title, its comparisons and its measurements."""
        for title in self.titles:
            yield (
                title,
                [one for one in self.comparisons if one.section == title],
                [one for one in self.measurements if one.section == title],
            )

    def find(self, work: str) -> Comparison | None:
        """Return the comparison of a work; None if it was not made."""
        return next((one for one in self.comparisons if one.work == work), None)

    def curve(self, name: str) -> list[Comparison]:
        """Return the points of a curve, the smallest size first."""
        return sorted((one for one in self.comparisons if one.curve == name), key=lambda one: one.size or 0)

    def peer_names(self) -> list[str]:
        """Return the names of the peers that took part, in the order of their appearance."""
        return list(dict.fromkeys(name for one in self.comparisons for name in one.peers()))

    def write(self, path: Path) -> None:
        """Write them as JSON, with four digits of each number."""
        text = json.dumps(_rounded(dataclasses.asdict(self)), indent=1, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `write` wrote."""
        data = json.loads(path.read_bytes())
        comparisons = [
            Comparison(**{**one, "contenders": {name: Figures(**each) for name, each in one["contenders"].items()}})
            for one in data["comparisons"]
        ]
        measurements = [Measurement(**one) for one in data["measurements"]]
        return cls(data["about"], data["titles"], comparisons, measurements, data["notes"])


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_rounded(each) for each in value]
    return value
