"""What sessions used: records, totals of sessions, and sums over time and by model."""

from __future__ import annotations

import datetime
import itertools
import zoneinfo
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from hermes_store import (
    InvalidCursorError,
    InvalidIdError,
    InvalidInputError,
    SessionNotFoundError,
    Store,
    UsageRecord,
    UsageTotal,
)
from tests.support.tables import all_rows

#: 2026-03-01, 12:00 UTC.
NOON = 1772366400.0
DAY = 86400.0


def sums(store: Any, *by: str, **how: Any) -> list[tuple[Any, ...]]:
    """Return the groups of totals with their input tokens and cost."""
    found: Sequence[UsageTotal] = store.usage.totals(by, **how)
    return [(*(getattr(one, name) for name in by), one.input_tokens, one.cost) for one in found]


def test_a_record_counts_into_the_sessions_totals(store: Store, session_id: str) -> None:
    before = store.sessions.get(session_id)
    result = store.usage.record(
        session_id,
        model="m",
        provider="p",
        input_tokens=100,
        output_tokens=20,
        cache_read_tokens=3,
        cache_write_tokens=4,
        reasoning_tokens=5,
        cost=0.1,
        at=NOON,
    )
    store.usage.record(session_id, model=None, input_tokens=1, cost=0.2, at=NOON - 1)
    session = store.sessions.get(session_id)
    assert (session.input_tokens, session.output_tokens, session.estimated_cost) == (101, 20, 0.3)
    assert (session.revision, session.updated_at) == (before.revision + 2, before.updated_at)
    assert (result.revision, result.input_tokens, result.estimated_cost) == (before.revision + 1, 100, 0.1)
    assert store.usage.list(session_id).items == [
        UsageRecord(
            session_id=session_id,
            at=NOON,
            model="m",
            provider="p",
            kind="record",
            input_tokens=100,
            output_tokens=20,
            cache_read_tokens=3,
            cache_write_tokens=4,
            reasoning_tokens=5,
            cost=0.1,
        ),
        UsageRecord(
            session_id=session_id,
            at=NOON - 1,
            model=None,
            provider=None,
            kind="record",
            input_tokens=1,
            output_tokens=0,
            cache_read_tokens=0,
            cache_write_tokens=0,
            reasoning_tokens=0,
            cost=0.2,
        ),
    ]
    [total] = store.usage.totals()
    assert total.model_dump(exclude_none=True) == {
        "input_tokens": 101,
        "output_tokens": 20,
        "cache_read_tokens": 3,
        "cache_write_tokens": 4,
        "reasoning_tokens": 5,
        "cost": 0.3,
        "records": 2,
    }


def test_an_unknown_cost_is_not_zero(store: Store, session_id: str) -> None:
    store.usage.record(session_id, model="m", input_tokens=1)
    assert store.sessions.get(session_id).estimated_cost is None
    assert sums(store) == [(1, None)]
    store.usage.record(session_id, model="m", cost=0)
    assert sums(store) == [(1, 0.0)]


def test_sums_of_costs_are_exact(store: Store, session_id: str) -> None:
    with store.transaction() as tx:
        for _ in range(10):
            tx.usage.record(session_id, model="m", cost=0.1, at=NOON)
        tx.usage.record(session_id, model="m", cost=1.5e-7, at=NOON)
    assert sums(store) == [(0, 1.00000015)]
    assert store.sessions.get(session_id).estimated_cost == 1.00000015


def test_totals_written_elsewhere_are_counted(store: Store) -> None:
    made = store.sessions.create(session_id="a", model="m", input_tokens=5, estimated_cost=0.5, updated_at=NOON)
    store.sessions.update("a", input_tokens=8, model="n", updated_at=NOON + DAY)
    store.sessions.update("a", title="Other")
    assert sums(store, "day", "model") == [("2026-03-01", "m", 5, 0.5), ("2026-03-02", "n", 3, 0.0)]
    assert [one.kind for one in store.usage.list("a").items] == ["total", "total"]
    store.sessions.update("a", input_tokens=0, estimated_cost=None, updated_at=NOON + DAY)
    assert sums(store) == [(0, 0.0)]
    assert made.revision == 1


