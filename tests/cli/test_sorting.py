"""hermes-store list --sort and --model: the order, and its pages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.cli.sorting import Order

Json = Callable[..., Any]

KEYS: dict[Order, Callable[[dict[str, Any]], Any]] = {
    Order.UPDATED: lambda one: -one["updated_at"],
    Order.ACTIVITY: lambda one: -(one["last_activity_at"] or one["updated_at"]),
    Order.CREATED: lambda one: -one["created_at"],
    Order.TITLE: lambda one: one["title"].casefold(),
    Order.MESSAGES: lambda one: -one["message_count"],
    Order.TOKENS: lambda one: -(one["input_tokens"] + one["output_tokens"]),
    Order.COST: lambda one: -(one["estimated_cost"] or 0),
}


def test_every_order_is_tested() -> None:
    assert set(KEYS) == set(Order)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("limit", [4, 50])
def test_sorted_pages_have_every_session_once(run_json: Json, database: Path, order: Order, limit: int) -> None:
    everything = run_json("list", "--db", database)["items"]
    found: list[dict[str, Any]] = []
    more: list[str] = []
    while True:
        page = run_json("list", "--db", database, "--sort", order, "-n", limit, *more)
        assert page["total"] == 15
        found += page["items"]
        if page["next"] is None:
            break
        more = ["--after", page["next"]]
    keys = [(KEYS[order](one), one["session_id"]) for one in found]
    assert keys == sorted(keys)
    assert sorted(keys) == sorted((KEYS[order](one), one["session_id"]) for one in everything)


@pytest.mark.parametrize(
    ("model", "expected"),
    [("opus", 2), ("OPUS-4.6", 2), ("anthropic/claude-haiku-4.5", 1), ("none", 0), ("openai/", 5)],
)
def test_sessions_are_found_by_part_of_their_model(
    run: Any, run_json: Json, database: Path, model: str, expected: int
) -> None:
    items = run_json("list", "--db", database, "--model", model)["items"]
    assert len(items) == expected
    assert all(model.casefold() in one["model"] for one in items)
    assert f"{expected} session" in run("list", "--db", database, "--model", model).stdout


def test_sessions_of_a_model_are_paged_pinned_first(run_json: Json, database: Path) -> None:
    listed = [
        one["session_id"] for one in run_json("list", "--db", database)["items"] if "claude" in (one["model"] or "")
    ]
    found: list[str] = []
    more: list[str] = []
    while True:
        page = run_json("list", "--db", database, "--model", "claude", "-n", "3", *more)
        found += [one["session_id"] for one in page["items"]]
        if page["next"] is None:
            break
        more = ["--after", page["next"]]
    assert found == listed


def test_project_time_and_model_filters_combine_with_sorting(run_json: Json, database: Path) -> None:
    options = ["--project", "Lantern", "--model", "claude", "--sort", "messages", "--since", "2026-06-10"]
    items = run_json("list", "--db", database, *options)["items"]
    assert [one["session_id"] for one in items] == ["9d27a4f8e316", "4af7c2e8901b", "8c05b2d9e7f3"]


def test_a_cursor_of_another_order_is_refused(run: Any, run_json: Json, database: Path) -> None:
    after = run_json("list", "--db", database, "--sort", "created", "-n", "1")["next"]
    for options in ([], ["--sort", "messages"], ["--sort", "title"], ["--model", "gpt"]):
        run("list", "--db", database, *options, "--after", after, code=2)


@pytest.mark.parametrize(("order", "column"), [("created", "Created"), ("activity", "Active"), ("updated", "Age")])
def test_an_order_by_a_time_shows_that_time(run: Any, database: Path, order: str, column: str) -> None:
    header = run("list", "--db", database, "--sort", order).stdout.splitlines()[0]
    assert column in header.split()


def test_the_activity_is_not_the_last_change(run: Any, sqlite_path: Path) -> None:
    with Store.open(sqlite_path) as store:
        session_id = store.sessions.create(title="Trip").session_id
        store.messages.append(session_id, {"role": "user", "timestamp": time.time() - 3 * 86400})
    assert " 3 d " in run("list", "--db", sqlite_path, "--sort", "activity").stdout
    assert " 3 d " not in run("list", "--db", sqlite_path, "--sort", "updated").stdout


def test_equal_places_are_settled_by_the_id(run_json: Json, sqlite_path: Path) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        for number in (3, 1, 2, 5, 4):
            store.sessions.create(session_id=f"s{number}", title="Same", created_at=1.0)
    found: list[str] = []
    more: list[str] = []
    while True:
        page = run_json("list", "--db", sqlite_path, "--sort", "title", "-n", "2", *more)
        found += [one["session_id"] for one in page["items"]]
        if page["next"] is None:
            break
        more = ["--after", page["next"]]
    assert found == ["s1", "s2", "s3", "s4", "s5"]
