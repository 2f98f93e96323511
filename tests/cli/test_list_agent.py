"""hermes-store list --agent: the store's and the agent's sessions in one order, each once."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.agent.combined_listing import list_combined
from hermes_store.records import SessionRecord
from tests.support.examples import examples

Json = Callable[..., Any]

SENSORS, LANTERN, FISH = "20260811_190015_3c7d5e", "20260702_153544_e8f3a6", "20260618_203301_77b0c4"
RATATOUILLE, NAS = "20260603_184210_5d0e71", "20260512_091500_a1b2c3"


def ids(page: Any, keeper: str = "") -> list[str]:
    return [session["session_id"] for session in page["items"] if keeper in ("", session["kept_by"])]


def test_the_agents_sessions_are_listed_with_a_mark(run: Any, home: Path, database: Path) -> None:
    said = run("list", "--agent", "--home", home, "--db", database, columns=160).stdout
    marked = re.findall(r"^◆ .*  (\w+)$", said, re.MULTILINE)
    assert marked == [SENSORS, LANTERN, FISH, RATATOUILLE]
    assert said.endswith(
        "19 sessions (★ pinned, ▫ archived, ◆ the agent's, not in the store, ◌ recovered from a damaged file).\n"
    )


def test_pinned_sessions_come_first_then_by_last_activity(run_json: Json, home: Path, database: Path) -> None:
    items = run_json("list", "--agent", "--home", home, "--db", database)["items"]
    order = [(one.get("pinned", False), one.get("updated_at", one.get("last_active"))) for one in items]
    assert order == sorted(order, reverse=True)
    assert [one["kept_by"] for one in items].count("agent") == 4


def test_the_json_has_the_source_and_each_keeper(run_json: Json, home: Path, database: Path) -> None:
    items = run_json("list", "--agent", "--home", home, "--db", database)["items"]
    assert {one["source"] for one in items if one["session_id"] in (SENSORS, LANTERN, FISH)} == {"cli"}
    for keeper, options in (("store", ["list", "--db", database]), ("agent", ["agent", "list", "--home", home])):
        listed = [{**one, "kept_by": keeper} for one in run_json(*options)["items"]]
        assert [one for one in items if one["kept_by"] == keeper] == [
            one for one in listed if keeper == "store" or one["session_id"] != NAS
        ]


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 5, 18, 19])
def test_the_last_line_leads_through_all_pages(
    run: Any, run_json: Json, home: Path, database: Path, *, limit: int, as_json: bool
) -> None:
    common = ["list", "--agent", "--home", home, "--db", database]
    whole = ids(run_json(*common))
    found: list[str] = []
    more: list[str] = []
    while True:
        if as_json:
            page = run_json(*common, "--limit", limit, *more)
            found += ids(page)
            following = page["next"]
        else:
            said = run(*common, "--limit", limit, *more, columns=200).stdout
            found += re.findall(r"  (\w+)$", said.partition("\n\n")[0], re.MULTILINE)[1:]
            following = (re.findall(r"^For the next ones, add --after (\S+)$", said, re.MULTILINE) or [None])[0]
        if following is None:
            break
        more = ["--after", following]
    assert found == whole


def test_imported_session_is_shown_once_from_the_store(run: Any, run_json: Json, home: Path, database: Path) -> None:
    run("agent", "import", "--home", home, "--db", database)
    with Store.open(database, durability="normal") as store:
        store.sessions.change_id(LANTERN, "renamed")
        store.sessions.delete(FISH)
        store.sessions.delete(RATATOUILLE)
        store.sessions.purge(RATATOUILLE)
    # It has another head session from now on.
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        connection.execute(f"UPDATE sessions SET end_reason = 'compression', ended_at = 1 WHERE id = '{SENSORS}'")
        connection.execute(
            "INSERT INTO sessions (id, source, started_at, parent_session_id) "
            f"VALUES ('goes-on', 'cli', 1786480000, '{SENSORS}')"
        )
        connection.execute(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES ('goes-on', 'user', 'x', 1786480000)"
        )
    assert "goes-on" in [one["session_id"] for one in run_json("agent", "list", "--home", home)["items"]]
    page = run_json("list", "--agent", "--home", home, "--db", database)
    assert ids(page, "agent") == []
    assert len(ids(page)) == 17
    assert {"renamed", SENSORS, NAS} <= set(ids(page))


def test_conversation_is_recognised_after_its_session_is_gone(
    run: Any, run_json: Json, home: Path, database: Path
) -> None:
    run("agent", "import", "--home", home, "--db", database)
    run("agent", "delete", LANTERN, "--yes", "--home", home)
    assert "20260702_140512_c19e20" in [one["session_id"] for one in run_json("agent", "list", "--home", home)["items"]]
    page = run_json("list", "--agent", "--home", home, "--db", database)
    assert ids(page, "agent") == []
    assert LANTERN in ids(page, "store")


@pytest.mark.parametrize(
    ("options", "store", "agent"),
    [
        (["--source", "telegram"], set(), {RATATOUILLE}),
        (["--source", "fork"], {"8c05b2d9e7f3"}, set()),
        (["--profile", "work"], {"f0b39d5c7a12"}, {SENSORS}),
        (["--since", "2026-05-20", "--until", "2026-06-05"], {"18fa6d02b7ce"}, {RATATOUILLE}),
    ],
)
def test_filters_narrow_both(
    run_json: Json, home: Path, database: Path, *, options: list[str], store: set[str], agent: set[str]
) -> None:
    work = home / "profiles" / "work"
    work.mkdir(parents=True)
    shutil.copy(home / "state.db", work)
    with closing(sqlite3.connect(work / "state.db")) as connection, connection:
        connection.execute(f"UPDATE sessions SET archived = 1 WHERE id <> '{SENSORS}'")
    page = run_json("list", "--agent", "--home", home, "--db", database, *options)
    assert (set(ids(page, "store")), set(ids(page, "agent"))) == (store, agent)


@pytest.mark.slow
def test_without_the_agents_file_the_store_is_listed(program_line: Any, home: Path, database: Path) -> None:
    alone = subprocess.run(program_line("list", "--db", database), capture_output=True, text=True, check=True).stdout
    for path in (home / "none.db", home, home / "webui" / "projects.json"):
        command = program_line("list", "--agent", "--path", path, "--db", database)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == alone.splitlines()[:-1]  # without the number of hidden sessions
        assert re.fullmatch(rf"The agent's sessions are left out: .*{re.escape(str(path))}.*\n", done.stderr)
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["items"]) == 15


@pytest.mark.parametrize(
    "options",
    [
        ["--agent", "--deleted"],
        ["--agent", "--pinned"],
        ["--agent", "--no-archived"],
        ["--agent", "--project", "Lantern"],
        ["--agent", "--no-project"],
        ["--agent", "--no-source"],
        ["--agent", "--sort", "title"],
        ["--agent", "--model", "gpt"],
        ["--agent", "--path", "a", "--home", "b"],
        ["--agent", "--after", "nonsense"],
        ["--agent", "--profile", "No Profile Of An Agent's"],
        ["--home", "."],
        ["--path", "a"],
        ["--agent-profile", "work"],
    ],
    ids=" ".join,
)
def test_invalid_option_combinations_are_wrong_usage(run: Any, database: Path, options: list[str]) -> None:
    assert run("list", "--db", database, *options, code=2).stdout == ""


BEGIN = 1_786_000_000.0
STORES = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=8)
AGENTS = st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=8)


@pytest.mark.slow
@settings(max_examples=examples(20))
@given(stores=STORES, agents=AGENTS, limit=st.integers(1, 6))
def test_any_page_size_gives_all_rows_in_order(
    sqlite_template: Path, *, stores: list[tuple[int, bool]], agents: list[tuple[int, bool]], limit: int
) -> None:
    """The agent's rows are (time, whether the store has one of that id, too), the store's (time, pinned)."""
    with tempfile.TemporaryDirectory() as folder:
        database, state = Path(folder, "hermes.db"), Path(folder, "state.db")
        shutil.copy(sqlite_template, database)
        expected = []
        with closing(sqlite3.connect(state)) as connection, connection:
            connection.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT, started_at REAL, title TEXT)")
            connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id, role, content, timestamp)")
            for number, (time, _) in enumerate(agents):
                row = (f"a{number}", "cli", BEGIN, "Titled")
                connection.execute("INSERT INTO sessions VALUES (?, ?, ?, ?)", row)
                connection.execute("INSERT INTO messages VALUES (NULL, ?, 'user', 'x', ?)", (row[0], BEGIN + time))
        with Store.open(database, durability="normal") as store, store.transaction() as tx:
            for number, (_, known) in enumerate(agents):
                if known:
                    tx.sessions.create(session_id=f"a{number}", title="The store's")
            for number, (_, pinned) in enumerate(stores):
                tx.sessions.create(session_id=f"s{number}", title="The store's", pinned=pinned)
        with closing(sqlite3.connect(database)) as connection, connection:
            for name, rows in (("a", agents), ("s", stores)):
                for number, (time, _) in enumerate(rows):
                    values = (BEGIN + time, f"{name}{number}")
                    connection.execute("UPDATE sessions SET updated_at = ? WHERE session_id = ?", values)
        for number, (time, known) in enumerate(agents):
            expected.append((False, BEGIN + time, known, f"a{number}"))
        for number, (time, pinned) in enumerate(stores):
            expected.append((pinned, BEGIN + time, True, f"s{number}"))

        found = []
        with Store.open(database, read_only=True) as store:
            page = list_combined(store, AgentBridge(state, store=store), limit=limit)
            sizes = [len(page.items)]
            found += page.items
            while page.next is not None:
                page = list_combined(store, AgentBridge(state, store=store), limit=limit, after=page.next)
                sizes.append(len(page.items))
                found += page.items
        assert page.agent_error is None
        assert all(size == limit for size in sizes[:-1])
        assert sizes[-1] > 0 or not expected
        keys = [
            (row.pinned, row.updated_at, True) if isinstance(row, SessionRecord) else (False, row.last_active, False)
            for row in found
        ]
        assert keys == sorted((row[:3] for row in expected), reverse=True)
        assert sorted(row.session_id for row in found) == sorted(row[3] for row in expected)
