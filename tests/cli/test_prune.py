"""Pruning on the command line: what it lists, moves to the trash, and says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store

PINNED = "5b8e2f61c0d7"


def test_a_dry_run_lists_what_a_prune_deletes(run_json: Any, example_store: Store, database: Path) -> None:
    live = example_store.stats().sessions
    options = ["--older-than", "150d", "--db", database]
    planned = run_json("prune", "--dry-run", *options)
    assert example_store.stats().sessions == live
    done = run_json("prune", *options)
    ids = [item["session_id"] for item in done["items"]]
    assert ids == [item["session_id"] for item in planned["items"]]
    assert PINNED in ids
    assert (planned["dry_run"], done["dry_run"]) == (True, False)
    assert example_store.stats().deleted == len(ids)


def test_a_prune_says_how_to_undo_it(run: Any, example_store: Store, database: Path) -> None:
    said = run("prune", "--older-than", "150d", "--keep-pinned", "--db", database).stdout
    assert "sessions went to the trash. `hermes-store trash" in said
    assert "`hermes-store restore ID..." in said
    assert example_store.sessions.exists(PINNED)
    example_store.sessions.delete(PINNED)
    assert run("prune", "--older-than", "150d", "--db", database).stdout == "0 sessions went to the trash.\n"


def test_a_prune_is_limited_to_a_profile(run_json: Any, example_store: Store, database: Path) -> None:
    options = ["--older-than", "today", "--profile", "fork", "--db", database]
    planned, done = run_json("prune", "--dry-run", *options), run_json("prune", *options)
    assert [one["session_id"] for one in planned["items"]] == [one["session_id"] for one in done["items"]]
    assert {item["profile"] for item in done["items"]} <= {"fork"}


@pytest.mark.parametrize("options", [[], ["--older-than", "soon"]])
def test_wrong_usage_of_prune_is_exit_code_2(run: Any, database: Path, options: list[str]) -> None:
    run("prune", *options, "--db", database, code=2)
