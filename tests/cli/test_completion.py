"""Completion in a shell: commands, and ids that are read from the database or the agent's file."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hermes_store import Store
from hermes_store.cli.app import app
from tests.support.first_release import restore_sqlite

FISH = "20260618_203301_77b0c4"
Complete = Callable[..., list[str]]


@pytest.fixture
def complete() -> Complete:
    """Ask as bash does for what may follow the words; the last one is being typed."""

    def complete(*words: str | Path) -> list[str]:
        line = shlex.join(["hermes-store", *map(str, words)])
        env = {"_HERMES_STORE_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
        done = CliRunner().invoke(app, [], prog_name="hermes-store", env=env)
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout.split()

    return complete


def test_commands_and_options_are_completed(complete: Complete) -> None:
    assert complete("li") == ["list", "lineage"]
    assert complete("db", "c") == ["current", "check"]
    assert complete("list", "--si") == ["--since"]
    assert complete("list", "--sort", "t") == ["title", "tokens"]


@pytest.mark.parametrize("before", [True, False])
def test_ids_of_the_database_are_completed(complete: Complete, database: Path, before: bool) -> None:
    place: list[Any] = ["--db", database]
    words = [*place, "show"] if before else ["show", *place]
    assert complete(*words, "20") == ["20260512_091500_a1b2c3", "20c8f5e17b94"]
    assert complete(*words, "zzz") == []


def test_the_last_changed_sessions_are_offered_first(complete: Complete, example_store: Store, database: Path) -> None:
    example_store.sessions.delete("3f9c1e7a04b2")
    offered = complete("show", "--db", database, "")
    assert offered == [session.session_id for session in example_store.sessions.list().items]


def test_no_title_is_given_to_a_shell(complete: Complete, example_store: Store, database: Path) -> None:
    session = example_store.sessions.create(session_id="zz", title="$(touch pwned) `touch pwned`")
    assert complete("show", "--db", database, "z") == [session.session_id]


def test_deleted_sessions_are_offered_where_they_are_meant(
    complete: Complete, example_store: Store, database: Path
) -> None:
    example_store.sessions.delete("20c8f5e17b94")
    for command in ("restore", "purge"):
        assert complete(command, "--db", database, "20") == ["20c8f5e17b94"]
        assert complete(command, "--db", database, "20c8f5e17b94", "") == ["20c8f5e17b94"]
    for command in ("delete", "rename", "pin", "move"):
        assert complete(command, "--db", database, "20") == ["20260512_091500_a1b2c3"]


@pytest.mark.parametrize("command", ["show", "delete", "import"])
def test_ids_of_the_agent_are_completed(complete: Complete, home: Path, command: str) -> None:
    assert complete("agent", command, "--home", home, "20260618") == [FISH]
    assert complete("agent", command, "--path", home / "state.db", "20260618") == [FISH]
    assert FISH in complete("agent", command, "--home", home, "")
    assert complete("agent", command, "--home", home / "none", "2") == []


def test_agent_ids_unsafe_for_shells_are_left_out(complete: Complete, home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        row = ("20260618$(touch pwned)", "cli", 1786480000)
        connection.execute("INSERT INTO sessions (id, source, started_at) VALUES (?, ?, ?)", row)
    assert complete("agent", "show", "--home", home, "20260618") == [FISH]


def test_completion_makes_no_database(complete: Complete, tmp_path: Path) -> None:
    for path in (tmp_path / "none.db", tmp_path / "folder" / "none.db", tmp_path):
        assert complete("show", "--db", path, "") == []
    assert list(tmp_path.iterdir()) == []


def test_completion_upgrades_no_database(complete: Complete, tmp_path: Path) -> None:
    old = restore_sqlite(tmp_path / "old.db")
    before = old.read_bytes()
    assert complete("show", "--db", old, "") == []
    assert old.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["old.db"]
