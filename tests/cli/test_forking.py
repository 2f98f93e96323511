"""Forks, lineages and undo on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hermes_store import Store

SESSION = "5b8e2f61c0d7"


def test_a_session_is_forked(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    said = run("fork", SESSION[:5], "--at", "1", "--title", "Another", "--db", database).stdout
    [child] = example_store.sessions.children(SESSION)
    assert (child.title, child.forked_at, child.message_count) == ("Another", 1, 1)
    assert said.splitlines() == [f"Forked {SESSION} with 1 message: Another", child.session_id]
    made = run_json("fork", SESSION, "--db", database)
    assert example_store.sessions.get(made["session_id"]).parent_id == SESSION
    assert "from 0 to" in run("fork", SESSION, "--at", "999", "--db", database, code=2).stderr
    refused = run("fork", SESSION, "--revision", "999", "--db", database, code=3).stderr
    assert f"not kept. Nothing was forked; `hermes-store history {SESSION} --db {database}` lists" in refused
    run("fork", "nobody", "--db", database, code=3)


def test_a_lineage_is_a_tree(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    messages = example_store.sessions.get(SESSION).message_count
    example_store.sessions.fork(SESSION, at=1, new_id="one", title="One")
    example_store.sessions.fork("one", new_id="below", title="Below \x1b[2J")
    example_store.sessions.delete("below")
    lines = run("lineage", "one", "--db", database).stdout.splitlines()
    assert lines[0].endswith(f"  {SESSION}  {messages} messages")
    assert lines[1:] == ["  One  one  1 message", "    Below ␛[2J  below  1 message  fork at 1  deleted"]
    found = run_json("lineage", SESSION, "--db", database)
    assert [one["session_id"] for one in found["descendants"]] == ["one", "below"]


def test_a_cut_is_listed_and_undone(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    before = example_store.messages.read(SESSION)
    assert run("history", SESSION, "--db", database).stdout == "0 cuts; 0 removed or overwritten messages are kept.\n"
    assert "as far as it is kept" in run("undo", SESSION, "--db", database, code=1).stderr
    example_store.messages.truncate(SESSION, keep=1, expected_revision=before.revision)
    said = run("history", SESSION, "--db", database).stdout
    assert said.split()[:8] == ["Revision", "Cut", "Kept", "Of", "Size", "Age", str(before.revision), "truncate"]
    assert f"fork {SESSION} --revision N" in said
    assert f"for undo  {len(before) - 1} removed or overwritten messages (" in run("info", "--db", database).stdout
    [cut] = run_json("history", SESSION, "--db", database)["items"]
    assert (cut["revision"], cut["messages"]) == (before.revision, len(before) - 1)
    done = json.loads(run("undo", SESSION, "--json", "--db", database).stdout)
    assert (done["restored"], done["message_count"]) == (len(before) - 1, len(before))
    assert example_store.messages.read(SESSION) == before
    example_store.messages.clear(SESSION, expected_revision=example_store.sessions.get(SESSION).revision)
    example_store.messages.append(SESSION, "more")
    error = run("undo", SESSION, "--db", database, code=1).stderr
    revision = example_store.messages.history(SESSION)[0].revision
    assert f"fork {SESSION} --revision {revision}" in error
    made = run("fork", SESSION, "--revision", str(revision), "--db", database).stdout.split()[-1]
    assert example_store.messages.read(made) == before


def test_a_missing_database_is_not_made(run: Any, tmp_path: Path) -> None:
    for words in (["fork", "a"], ["lineage", "a"], ["history", "a"], ["undo", "a"]):
        run(*words, "--db", tmp_path / "none.db", code=3)
    assert not (tmp_path / "none.db").exists()
