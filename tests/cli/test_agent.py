"""hermes-store agent: what it shows of the agent's own file, takes in from it, and deletes there."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.agent.listing import GROUPS
from tests.support.nasty_text import NASTY
from tests.support.pseudo_terminal import run_in_terminal

Json = Callable[..., Any]

SENSORS, LANTERN, FISH = "20260811_190015_3c7d5e", "20260702_153544_e8f3a6", "20260618_203301_77b0c4"
RATATOUILLE, NAS = "20260603_184210_5d0e71", "20260512_091500_a1b2c3"
LANTERN_ROOT, SUBAGENT = "20260702_140512_c19e20", "20260702_153610_0b64d9"
LISTED = [SENSORS, LANTERN, FISH, RATATOUILLE, NAS]
READING = [["list"], ["show", FISH], ["import"], ["import", FISH], ["delete", FISH, "--yes"], ["info"]]


def ids(page: Any) -> list[str]:
    return [session["session_id"] for session in page["items"]]


def change(home: Path, *statements: str) -> None:
    """Change the agent's file as the agent might."""
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def test_a_row_has_six_columns_including_the_source(run: Any, home: Path) -> None:
    header, _, row, *_, footer = run("agent", "list", "--home", home, columns=160).stdout.splitlines()
    assert header.split() == ["Title", "Msgs", "Model", "Source", "Age", "Id"]
    assert re.fullmatch(rf"Lantern: move to PostgreSQL #2 +10  claude-sonnet-4.6 +cli .*  {LANTERN}", row)
    assert footer == "5 sessions."


@pytest.mark.parametrize("columns", [30, 60, 80, 200])
def test_agent_rows_fit_the_terminal_with_whole_ids(run: Any, home: Path, columns: int) -> None:
    rows = run("agent", "list", "--home", home, columns=columns).stdout.partition("\n\n")[0].splitlines()
    assert [row.split()[-1] for row in rows] == ["Id", *LISTED]
    assert max(map(len, rows)) <= columns


def test_list_prints_the_bridges_page_as_json(run_json: Json, home: Path) -> None:
    page = run_json("agent", "list", "--home", home)
    assert page == json.loads(json.dumps(AgentBridge(home=home).sessions().model_dump()))
    assert ids(page) == LISTED


def test_the_last_line_leads_through_all_pages(run: Any, run_json: Json, home: Path) -> None:
    found: list[str] = []
    more: list[str] = []
    while True:
        page = run_json("agent", "list", "--home", home, "--limit", "2", *more)
        found += ids(page)
        if page["next"] is None:
            break
        assert f"add --after {page['next']}\n" in run("agent", "list", "--home", home, "--limit", "2", *more).stdout
        more = ["--after", page["next"]]
    assert found == LISTED


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--source", "telegram"], {RATATOUILLE}),
        (["--source", "cron"], {"20260714_033000_b7e41d"}),
        (["--include", "cron", "--include", "subagent"], {*LISTED, "20260714_033000_b7e41d", SUBAGENT}),
        (["--include", "archived"], {*LISTED, "20260722_081940_f4a2d8"}),
    ],
)
def test_sources_and_groups_choose_the_rows(run_json: Json, home: Path, options: list[str], expected: set[str]) -> None:
    assert set(ids(run_json("agent", "list", "--home", home, *options))) == expected


def test_the_help_names_every_group(run: Any) -> None:
    said = run("agent", "list", "--help", columns=300).stdout
    assert f"{', '.join(GROUPS)}." in said


def test_show_prints_the_facts_and_the_whole_chain(run: Any, home: Path) -> None:
    said = run("agent", "show", LANTERN, "--home", home).stdout
    assert said.startswith(f"Lantern: move to PostgreSQL #2\nid            {LANTERN}\nsource        cli\n")
    assert f"\ngoes on from  {LANTERN_ROOT}\n" in said
    assert said.count("[here the conversation goes on after a compression") == 1
    assert "\n→ delegate_task {" in said
    assert len(re.findall(r"^(?:user|assistant|tool)  2026", said, re.MULTILINE)) == 10
    only = run("agent", "show", LANTERN, "--home", home, "--no-lineage").stdout
    assert len(re.findall(r"^(?:user|assistant|tool)  2026", only, re.MULTILINE)) == 4


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--rewound"], ["--no-lineage"]])
@pytest.mark.parametrize("session_id", LISTED)
def test_show_prints_the_exact_messages_as_json(
    run_json: Json, home: Path, session_id: str, options: list[str]
) -> None:
    bridge = AgentBridge(home=home)
    document = run_json("agent", "show", session_id, "--home", home, *options)
    assert document["session"]["chain"] == list(bridge.session(session_id).chain)
    messages = bridge.messages(
        session_id, include_rewound="--rewound" in options, lineage="--no-lineage" not in options
    )
    assert document["messages"] == messages.items
    assert run_json("agent", "show", session_id, "--home", home, *options, "--tail", "3") == {
        **document,
        "first_position": len(messages.items) - 3,
        "messages": messages.items[-3:],
    }


