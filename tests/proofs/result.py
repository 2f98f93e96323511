"""What a proof found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Result:
    """What was done, in figures, and what was wrong. A proof with a problem has failed."""

    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    #: Why it was not tried here; empty if it was.
    skipped: str = ""

    def count(self, name: str, by: int = 1) -> None:
        """Count something that was done."""
        self.figures[name] = self.figures.get(name, 0) + by

    def add(self, other: Result) -> None:
        """Take over what another part of the proof found."""
        for name, value in other.figures.items():
            if isinstance(value, int):
                self.count(name, value)
            else:
                self.figures[name] = value
        self.problems += other.problems

    def text(self) -> str:
        """Return it for people to read."""
        if self.skipped:
            return f"skipped: {self.skipped}"
        lines = [
            f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}"
            for name, value in self.figures.items()
        ]
        same = Counter(self.problems)
        lines += [f"PROBLEM ({count} times): {problem}" for problem, count in same.most_common(50)]
        return "\n".join(lines)
