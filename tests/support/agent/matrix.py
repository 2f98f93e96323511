"""Every kind of file there is: schemas, journals, and what is going on with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.agent.statedb import VERSIONS, Shape
from tests.support.hostile_values import EVERYWHERE


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


def _in_states(count: int) -> list[Case]:
    """Return cases of each version in so many states, others for the next version."""
    states = [(journal, state) for journal, states in _STATES.items() for state in states]
    return [
        Case(Shape(version, journal), state)
        for at, version in enumerate(VERSIONS)
        for place, (journal, state) in enumerate(states)
        if (place - 2 * at) % len(states) < count
    ]


def _cases() -> list[Case]:
    cases = _in_states(5 if EVERYWHERE else 2)
    odd = [replace(Shape(version), **how) for version in (1, 14, 16, 22, 30) for how in _ODD]
    cases += [Case(shape, "closed") for shape in odd]
    cases += [Case(replace(shape, journal="delete"), "live") for shape in odd if not shape.index and shape.source]
    return cases


def _fewer() -> list[Case]:
    """Return a case of each version and the odd ones."""
    return _in_states(1) + [case for case in _cases() if case.shape != Shape(case.shape.version, case.shape.journal)]


#: A test that takes `agent_file` runs on each of these, …
every_file = pytest.mark.parametrize("agent_file", _cases(), ids=str, indirect=True)
#: … or, where it asks what the tables alone decide, on each of these.
each_version = pytest.mark.parametrize("agent_file", _fewer(), ids=str, indirect=True)
