"""Which sessions a list shows, as ranges of the indexes that serve it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam
from sqlalchemy.sql import ColumnElement

from ..errors import InvalidInputError
from ..records import WITHOUT, Missing
from .schema import BLANK, VISIBLE, Session
from .session_rows import AHEAD_SECONDS

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
    #: Only sessions last written at this time or later.
    since: float | None = None
    #: Only sessions last written before this time.
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
        for profile in profiles:
            for values in self._values(profile, split_pinned=split):
                times = self._times()
                yield Range(False, values | times)
                if self.include_empty:
                    yield Range(True, values | times)
        if not self.include_empty:
            # The few blank sessions of the last minute: all of them, from the index without a profile.
            now = time.time()
            since = max(now - BLANK_SECONDS, -math.inf if self.since is None else self.since)
            until = min(now + AHEAD_SECONDS, math.inf if self.until is None else self.until)
            for values in self._values(self.profile, split_pinned=True):
                yield Range(True, {**values, "since": since, "until": until})

    def _values(self, profile: str | None, *, split_pinned: bool) -> Iterator[dict[str, Any]]:
        wanted: dict[str, Any] = {} if profile is None else {"profile": profile}
        if self.project is not None:
            wanted["project_id"] = None if self.project is WITHOUT else self.project
        if self.source is not None:
            wanted["source"] = None if self.source is WITHOUT else self.source
        for archived in _BOTH if self.archived is None else (self.archived,):
            if self.pinned is None and not split_pinned:
                yield {**wanted, "archived": archived}
            for pinned in _BOTH if self.pinned is None and split_pinned else (self.pinned,):
                if pinned is not None:
                    yield {**wanted, "archived": archived, "pinned": pinned}

    def _times(self) -> dict[str, float]:
        times = {"since": self.since, "until": self.until}
        return {name: value for name, value in times.items() if value is not None}


@dataclass(frozen=True)
class Range:
    """Rows of one index: of visible or of blank sessions, by the values of columns that come first in it."""

    blank: bool
    values: dict[str, Any]

    @property
    def shape(self) -> tuple[bool, frozenset[str], frozenset[str]]:
        """What its part of the statement depends on: which columns there are, and which are null."""
        nulls = frozenset(name for name, value in self.values.items() if value is None)
        return self.blank, frozenset(self.values), nulls

    def without(self, name: str) -> Range:
        """Return the range without one of its conditions."""
        return Range(self.blank, {key: value for key, value in self.values.items() if key != name})


_FILTERED: Final = {
    "profile": Session.profile,
    "project_id": Session.project_id,
    "source": Session.source,
    "archived": Session.archived,
    "pinned": Session.pinned,
}


def conditions(blank: bool, names: frozenset[str], nulls: frozenset[str], number: int) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a range's shape, whose parameters have the range's number in their names."""
    yield BLANK if blank else VISIBLE
    for name, column in _FILTERED.items():
        if name in nulls:
            yield column.is_(None)
        elif name in names:
            yield column == bindparam(f"{name}_{number}")
    if "since" in names:
        yield Session.updated_at >= bindparam(f"since_{number}")
    if "until" in names:
        yield Session.updated_at < bindparam(f"until_{number}")