def test_usage_follows_the_session(store: Store) -> None:
    store.projects.create(name="Work", project_id="p")
    store.sessions.create(session_id="a", title="A", source="cli", project_id="p")
    store.usage.record("a", model="m", input_tokens=7, at=NOON)
    store.sessions.change_id("a", "b")
    assert sums(store, "session", "source", "project", "profile") == [("b", "cli", "p", "default", 7, None)]
    store.sessions.update("b", profile="work")
    assert sums(store, "project", "profile") == [(None, "work", 7, None)]
    assert sums(store.profile("default")) == [(0, None)]
    assert sums(store.profile("work"), "session") == [("b", 7, None)]
    store.sessions.delete("b")
    assert sums(store, "session") == [("b", 7, None)]


def test_purged_usage_still_counts_without_the_session(store: Store) -> None:
    store.sessions.create(session_id="a", title="A", source="cli")
    store.usage.record("a", model="m", provider="p", input_tokens=7, cost=1, at=NOON)
    store.sessions.duplicate("a", new_id="b")
    store.sessions.purge("a")
    store.sessions.purge("b")
    assert sums(store, "session", "source", "model", "day") == [(None, None, "m", "2026-03-01", 7, 1.0)]
    assert len(all_rows(store)["usage"]) == 1


def test_copies_of_sessions_count_once(store: Store, session_id: str) -> None:
    store.usage.record(session_id, model="m", input_tokens=7, cost=1, at=NOON)
    copy = store.sessions.duplicate(session_id)
    fork = store.sessions.fork(session_id)
    assert (copy.input_tokens, fork.input_tokens) == (7, 0)
    assert sums(store) == [(7, 1.0)]
    assert [one.kind for one in store.usage.list(copy.session_id).items] == ["copy"]
    store.usage.record(copy.session_id, model="m", input_tokens=1, at=NOON)
    assert store.sessions.get(copy.session_id).input_tokens == 8
    assert sums(store) == [(8, 1.0)]


@pytest.mark.parametrize(
    ("tz", "days"),
    [
        (None, ["2026-03-28", "2026-03-29", "2026-03-29"]),
        ("Europe/Berlin", ["2026-03-29", "2026-03-29", "2026-03-30"]),
        ("America/New_York", ["2026-03-28", "2026-03-28", "2026-03-29"]),
        ("Asia/Kathmandu", ["2026-03-29", "2026-03-29", "2026-03-30"]),
        (datetime.timezone(datetime.timedelta(hours=-12)), ["2026-03-28", "2026-03-28", "2026-03-29"]),
    ],
)
def test_days_are_those_of_the_time_zone(store: Store, session_id: str, tz: Any, days: list[str]) -> None:
    # Europe's clocks went forward at 01:00 UTC of 2026-03-29: the day in Berlin ended 23 hours after it began.
    moments = ["2026-03-28T23:00", "2026-03-29T00:30", "2026-03-29T22:00"]
    for number, moment in enumerate(moments):
        at = datetime.datetime.fromisoformat(f"{moment}Z").timestamp()
        store.usage.record(session_id, model="m", input_tokens=10**number, at=at)
    expected: dict[str, int] = {}
    for number, day in enumerate(days):
        expected[day] = expected.get(day, 0) + 10**number
    assert sums(store, "day", tz=tz) == [(day, tokens, None) for day, tokens in expected.items()]


