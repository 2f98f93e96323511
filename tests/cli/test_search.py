"""``hermes-store search``, and ``show --around``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store


@pytest.mark.parametrize(
    ("words", "session_id", "position"),
    [("番茄", "20c8f5e17b94", None), ("row_number", "9d27a4f8e316", 9), ('"calendar sync"', "4af7c2e8901b", None)],
)
def test_the_example_home_is_searched(
    run_json: Any, database: Path, words: str, session_id: str, position: int | None
) -> None:
    found = run_json("search", words, "--db", database)
    assert (session_id, position) in {(hit["session"]["session_id"], hit["position"]) for hit in found["items"]}
    assert found["is_indexed"]
    for hit in found["items"]:
        assert hit["matches"]


def test_hits_say_where_they_are(run: Any, database: Path) -> None:
    said = run("search", "httpx", "-n", "2", "--db", database).stdout
    assert "Port the invoice parser to httpx  7e52c0a9d4f1 · title" in said
    assert "7e52c0a9d4f1 · message 5 · assistant" in said
    assert "2 hits on this page." in said
    assert "add --after " in said
    cursor = said.split("--after ")[1].split()[0]
    assert "7e52c0a9d4f1 · message" in run("search", "httpx", "--after", cursor, "--db", database).stdout
    assert run("search", "nosuchword", "--db", database).stdout == "0 hits.\n"


def test_filters_narrow_a_search(run_json: Any, database: Path) -> None:
    def roles(*options: str) -> set[Any]:
        found = run_json("search", "the", "-n", "200", *options, "--db", database)
        return {hit["role"] for hit in found["items"]}

    assert roles("--role", "user") == {"user"}
    assert roles("--since", "2030-01-01") == set()
    assert roles("--project", "Household", "--no-archived") >= {"user", "assistant"}
    found = run_json("search", "sync", "--source", "fork", "--sort", "recent", "--db", database)["items"]
    assert {hit["session"]["source"] for hit in found} == {"fork"}


def test_options_that_exclude_each_other_are_refused(run: Any, database: Path) -> None:
    for options in (("--project", "x", "--no-project"), ("--source", "x", "--no-source")):
        assert run("search", "a", *options, "--db", database, code=2).stderr
    assert run("show", "20c8", "--tail", "1", "--around", "1", "--db", database, code=2).stderr


def test_a_transcript_is_shown_around_a_hit(run_json: Any, run: Any, database: Path) -> None:
    shown = run_json("show", "20c8", "--around", "8", "--db", database)
    assert (shown["first_position"], len(shown["messages"])) == (3, 9)
    said = run("show", "20c8", "--around", "0", "--db", database).stdout
    assert "6 later messages" in said
    assert "no message at position 99" in run("show", "20c8", "--around", "99", "--db", database, code=3).stderr


def test_an_index_is_made_anew(run: Any, run_json: Any, tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with Store.open(path, search=False) as store:
        store.messages.extend(store.sessions.create(title="Trip").session_id, ["needle", "hay"])
    assert "`reindex` makes one" in run("search", "needle", "--db", path).stdout
    assert run_json("reindex", "--db", path)["messages"] == 2
    assert run_json("search", "needle", "--db", path)["is_indexed"]
    assert "Indexed 2 messages" in run("reindex", "--db", path).stdout
