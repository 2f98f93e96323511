"""Times as people type them."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
import typer

from hermes_store.cli.times import moment

DAY = 86_400.0


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Any:
    """An hour or two before Greenwich, with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def utc(*parts: int) -> float:
    return datetime.datetime(*parts, tzinfo=datetime.UTC).timestamp()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", utc(2026, 10, 31, 23)),
        ("2026-07-01", utc(2026, 6, 30, 22)),
        ("2026-11-01T14:30", utc(2026, 11, 1, 13, 30)),
        ("2026-11-01 14:30:15", utc(2026, 11, 1, 13, 30, 15)),
        ("2026-11-01T14:30Z", utc(2026, 11, 1, 14, 30)),
        ("2026-11-01t14:30+05:30", utc(2026, 11, 1, 9, 0)),
        (" @1786480000.5 ", 1786480000.5),
    ],
)
def test_dates_and_times_are_local_without_a_zone(text: str, expected: float) -> None:
    assert moment("--since", text) == expected


@pytest.mark.parametrize(("text", "hours"), [("2026-11-01", 24), ("2026-03-29", 23), ("2026-10-25", 25)])
def test_an_end_date_includes_its_whole_day(text: str, hours: int) -> None:
    begin, end = moment("--until", text), moment("--until", text, is_end=True)
    assert begin is not None
    assert end == begin + hours * 3600
    assert moment("--until", f"{text}T10:00", is_end=True) == moment("--since", f"{text}T10:00")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("5 min", 300),
        ("12h", 43_200),
        ("7d", 7 * DAY),
        ("7D", 7 * DAY),
        ("1.5d", 1.5 * DAY),
        ("2w", 14 * DAY),
        ("1y", 365.25 * DAY),
    ],
)
def test_a_duration_counts_back_from_now(text: str, seconds: float) -> None:
    assert moment("--since", text) == pytest.approx(time.time() - seconds, abs=5)


def test_today_and_yesterday_are_whole_days() -> None:
    today, yesterday = moment("--since", "today"), moment("--since", "yesterday")
    assert moment("--until", "yesterday", is_end=True) == today
    assert moment("--since", f"{datetime.datetime.now().astimezone():%Y-%m-%d}") == today
    assert today is not None
    assert yesterday is not None
    assert 22 * 3600 < today - yesterday < 26 * 3600


NO_TIMES = ["", "x", "7", "d", "-7d", "7dd", "٧d", "2026-13-01", "2026-02-30", "0000-01-01", "@", "@nan", "@inf", "nan"]


@pytest.mark.parametrize("text", [*NO_TIMES, "9" * 5000, "9" * 5000 + "d", "@" + "9" * 5000, "2026-11-01T25:00"])
@pytest.mark.parametrize("is_end", [False, True])
def test_anything_else_is_refused_in_words(text: str, is_end: bool) -> None:
    with pytest.raises(typer.BadParameter, match=r"is no time\. Give 2026-11-01") as caught:
        moment("--since", text, is_end=is_end)
    assert len(str(caught.value)) < 300


def test_the_calendars_last_day_is_refused_as_end() -> None:
    with pytest.raises(typer.BadParameter):
        moment("--until", "9999-12-31", is_end=True)


def test_no_option_is_no_time() -> None:
    assert moment("--since", None) is None
