"""Times as people type them: a date, an ISO 8601 time, or how long ago."""

from __future__ import annotations

import contextlib
import datetime
import os
import pathlib
import re
import time
import zoneinfo
from typing import Annotated, Final

import typer

from ..errors import HermesStoreError

_SECONDS: Final = {
    "s": 1.0,
    "m": 60.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86_400.0,
    "w": 604_800.0,
    "mo": 30.44 * 86_400,
    "y": 365.25 * 86_400,
}
_AGO: Final = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,9}})?) ?({'|'.join(_SECONDS)})")
_EPOCH: Final = re.compile(r"@(-?[0-9]{1,12}(?:\.[0-9]{1,9})?)")
_DAYS: Final = {"today": 0, "yesterday": 1}

#: What `moment` takes, for the help of options.
FORMS: Final = "2026-11-01, 2026-11-01T14:30, yesterday, or 7d for seven days ago (also s, min, h, w, mo, y)"


Since = Annotated[
    str | None,
    typer.Option(metavar="TIME", show_default=False, help=f"Only sessions changed then or later: {FORMS}."),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", show_default=False, help="Only sessions changed before then; a date includes its whole day."
    ),
]


def zone_of(name: str | None) -> datetime.tzinfo:
    """Return the time zone of a name, or this machine's.

    Raises:
        InvalidInputError: there is none of this name.
    """
    from ..periods import check_zone

    if name is not None:
        return check_zone(name)
    with contextlib.suppress(HermesStoreError):
        return check_zone(os.environ.get("TZ", ""))
    with contextlib.suppress(OSError, ValueError), pathlib.Path("/etc/localtime").open("rb") as file:
        return zoneinfo.ZoneInfo.from_file(file)
    return datetime.datetime.now().astimezone().tzinfo or datetime.UTC  # as it is now, for all times


def time_range(since: str | None, until: str | None, zone: datetime.tzinfo | None = None) -> dict[str, float | None]:
    """Return what --since and --until mean, as arguments of lists; without a zone, dates are of this machine's.

    Raises:
        BadParameter: one is no time, or they are the wrong way round.
    """
    times = {
        "since": moment("--since", since, zone=zone),
        "until": moment("--until", until, is_end=True, zone=zone),
    }
    if None not in times.values() and times["since"] >= times["until"]:  # type: ignore[operator]
        raise typer.BadParameter("--since is not before --until.")
    return times


def moment(option: str, text: str | None, *, is_end: bool = False, zone: datetime.tzinfo | None = None) -> float | None:
    """Return a time that an option names, in epoch seconds; None without one.

    Args:
        option: its name, for the error.
        text: what was typed.
        is_end: the time ends a range, so a date means the end of that day. (Otherwise it means its beginning.)
        zone: where days begin; where this machine is when None.

    Raises:
        BadParameter: it is no time.
    """
    if text is None:
        return None
    try:
        return _parsed(text.strip().casefold(), is_end=is_end, zone=zone)
    except (ValueError, OverflowError, OSError):  # the last one: a year that the system's clock does not have
        shown = text if len(text) <= 60 else f"{text[:60]}…"
        raise typer.BadParameter(f"{shown!r} is no time. Give {FORMS}.", param_hint=option) from None


def _parsed(text: str, *, is_end: bool, zone: datetime.tzinfo | None) -> float:
    if ago := _AGO.fullmatch(text):
        return time.time() - float(ago[1]) * _SECONDS[ago[2]]
    if epoch := _EPOCH.fullmatch(text):
        return float(epoch[1])
    if text in _DAYS:
        today = datetime.datetime.now().astimezone(zone).date()
        return _midnight(today - datetime.timedelta(_DAYS[text]), is_end=is_end, zone=zone)
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        found = datetime.datetime.fromisoformat(text.upper())
        return (found.replace(tzinfo=zone) if found.tzinfo is None else found).timestamp()
    return _midnight(day, is_end=is_end, zone=zone)


def _midnight(day: datetime.date, *, is_end: bool, zone: datetime.tzinfo | None) -> float:
    """Return when a day begins, or ends, in a zone; where this machine is when None."""
    if is_end:
        day += datetime.timedelta(days=1)
    return datetime.datetime.combine(day, datetime.time.min, zone).timestamp()