def test_messages_taken_back_or_summarised_are_marked(run: Any, home: Path) -> None:
    assert "[taken back]" not in run("agent", "show", FISH, "--home", home).stdout
    assert run("agent", "show", FISH, "--home", home, "--rewound").stdout.count("[taken back]\n") == 2
    assert run("agent", "show", SENSORS, "--home", home).stdout.count("[summarised since:") == 2


@pytest.mark.parametrize("given", [FISH, "20260618", "2026061"])
def test_the_beginning_of_an_id_is_enough(run: Any, home: Path, given: str) -> None:
    assert run("agent", "show", given, "--home", home).stdout.startswith("Prompt for the fish shell\n")


def test_an_ambiguous_beginning_names_the_ids_that_fit(run: Any, home: Path) -> None:
    done = run("agent", "show", "20260702_1535", "--home", home)
    assert LANTERN in done.stdout
    done = run("agent", "show", "20260702", "--home", home, code=3)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert all(one in done.stderr for one in (LANTERN, LANTERN_ROOT, SUBAGENT))


@pytest.mark.parametrize("given", ["zzz", "", "…", "\x1b[31m"])
def test_an_unknown_agent_id_ends_with_one_line(run: Any, home: Path, given: str) -> None:
    done = run("agent", "show", given, "--home", home, code=3)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "\x1b" not in done.stderr


def test_info_says_what_the_file_is(run: Any, run_json: Json, home: Path) -> None:
    lines = dict(line.split(maxsplit=1) for line in run("agent", "info", "--home", home).stdout.splitlines())
    assert lines["file"] == str(home / "state.db")
    assert (lines["schema"], lines["sessions"], lines["messages"]) == ("version 22", "9", "40")
    assert run_json("agent", "info", "--home", home) == AgentBridge(home=home).info().model_dump()


def test_file_is_found_by_each_way_of_naming(run_json: Json, home: Path, tmp_path: Path) -> None:
    (home / "profiles" / "work").mkdir(parents=True)
    work = (home / "state.db").rename(home / "profiles" / "work" / "state.db")
    for options, env in (
        (["--path", work], {}),
        (["--home", work.parent], {}),
        (["--home", home, "--agent-profile", "work"], {}),
        (["--agent-profile", "work"], {"HERMES_HOME": str(home)}),
        ([], {"HERMES_HOME": str(work.parent)}),
    ):
        assert run_json("agent", "info", *options, **env)["path"] == str(work)


@pytest.mark.parametrize(
    "command",
    [
        ["agent", "list", "--path", "a", "--home", "b"],
        ["agent", "info", "--path", "a", "--agent-profile", "b"],
        ["agent", "info", "--agent-profile", "../evil"],
        ["agent", "list", "--home", ".", "--limit", "0"],
        ["agent", "list", "--home", ".", "--include", "everything"],
        ["agent", "import", "abc", "--source", "cli"],
        ["agent", "import", "abc", "--include", "cron"],
        ["agent"],
    ],
)
def test_options_that_make_no_sense_are_wrong_usage(run: Any, command: list[str]) -> None:
    assert run(*command, code=2).stderr or command == ["agent"]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_missing_and_unreadable_files_have_exit_codes(run: Any, home: Path, tmp_path: Path, command: list[str]) -> None:
    database = tmp_path / "new" / "chats.db"
    for path, code in ((tmp_path / "none.db", 3), (home, 4), (home / "webui" / "projects.json", 4)):
        done = run("--db", database, "agent", *command, "--path", path, code=code)
        assert (done.stdout, done.stderr.count("\n")) == ("", 1)
        assert str(path) in done.stderr
    assert not database.parent.exists()