def test_weeks_begin_on_monday_and_months_overlap(store: Store, session_id: str) -> None:
    for number, day in enumerate(("2026-02-27", "2026-03-01", "2026-03-02", "2026-12-31")):
        at = datetime.datetime.fromisoformat(f"{day}T12:00Z").timestamp()
        store.usage.record(session_id, model="m", input_tokens=10**number, at=at)
    assert sums(store, "week") == [("2026-02-23", 11, None), ("2026-03-02", 100, None), ("2026-12-28", 1000, None)]
    assert sums(store, "month") == [("2026-02", 1, None), ("2026-03", 110, None), ("2026-12", 1000, None)]
    assert sums(store, "month", "week")[:3] == [
        ("2026-02", "2026-02-23", 1, None),
        ("2026-03", "2026-02-23", 10, None),
        ("2026-03", "2026-03-02", 100, None),
    ]


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin", "America/Santiago"])
def test_each_group_of_periods_comes_once(store: Store, session_id: str, tz: str) -> None:
    zone = zoneinfo.ZoneInfo(tz)
    moments = [NOON + number * 0.7 * DAY for number in range(60)]
    for at in moments:
        store.usage.record(session_id, model="m", input_tokens=1, at=at)
    for size in (1, 2, 3):
        for kinds in itertools.permutations(("day", "week", "month"), size):
            expected: Counter[tuple[str, ...]] = Counter()
            for at in moments:
                day = datetime.datetime.fromtimestamp(at, zone).date()
                monday = day - datetime.timedelta(days=day.weekday())
                names = {"day": day.isoformat(), "week": monday.isoformat(), "month": f"{day:%Y-%m}"}
                expected[tuple(names[kind] for kind in kinds)] += 1
            assert sums(store, *kinds, tz=tz) == [(*group, count, None) for group, count in sorted(expected.items())]


def test_a_range_of_time_ends_before_its_end(store: Store, session_id: str) -> None:
    for number in range(4):
        store.usage.record(session_id, model="m", input_tokens=10**number, at=NOON + number)
    assert sums(store, since=NOON + 1, until=NOON + 3) == [(110, None)]
    assert sums(store, "day", since=NOON + 3) == [("2026-03-01", 1000, None)]
    assert sums(store, "day", since=NOON + 4) == []
    assert sums(store, since=NOON + 4) == [(0, None)]


def test_names_of_models_keep_every_character(store: Store, session_id: str) -> None:
    names = ["half \ud83d", "w\x00", "", "モデル", "x" * 4096]
    for name in names:
        store.usage.record(session_id, model=name, provider=name[:9], input_tokens=1)
    assert {one.model for one in store.usage.totals("model")} == set(names)
    assert {one.provider for one in store.usage.list(session_id).items} == {name[:9] for name in names}


def test_lists_of_usage_are_in_pages(store: Store, session_id: str) -> None:
    other = store.sessions.create().session_id
    for number in range(7):
        store.usage.record(session_id, model=str(number), at=NOON + number // 5)
        store.usage.record(other, model="other", at=NOON)
    found: list[UsageRecord] = []
    after: str | None = None
    while True:
        page = store.usage.list(session_id, limit=2, after=after)
        found += page.items
        after = page.next
        if after is None:
            break
    assert [one.model for one in found] == list("6543210")


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": -1},
        {"output_tokens": 1.0},
        {"reasoning_tokens": True},
        {"cache_read_tokens": 10**15 + 1},
        {"cost": -0.1},
        {"cost": float("nan")},
        {"cost": 1e7},
        {"at": -1.0},
        {"at": 1e12},
        {"model": 5},
        {"provider": "x" * 4097},
    ],
)
def test_wrong_amounts_are_refused(store: Store, session_id: str, wrong: dict[str, Any]) -> None:
    before = all_rows(store)
    with pytest.raises(InvalidInputError, match="Nothing was written"):
        store.usage.record(session_id, **{"model": "m", **wrong})
    assert all_rows(store) == before


def test_wrong_questions_about_usage_are_refused(store: Store, session_id: str) -> None:
    for wrong in ("year", 5, ["day", None], [["day"]]):
        with pytest.raises(InvalidInputError):
            store.usage.totals(wrong)  # type: ignore[arg-type]
    for tz in ("Mars/Olympus", "../etc", "America", "", 5, "x\x00", "/etc/localtime"):
        with pytest.raises(InvalidInputError, match="time zone"):
            store.usage.totals("day", tz=tz)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError):
        store.usage.totals(since=float("nan"))
    with pytest.raises(InvalidIdError):
        store.usage.totals(profile="")
    with pytest.raises(InvalidInputError, match="view of profile"):
        store.profile("work").usage.totals(profile="default")
    with pytest.raises(SessionNotFoundError):
        store.usage.list("nobody")
    for cursor in ("x", store.sessions.list(limit=1).next or "W10"):
        with pytest.raises(InvalidCursorError):
            store.usage.list(session_id, after=cursor)
