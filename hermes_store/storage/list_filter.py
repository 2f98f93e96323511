"""Which sessions a list shows, as ranges of the indexes that serve it."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import bindparam, case
from sqlalchemy.sql import ColumnElement

from ..errors import InvalidInputError
from ..memoized import memoized
from ..records import WITHOUT, Missing, SessionOrder
from .empty_sessions import AHEAD_SECONDS
from .schema import BLANK, ORDER_TIMES, VISIBLE, session_table

#: Seconds after its last write for which a blank session is listed.
BLANK_SECONDS: Final = 60.0
_BOTH: Final = (True, False)


@dataclass(frozen=True, kw_only=True)
class ListFilter:
    """Which sessions to list; None does not filter. `project` is a row id, and comes with its profile."""

    profile: str | None = None
    project: int | Missing | None = None
    archived: bool | None = None
    pinned: bool | None = None
    source: str | Missing | None = None
    order: SessionOrder = "updated"
    #: Only sessions whose time, by which they are sorted, is this one or later.
    since: float | None = None
    #: Only sessions whose time is before this one.
    until: float | None = None
    include_empty: bool = False

    def __post_init__(self) -> None:
        if self.project is not None and self.source is not None:
            raise InvalidInputError(
                "Filter by project or by source, not by both: no index serves that. Nothing was read."
            )

    @property
    def needs_profile(self) -> bool:
        """Whether the index that serves it begins with the profile, and it names none."""
        return self.profile is None and (self.project is not None or self.source is not None)

    def ranges(self, profiles: Sequence[str | None]) -> Iterator[Range]:
        """Yield the ranges that the list is merged from; `profiles` are those to look at, or one None."""
        # In the indexes the time comes after `pinned`, so a range of times needs its value.
        split = self.since is not None or self.until is not None
        times = self._times()
        for profile in profiles:
            for values in self._values(profile, split_pinned=split):
                for members in self._members(profile):
                    yield Range(False, self.order, values | members | times)
                if self.include_empty:
                    yield Range(True, self.order, values | self._links() | times)
        if not self.include_empty:
            # The few blank sessions of the last minute: all of them, from the index without a profile.
            for values in self._values(self.profile, split_pinned=True):
                yield Range(True, self.order, {**values, **self._links(), "since": FRESH, "until": FRESH})

    def fresh_times(self) -> dict[str, float]:
        """Return what `FRESH` stands for in ranges: the times between which blank sessions are listed now."""
        now = time.time()
        return {
            "since": max(now - BLANK_SECONDS, -math.inf if self.since is None else self.since),
            "until": min(now + AHEAD_SECONDS, math.inf if self.until is None else self.until),
        }

    def _values(self, profile: str | None, *, split_pinned: bool) -> Iterator[dict[str, Any]]:
        wanted: dict[str, Any] = {} if profile is None else {"profile": profile}
        for archived in _BOTH if self.archived is None else (self.archived,):
            if self.pinned is None and not split_pinned:
                yield {**wanted, "archived": archived}
            for pinned in _BOTH if self.pinned is None and split_pinned else (self.pinned,):
                if pinned is not None:
                    yield {**wanted, "archived": archived, "pinned": pinned}

    def _links(self) -> dict[str, Any]:
        """Return the project and the source, as far as they are filtered by; None for sessions without one."""
        wanted: dict[str, Any] = {}
        if self.project is not None:
            wanted["project_id"] = None if self.project is WITHOUT else self.project
        if self.source is not None:
            wanted["source"] = None if self.source is WITHOUT else self.source
        return wanted

    def _members(self, profile: str | None) -> Iterator[dict[str, Any]]:
        """Yield the project and the source of the sessions in each index that has some of a profile's visible ones."""
        wanted = self._links()
        if profile is None or not {None}.issuperset(wanted.values()):  # all profiles, one project or one source
            yield wanted
            return
        for project in (None, ANY):
            for source in (None, ANY):
                members = {"project_id": project, "source": source}
                if members | wanted == members:
                    yield members

    def _times(self) -> dict[str, float]:
        times = {"since": self.since, "until": self.until}
        return {name: value for name, value in times.items() if value is not None}


class _Special(enum.Enum):
    """The type of `ANY` and `FRESH`."""

    ANY = "any"
    FRESH = "fresh"


#: As the value of a column in a range: any but NULL.
ANY: Final = _Special.ANY
#: As the end of a range in time: see `ListFilter.fresh_times`.
FRESH: Final = _Special.FRESH


_Constant = bool | Literal[_Special.ANY] | None


def _is_constant(value: Any) -> bool:
    return value is None or value is ANY or value is True or value is False


class Shape(NamedTuple):
    """What the part of a statement for a range depends on."""

    blank: bool
    order: SessionOrder
    #: The conditions that there are.
    names: frozenset[str]
    #: The values of those that have no parameter: a column is NULL, or is not, or is true, or false.
    constants: frozenset[tuple[str, _Constant]]

    @property
    def time(self) -> Any:
        """The column that the range is sorted by, after `pinned`."""
        # The two are the same in blank sessions, which have no messages: one index serves both orders.
        return ORDER_TIMES["updated" if self.blank else self.order]


def sorted_time(order: SessionOrder) -> ColumnElement[Any]:
    """Return the time by which a list sorts a session, whichever range it is in: `Shape.time` of that one."""
    time: Any = ORDER_TIMES[order]
    return time if order == "updated" else case((BLANK, ORDER_TIMES["updated"]), else_=time)


@dataclass(frozen=True)
class Range:
    """Rows of one index: of visible or of blank sessions, by the values of columns that come first in it."""

    blank: bool
    order: SessionOrder
    values: dict[str, Any]

    @memoized
    def shape(self) -> Shape:
        """What its part of a statement depends on."""
        constants = frozenset((name, value) for name, value in self.values.items() if _is_constant(value))
        return Shape(self.blank, self.order, frozenset(self.values), constants)

    def parameters(self, number: int, fresh: Mapping[str, float]) -> dict[str, Any]:
        """Return the parameters of its conditions, which have a number in their names.

        Args:
            fresh: what `FRESH` stands for, by name.
        """
        return {f"{name}_{number}": fresh[name] if value is FRESH else value for name, value in self._variable}

    @memoized
    def _variable(self) -> Sequence[tuple[str, Any]]:
        return [(name, value) for name, value in self.values.items() if not _is_constant(value)]

    @memoized
    def without_until(self) -> Range:
        """The range without its latest time."""
        return Range(self.blank, self.order, {key: value for key, value in self.values.items() if key != "until"})


_FILTERED: Final = {
    "profile": session_table.c.profile,
    "project_id": session_table.c.project_id,
    "source": session_table.c.source,
    "archived": session_table.c.archived,
    "pinned": session_table.c.pinned,
}


def conditions(shape: Shape, number: int) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a range's shape, whose parameters have the range's number in their names."""
    yield BLANK if shape.blank else VISIBLE
    constants = dict(shape.constants)
    for name, column in _FILTERED.items():
        if name in shape.names:
            value: Any = constants.get(name, bindparam(f"{name}_{number}"))
            yield column.is_not(None) if value is ANY else column == value
    if "since" in shape.names:
        yield shape.time >= bindparam(f"since_{number}")
    if "until" in shape.names:
        yield shape.time < bindparam(f"until_{number}")
