"""Days, weeks and months of a time zone, as ranges of epoch seconds."""

from __future__ import annotations

import contextlib
import datetime
import zoneinfo
from collections.abc import Collection, Iterator
from typing import Any, Final

from .errors import InvalidInputError
from .quoting import quoted, text_of

#: The kinds of periods.
KINDS: Final = ("day", "week", "month")
_DAY: Final = datetime.timedelta(days=1)


def check_zone(value: Any) -> datetime.tzinfo:
    """Return a time zone: by its name in the IANA database, or a `ZoneInfo` or `timezone` of Python's; UTC when None.

    Raises:
        InvalidInputError: there is no such zone.
    """
    if value is None:
        return datetime.UTC
    if type(value) in (zoneinfo.ZoneInfo, datetime.timezone):
        return value  # type: ignore[no-any-return]
    name = text_of(value)
    if name is not None:
        # ValueError and OSError are for a path, and for a directory of zones.
        with contextlib.suppress(zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            return zoneinfo.ZoneInfo(name)
    raise InvalidInputError(
        f"tz is the name of a time zone, such as 'Europe/Berlin', not {quoted(value)}. (Where the system has no time "
        "zones, they are in the package tzdata.) Nothing was read."
    )


def day_of(at: float, zone: datetime.tzinfo) -> datetime.date:
    """Return the day that a time is on."""
    return datetime.datetime.fromtimestamp(at, zone).date()


def starts(kinds: Collection[str], zone: datetime.tzinfo, first: float, last: float) -> Iterator[float]:
    """Yield when periods begin, from the one that a time is in to the end of the one that another is in.

    With several kinds, a period begins wherever one of them does.
    """
    day, end = day_of(first, zone), day_of(last, zone)
    day = max(_first_day(kind, day) for kind in kinds)
    while day <= end:
        yield start_of(day, zone)
        day = min(_next(kind, day) for kind in kinds)
    yield start_of(day, zone)


def start_of(day: datetime.date, zone: datetime.tzinfo) -> float:
    """Return when a day begins. Where the clock skips midnight, that is the moment at which it does."""
    return datetime.datetime.combine(day, datetime.time.min, zone).timestamp()


def label(kind: str, day: datetime.date) -> str:
    """Return the name of the period of a kind that a day is in."""
    return f"{day:%Y-%m}" if kind == "month" else _first_day(kind, day).isoformat()


def _first_day(kind: str, day: datetime.date) -> datetime.date:
    """Return the first day of the period of a kind that a day is in."""
    if kind == "month":
        return day.replace(day=1)
    return day - day.weekday() * _DAY if kind == "week" else day


def _next(kind: str, day: datetime.date) -> datetime.date:
    """Return the first day of the period after the one that a day is in."""
    return _first_day(kind, _first_day(kind, day) + _LENGTHS[kind] * _DAY)


#: In days; for months, the most that they have.
_LENGTHS: Final = {"day": 1, "week": 7, "month": 31}