@pytest.mark.parametrize("command", [["list"], ["show", FISH], ["info"]], ids=" ".join)
def test_reading_the_agents_file_needs_no_database(run: Any, home: Path, tmp_path: Path, command: list[str]) -> None:
    run("--db", tmp_path / "none.db", "agent", *command, "--home", home)
    assert not (tmp_path / "none.db").exists()


def test_import_reports_all_and_then_only_new_items(run: Any, home: Path, tmp_path: Path) -> None:
    database = tmp_path / "new" / "chats.db"
    said = run("--db", database, "agent", "import", "--home", home).stdout
    assert re.match(r"5 sessions in \d+\.\d s: 5 imported\.\nFrom .*state\.db into .*chats\.db\.\n$", said)
    assert "5 unchanged." in run("agent", "import", "--home", home, "--db", database).stdout
    change(
        home,
        "INSERT INTO messages (session_id, role, content, timestamp) "
        f"VALUES ('{SENSORS}', 'user', 'One more', 1786480000)",
    )
    assert "1 updated, 4 unchanged." in run("agent", "import", "--home", home, "--db", database).stdout
    assert run("show", SENSORS, "--db", database).stdout.endswith("\nOne more\n")
    with Store.open(database, read_only=True) as store:
        assert {session.session_id for session in store.sessions.iterate()} == set(LISTED)


def test_an_import_takes_the_named_or_selected_sessions(run_json: Json, home: Path, tmp_path: Path) -> None:
    database = tmp_path / "chats.db"
    for options, expected in (
        ([FISH, LANTERN_ROOT, LANTERN], [FISH, LANTERN]),
        (["--source", "telegram"], [RATATOUILLE]),
        (["--include", "archived"], [SENSORS, "20260722_081940_f4a2d8", LANTERN, FISH, RATATOUILLE, NAS]),
    ):
        report = run_json("agent", "import", *options, "--home", home, "--db", database)
        assert [item["id"] for item in report["items"]] == expected
    assert report["counts"] == {"imported": 3, "unchanged": 3}
    assert report["target"] == str(database)


def test_importing_an_unknown_session_creates_no_database(run: Any, home: Path, tmp_path: Path) -> None:
    run("agent", "import", FISH, "nonsense", "--home", home, "--db", tmp_path / "chats.db", code=3)
    assert not (tmp_path / "chats.db").exists()


def test_conflicts_and_failures_have_exit_code_1(run: Any, home: Path, database: Path) -> None:
    change(
        home,
        "INSERT INTO sessions (id, source, started_at) VALUES ('no id', 'cli', 1786480000)",
        "INSERT INTO messages (session_id, role, content, timestamp) VALUES ('no id', 'user', 'x', 1786480000)",
    )
    said = run("agent", "import", "--home", home, "--db", database, code=1).stdout
    assert "6 sessions in" in said
    assert "4 imported, 1 in conflict, 1 failed." in said
    assert f"In conflict:\n  {NAS}\n" in said
    assert "Failed: nothing of this is in the store, and the file is as it was:\n  no id\n" in said
    assert "--prefer" not in said


@pytest.mark.slow
def test_an_import_draws_its_progress_on_a_terminal(home: Path, tmp_path: Path) -> None:
    said, code = run_in_terminal(["agent", "import", "--home", home, "--db", tmp_path / "a.db"], {})
    assert code == 0
    drawn = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    assert re.search(r"Importing .*5/5 +[\d,]+ sessions/s +5 imported", drawn)


def sessions_of(home: Path) -> set[str]:
    everything = AgentBridge(home=home).sessions(include=list(GROUPS)).items
    return {member for session in everything for member in session.chain}


def test_a_delete_says_what_went_and_what_stays(run: Any, run_json: Json, home: Path) -> None:
    before = sessions_of(home)
    planned = run("agent", "delete", LANTERN, "--dry-run", "--home", home).stdout
    assert planned == f"Would delete session {LANTERN} (6 messages, 1 subagent).\nsubagents  {SUBAGENT}\n"
    assert sessions_of(home) == before
    assert run("agent", "delete", LANTERN, "--yes", "--home", home).stdout == planned.replace("Would delete", "Deleted")
    assert sessions_of(home) == before - {LANTERN, SUBAGENT}
    report = run_json("agent", "delete", LANTERN_ROOT, "--yes", "--home", home)
    assert (report["dry_run"], report["sessions"], report["messages"]) == (False, [LANTERN_ROOT], 6)


