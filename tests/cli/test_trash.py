"""Deleting, restoring and purging on the command line, and the list of what is deleted."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from tests.support.internals import writing
from tests.support.pseudo_terminal import run_in_terminal
from tests.support.state_dir import StateDir

PINNED, FLAKY, FORK = "5b8e2f61c0d7", "4af7c2e8901b", "8c05b2d9e7f3"
#: Two ids begin so.
SEVERAL = "20"


def deleted(store: Store) -> list[str]:
    return [session.session_id for session in store.sessions.list_deleted(limit=1000).items]


@pytest.fixture
def trashed(example_store: Store) -> Store:
    """A store with two deleted sessions, the first of them 40 days ago."""
    for session_id in (PINNED, FLAKY):
        example_store.sessions.delete(session_id)
    with writing(example_store) as connection:
        connection.exec_driver_sql(
            "UPDATE sessions SET deleted_at = ? WHERE session_id = ?", (time.time() - 40 * 86_400, PINNED)
        )
    return example_store


def test_the_trash_lists_deleted_sessions_with_their_age(run: Any, trashed: Store, database: Path) -> None:
    first, second, *_ = [line for line in run("trash", "--db", database).stdout.splitlines()[1:] if line.strip()]
    assert (FLAKY in first, PINNED in second) == (True, True)
    assert " now " in first
    assert " 40 d " in second
    assert "2 deleted sessions" in run("trash", "--db", database).stdout


def test_the_trash_is_paged_and_filtered(run_json: Any, trashed: Store, database: Path) -> None:
    page = run_json("trash", "-n", "1", "--db", database)
    assert [item["session_id"] for item in page["items"]] == [FLAKY]
    rest = run_json("trash", "--after", page["next"], "--db", database)
    assert [item["session_id"] for item in rest["items"]] == [PINNED]
    assert run_json("trash", "--profile", "nobody", "--db", database)["items"] == []


def test_an_empty_trash_says_so(run: Any, database: Path) -> None:
    assert run("trash", "--db", database).stdout.strip() == "0 deleted sessions."


def test_sessions_are_deleted_and_restored(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    done = run("delete", PINNED[:4], FLAKY, FLAKY[:6], "--db", database)
    assert re.findall(r"Deleted (\w+) \(", done.stdout) == [PINNED, FLAKY]
    assert sorted(deleted(example_store)) == sorted([PINNED, FLAKY])
    restored = run_json("restore", PINNED[:4], "--db", database)
    assert [item["session_id"] for item in restored["items"]] == [PINNED]
    assert deleted(example_store) == [FLAKY]
    assert "Restored" in run("restore", FLAKY, "--db", database).stdout


def test_a_dry_run_of_delete_deletes_nothing(run: Any, run_json: Any, example_store: Store, database: Path) -> None:
    assert "Would delete" in run("delete", PINNED, "--dry-run", "--db", database).stdout
    planned = run_json("delete", PINNED[:4], FLAKY, "--dry-run", "--db", database)["items"]
    assert [item["session_id"] for item in planned] == [PINNED, FLAKY]
    assert deleted(example_store) == []


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["delete", FORK, "nobody"], "There is no session 'nobody'"),
        (["delete", FORK, SEVERAL], f"begin with '{SEVERAL}'"),
        (["delete", FORK, PINNED], f"There is no session '{PINNED}'. `hermes-store trash"),
        (["restore", PINNED, FORK], f"There is no deleted session '{FORK}'"),
        (["purge", PINNED, "nobody", "--yes"], "There is no session 'nobody'"),
        (["purge", PINNED, SEVERAL, "--yes"], f"begin with '{SEVERAL}'"),
    ],
)
def test_a_wrong_id_changes_nothing(run: Any, trashed: Store, database: Path, command: list[str], words: str) -> None:
    before = deleted(trashed)
    assert words in run(*command, "--db", database, code=3).stderr
    assert deleted(trashed) == before
    assert trashed.sessions.exists(FORK)


def test_named_sessions_are_purged_deleted_or_not(run_json: Any, trashed: Store, database: Path) -> None:
    messages = trashed.messages.count(FORK) + trashed.sessions.get_many([PINNED], deleted=True)[PINNED].message_count
    done = run_json("purge", PINNED[:4], FORK, "--yes", "--db", database)
    assert sum(item["message_count"] for item in done["items"]) == messages
    assert (done["dry_run"], done["erased"], done["files"]) == (False, True, [])
    assert trashed.sessions.get_many([PINNED, FORK], deleted=None) == {}
    assert deleted(trashed) == [FLAKY]


def test_what_was_deleted_before_a_time_is_purged(run: Any, trashed: Store, database: Path) -> None:
    planned = run("purge", "--deleted-before", "30d", "--dry-run", "--db", database).stdout
    assert PINNED in planned
    assert "Would purge 1 session." in planned
    assert FLAKY not in planned
    assert len(deleted(trashed)) == 2
    assert (
        "Purged 1 session (26 messages)." in run("purge", "--deleted-before", "30d", "--yes", "--db", database).stdout
    )
    assert deleted(trashed) == [FLAKY]
    assert "Purged 0 sessions" in run("purge", "--deleted-before", "30d", "--db", database).stdout  # nothing to ask


def test_only_one_profiles_sessions_are_purged(run: Any, trashed: Store, database: Path) -> None:
    run("purge", "--deleted-before", "today", "--profile", "nobody", "--yes", "--db", database)
    assert len(deleted(trashed)) == 2


@pytest.mark.parametrize(
    "options",
    [[], [PINNED, "--deleted-before", "30d"], ["--deleted-before", "soon"], [PINNED, "--profile", "default"]],
)
def test_wrong_usage_of_purge_is_exit_code_2(run: Any, trashed: Store, database: Path, options: list[str]) -> None:
    run("purge", *options, "--yes", "--db", database, code=2)
    assert len(deleted(trashed)) == 2


def test_without_a_terminal_a_purge_needs_a_yes(run: Any, trashed: Store, database: Path) -> None:
    done = run("purge", PINNED, "--db", database, code=2)
    assert done.stderr == "Nothing was purged: there is no terminal to ask on; --yes says yes.\n"
    assert len(deleted(trashed)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("typed", ["y\n", "n\n", "\x04"])
def test_on_a_terminal_a_purge_asks(trashed: Store, database: Path, typed: str) -> None:
    trashed.close()
    said, code = run_in_terminal(["purge", PINNED, "--db", database], {}, typed=typed)
    assert code == (130 if typed == "\x04" else 0)
    assert "Purge 'Zero-downtime deploys for Lantern' (26 messages) for good?" in said
    with Store.open(database, read_only=True) as store:
        assert (PINNED in deleted(store)) == (typed != "y\n")


def test_a_reader_keeps_old_text_in_the_log(run: Any, trashed: Store, database: Path) -> None:
    with trashed.snapshot() as view:
        view.sessions.list()
        said = run("purge", PINNED, "--yes", "--db", database).stdout
    assert "Text of them can be left: in the log" in said


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    for name in ("one", "two"):
        state.session(name, "hello")
    return state


def test_imported_files_are_removed_if_wanted(run: Any, run_json: Any, state: StateDir, tmp_path: Path) -> None:
    target = tmp_path / "new.db"
    run("import", state.root, "--db", target)
    run("purge", "one", "--yes", "--db", target)
    assert (state.sessions / "one.json").exists()
    done = run_json("purge", "two", "--yes", "--remove-imported-files", "--db", target)
    assert [(Path(file["path"]).name, file["outcome"]) for file in done["files"]] == [("two.json", "removed")]
    assert not (state.sessions / "two.json").exists()


def test_a_kept_file_is_exit_code_1(run: Any, state: StateDir, tmp_path: Path) -> None:
    target = tmp_path / "new.db"
    run("import", state.root, "--db", target)
    state.session("one", "hello", "changed")
    done = run("purge", "one", "--yes", "--remove-imported-files", "--db", target, code=1)
    assert f"Kept {state.sessions / 'one.json'}: it was changed after it was imported" in done.stdout


@pytest.mark.parametrize(
    "command", [["trash"], ["delete", "x"], ["restore", "x"], ["purge", "x", "--yes"], ["pin", "x"]]
)
def test_no_database_is_made(run: Any, tmp_path: Path, command: list[str]) -> None:
    assert "There is no database" in run(*command, "--db", tmp_path / "none.db", code=3).stderr
    assert list(tmp_path.iterdir()) == []


def test_nasty_titles_command_no_terminal(run: Any, nasty_database: Path) -> None:
    with Store.open(nasty_database) as store:
        ids = [session.session_id for session in store.sessions.iterate()]
    said = [
        run("delete", *ids, "--db", nasty_database, columns=200).stdout,
        run("trash", "-n", "1000", "--db", nasty_database, columns=200).stdout,
        run("purge", *ids, "--dry-run", "--db", nasty_database, columns=200).stdout,
        json.dumps(run("purge", *ids, "--yes", "--json", "--db", nasty_database).stdout),
    ]
    for text in said:
        assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2069]", text) == []
