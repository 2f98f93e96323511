"""Shares on the command line: their list, and revoking one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hermes_store import ShareRevokedError, Store

PINNED, FLAKY = "5b8e2f61c0d7", "4af7c2e8901b"


def test_shares_are_listed_and_revoked(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    tokens = [example_store.shares.create(session_id, {}).token for session_id in (PINNED, FLAKY, FLAKY)]
    said = run("shares", "--db", database).stdout
    assert all(token in said for token in tokens)
    assert "3 shares." in said
    assert {one["token"] for one in run_json("shares", FLAKY[:4], "--db", database)["items"]} == set(tokens[1:])
    first = run("shares", "-n", "2", "--db", database).stdout
    assert "2 shares on this page." in first
    rest = run_json("shares", "--after", first.split()[-1], "--db", database)
    assert len(rest["items"]) == 1
    assert tokens[0] in run("revoke", tokens[0], "--db", database).stdout
    assert run_json("revoke", tokens[1], "--db", database)["revoked_at"] > 0
    with pytest.raises(ShareRevokedError):
        example_store.shares.get(tokens[0])
    assert run("shares", "--db", database).stdout.count("revoked") == 2


def test_a_token_beginning_with_a_dash_is_revoked(run: Any, example_store: Store, database: Path) -> None:
    example_store.shares.create(PINNED, {}, token="-P0rH78bo6ggn23")
    assert "-- goes before one" in run("revoke", "--help", columns=120).stdout
    assert "-P0rH78bo6ggn23" in run("revoke", "--db", database, "--", "-P0rH78bo6ggn23").stdout


def test_a_share_that_is_not_there_is_named(run: Any, example_store: Store, database: Path) -> None:
    assert "0 shares." in run("shares", "--db", database).stdout
    assert "There is no share 'nothing'" in run("revoke", "nothing", "--db", database, code=3).stderr
    run("shares", "nobody", "--db", database, code=3)
