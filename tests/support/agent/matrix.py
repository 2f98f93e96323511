"""Every kind of file there is: schemas, journals, and what is going on with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.agent.statedb import VERSIONS, Shape


@dataclass(frozen=True)
class Case:
    """A shape of file, and its state: closed, left by a process that died, or live."""

    shape: Shape
    state: str

    def __str__(self) -> str:
        return f"{self.shape}-{self.state}"


@dataclass(frozen=True)
class AgentFile:
    """A file to read."""

    path: Path
    case: Case

    @property
    def shape(self) -> Shape:
        return self.case.shape


_STATES: Final = {"wal": ("closed", "left", "live"), "delete": ("closed", "live")}
_ODD: Final[tuple[dict[str, Any], ...]] = (
    {"index": False},
    {"null_active": True},
    {"source": False},
    {"extra": True},
    {"index": False, "null_active": True, "source": False, "extra": True},
)


def _cases() -> list[Case]:
    cases = [
        Case(Shape(version, journal), state)
        for version in VERSIONS
        for journal, states in _STATES.items()
        for state in states
    ]
    odd = [replace(Shape(version), **how) for version in (1, 14, 16, 22, 30) for how in _ODD]
    cases += [Case(shape, "closed") for shape in odd]
    cases += [Case(replace(shape, journal="delete"), "live") for shape in odd if not shape.index and shape.source]
    return cases


def _fewer() -> list[Case]:
    """Return a case of each version, their states in turn, and the odd ones."""
    states = [(journal, state) for journal, states in _STATES.items() for state in states]
    turns = [Case(Shape(version, *states[at % 5][:1]), states[at % 5][1]) for at, version in enumerate(VERSIONS)]
    return turns + [case for case in _cases() if case.shape != Shape(case.shape.version, case.shape.journal)]


#: A test that takes `agent_file` runs on each of these, …
every_file = pytest.mark.parametrize("agent_file", _cases(), ids=str, indirect=True)
#: … or, where it asks what the tables alone decide, on each of these.
each_version = pytest.mark.parametrize("agent_file", _fewer(), ids=str, indirect=True)
