"""Usage on the command line: a table, a chart, and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store


def test_stats_have_a_table_and_a_chart(run: Any, database: Path) -> None:
    said = run("stats", "--tz", "UTC", "--db", database).stdout
    assert said.splitlines()[0].split() == ["Month", "Input", "Output", "Cached", "Cost"]
    assert said.splitlines()[2].split() == ["2026-06", "155,836", "3,550", "0", "$0.29", "#" * 24]
    assert "Total: 290,519 tokens in, 9,429 out, $0.77." in said
    drawn = run("stats", "--by", "model", "--db", database, columns=100).stdout
    assert "█" * 24 in drawn
    assert drawn.index("claude-sonnet-4.6") < drawn.index("claude-opus-4.6") < drawn.index("gpt-5.4-mini")


@pytest.mark.parametrize(("columns", "longest"), [(100, 24), (80, 10), (60, 0), (40, 0)])
def test_numbers_and_bars_are_never_cut(run: Any, database: Path, columns: int, longest: int) -> None:
    lines = run("stats", "--by", "month", "--by", "model", "--db", database, columns=columns).stdout.splitlines()
    assert max(map(len, lines[:-1])) <= columns
    assert max(line.count("█") for line in lines) == longest
    [row] = [line.split() for line in lines if "haiku" in line]
    assert row[0] == "2026-06"
    assert row[1].endswith("haiku-4.5")
    assert row[2:5] == (["116,953", "2,083", "0"] if columns > 40 else ["116,953", "$0.13"])


def test_stats_take_several_groups_and_a_range(run: Any, run_json: Any, database: Path) -> None:
    how = ("--by", "week", "--by", "project", "--since", "2026-06-17", "--until", "2026-06-28", "--tz", "UTC")
    document = run_json("stats", *how, "--db", database)
    assert [(one["week"], one["input_tokens"]) for one in document["items"]] == [
        ("2026-06-15", 116953),
        ("2026-06-22", 23951),
    ]
    assert document["total"]["input_tokens"] == 116953 + 23951
    said = run("stats", *how, "--limit", "1", "--db", database).stdout
    assert "Household" in said
    assert "1 more group;" in said


def test_stats_of_a_profile_and_of_nothing(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    assert run_json("stats", "--profile", "work", "--db", database)["total"]["records"] == 1
    assert run("stats", "--profile", "nobody", "--db", database).stdout == "Total: 0 tokens in, 0 out.\n"
    example_store.sessions.update("f0b39d5c7a12", input_tokens=0, output_tokens=0, estimated_cost=None)
    assert "Total: 0 tokens" in run("stats", "--by", "session", "--profile", "work", "--db", database).stdout


def test_a_wrong_time_zone_is_named(run: Any, database: Path) -> None:
    assert "'Nowhere'" in run("stats", "--tz", "Nowhere", "--db", database, code=2).stderr
    run("stats", "--by", "year", "--db", database, code=2)