def test_a_delete_names_sessions_left_without_a_parent(run: Any, home: Path) -> None:
    said = run("agent", "delete", LANTERN_ROOT, "--yes", "--home", home).stdout
    assert said == f"Deleted session {LANTERN_ROOT} (6 messages).\nstay, without a parent  {LANTERN}\n"


def test_a_session_that_has_not_ended_needs_force(run: Any, home: Path) -> None:
    done = run("agent", "delete", SENSORS, "--yes", "--home", home, code=4)
    assert "delete it with --force" in done.stderr
    assert "force=True" not in done.stderr
    assert SENSORS in sessions_of(home)
    run("agent", "delete", SENSORS, "--yes", "--force", "--home", home)
    assert SENSORS not in sessions_of(home)


@pytest.mark.parametrize(
    ("given", "said"), [("20260702", f"begin with '20260702': {LANTERN_ROOT}, {LANTERN}"), ("zzz", "has no session")]
)
def test_an_unknown_or_ambiguous_id_deletes_nothing(run: Any, home: Path, given: str, said: str) -> None:
    before = sessions_of(home)
    assert said in run("agent", "delete", given, "--yes", "--home", home, code=3).stderr
    assert sessions_of(home) == before


def test_a_delete_accepts_the_beginning_of_an_id(run: Any, home: Path) -> None:
    said = run("agent", "delete", "20260618", "--dry-run", "--home", home).stdout
    assert said.startswith(f"Would delete session {FISH} (")
    run("agent", "delete", "20260618", "--yes", "--home", home)
    assert FISH not in sessions_of(home)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--since", "2026-07-01"], [SENSORS, LANTERN]),
        (["--until", "2026-06-03"], [RATATOUILLE, NAS]),
        (["--since", "2026-06-03", "--until", "2026-06-18"], [FISH, RATATOUILLE]),
        (["-n", "1"], [SENSORS]),
    ],
)
def test_times_and_a_limit_narrow_the_list(run_json: Json, home: Path, options: list[str], expected: list[str]) -> None:
    assert ids(run_json("agent", "list", "--home", home, *options)) == expected


def test_without_a_terminal_a_delete_needs_a_yes(program_line: Any, home: Path) -> None:
    done = subprocess.run(
        program_line("agent", "delete", FISH, "--home", home), input="y\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Nothing was deleted: there is no terminal to ask on; --yes says yes.\n"
    assert FISH in sessions_of(home)


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("n", False)])
def test_on_a_terminal_a_delete_asks(home: Path, answer: str, gone: bool) -> None:
    said, code = run_in_terminal(["agent", "delete", FISH, "--home", home], {}, typed=f"{answer}\n")
    assert code == 0
    assert "Delete 'Prompt for the fish shell' (6 messages) from " in said
    assert (f"Deleted session {FISH}" if gone else "Nothing was deleted.") in said
    assert (FISH not in sessions_of(home)) == gone


def test_no_answer_to_the_question_deletes_nothing(home: Path) -> None:
    end_of_input = "\x04"
    said, code = run_in_terminal(["agent", "delete", FISH, "--home", home], {}, typed=end_of_input)
    assert (code, said.splitlines()[-1]) == (130, "Interrupted.")
    assert FISH in sessions_of(home)


def test_nothing_in_the_agents_file_commands_the_terminal(run: Any, home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as connection, connection:
        for text in NASTY:
            storable = text.encode("utf-8", "replace").decode("utf-8")
            connection.execute(
                "INSERT INTO sessions (id, source, model, cwd, end_reason, started_at, ended_at) "
                "VALUES (?, ?, ?, ?, ?, 1786480000, 1786480001)",
                [f"x{storable}"] * 5,
            )
            connection.execute(
                "INSERT INTO messages (session_id, role, content, tool_name, timestamp) VALUES (?, ?, ?, ?, 1)",
                [f"x{storable}"] * 4,
            )
    commands = [["list", "--limit", "1000"], *(["show", one] for one in sessions_of(home) if "\0" not in one)]
    assert len(commands) > len(NASTY)
    for command in commands:
        said = run("agent", *command, "--home", home, columns=200).stdout
        assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e\u2069]", said) == []
