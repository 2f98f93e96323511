"""hermes-store show: a session, found by a part of its id, and its transcript."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store


def test_show_prints_the_facts_and_the_whole_transcript(run: Any, database: Path) -> None:
    said = run("show", "b84e1d73f06a", "--db", database).stdout
    assert said.startswith("Standlight for the bike dynamo\nid           b84e1d73f06a\n")
    assert "\nmodel        anthropic/claude-sonnet-4.6\n" in said
    assert "\nunanswered   Could I also charge the capacitor from a power bank before the tour?\n" in said
    assert said.count("\nuser  2026-07-29") == said.count("\nassistant  2026-07-29") == 3
    assert said.endswith("Solder four of them as a bridge.\n")


def test_pictures_are_named_and_not_dumped(run: Any, database: Path) -> None:
    said = run("show", "b84e1d73f06a", "--db", database).stdout
    assert "\n[image: image/png, 105 bytes]\n[attached: sketch.png]\n" in said
    assert "base64" not in said


def test_only_terminals_get_shortened_tool_calls_and_results(run: Any, example_store: Store, database: Path) -> None:
    call = {"function": {"name": "terminal", "arguments": '{"command": "' + "x" * 5000 + '"}'}}
    example_store.messages.extend(
        "3f9c1e7a04b2",
        [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "name": "terminal", "content": "one line of output\n" * 500},
        ],
    )
    whole = run("show", "3f9c1e7a04b2", "--tail", "2", "--db", database, COLUMNS="40").stdout
    assert f'→ terminal {{"command": "{"x" * 5000}"}}\n' in whole
    assert whole.count("one line of output") == 500
    assert "…" not in whole.partition("← terminal")[2]
    said = run("show", "3f9c1e7a04b2", "--tail", "2", "--no-pager", "--db", database, columns=200).stdout
    assert '→ terminal {"command": "xxx' in said
    assert "x … (4,855 characters more)" in said
    assert said.count("one line of output") == 6
    assert "characters more)" in said.partition("← terminal one line")[2]


def test_messages_that_are_no_objects_print_as_json(run: Any, example_store: Store, database: Path) -> None:
    example_store.messages.extend("3f9c1e7a04b2", ["just text", ["a", 1], None, 2**70])
    lines = run("show", "3f9c1e7a04b2", "--db", database).stdout.splitlines()
    shown = {line: lines[index + 1] for index, line in enumerate(lines) if line.startswith("message ")}
    assert list(shown.values()) == ['"just text"', '["a",1]', "null", "1180591620717411303424"]
    assert [line.split()[1] for line in shown] == ["4", "5", "6", "7"]


@pytest.mark.parametrize("tail", [1, 2, 65, 66, 1000])
def test_a_tail_says_how_many_messages_come_before(
    run: Any, run_json: Callable[..., Any], example_store: Store, database: Path, tail: int
) -> None:
    messages = list(example_store.messages.read("9d27a4f8e316"))
    document = run_json("show", "9d27a4f8e316", "--tail", str(tail), "--db", database)
    assert document["messages"] == messages[-tail:]
    assert document["first_position"] == max(0, 66 - tail)
    said = run("show", "9d27a4f8e316", "--tail", str(tail), "--db", database).stdout
    assert ("earlier message" in said) == (tail < 66)
    assert said.endswith(messages[-1]["content"].rstrip() + "\n")


def test_session_longer_than_a_page_is_shown_whole(
    run_json: Callable[..., Any], example_store: Store, database: Path
) -> None:
    example_store.messages.extend("e41d0b6c9a85", list(range(2500)))
    assert run_json("show", "e41d", "--db", database)["messages"] == list(range(2500))
    assert run_json("show", "e41d", "--tail", "1700", "--db", database)["messages"] == list(range(800, 2500))
    assert run_json("show", "e41d", "--tail", "1700", "--db", database)["first_position"] == 800


def test_the_json_has_record_documents_and_exact_messages(
    run_json: Callable[..., Any], example_store: Store, database: Path
) -> None:
    document = run_json("show", "f0b39d5c7a12", "--db", database)
    assert document["session"] == example_store.sessions.get("f0b39d5c7a12").model_dump()
    assert document["documents"] == example_store.documents.read("f0b39d5c7a12")
    assert document["messages"] == list(example_store.messages.read("f0b39d5c7a12"))


@pytest.mark.parametrize("given", ["20260512_091500_a1b2c3", "202", "20260512_09"])
def test_the_beginning_of_an_id_is_enough(run: Any, database: Path, given: str) -> None:
    assert run("show", given, "--db", database).stdout.startswith("NAS full although df shows 38 %\n")


def test_an_exact_id_is_preferred_to_longer_ones(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.create(session_id="20", title="The short one")
    assert run("show", "20", "--db", database).stdout.startswith("The short one\n")


def test_an_ambiguous_beginning_names_the_ids_that_fit(run: Any, database: Path) -> None:
    done = run("show", "2", "--db", database, code=3)
    assert done.stdout == ""
    assert "20260512_091500_a1b2c3, 20c8f5e17b94" in done.stderr


def test_show_names_the_new_id_of_renamed_sessions(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.change_id("3f9c1e7a04b2", "photos")
    assert "is now called 'photos'" in run("show", "3f9c1e7a04b2", "--db", database, code=3).stderr


@pytest.mark.parametrize(("given", "code"), [("zzz", 3), ("../evil", 2), ("", 2), ("a\x1b[31m", 2)])
def test_an_unknown_or_invalid_id_prints_one_line(run: Any, database: Path, given: str, code: int) -> None:
    done = run("show", given, "--db", database, code=code)
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert "\x1b" not in done.stderr


def test_a_deleted_session_is_not_shown(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.delete("3f9c1e7a04b2")
    said = run("show", "3f9c1e7a04b2", "--db", database, code=3).stderr
    assert said.startswith("Session '3f9c1e7a04b2' is deleted, and deleted sessions are not shown; ")
    assert f"`hermes-store trash --db {database}` lists them." in said
    assert "nothing was changed" not in said


def test_an_unknown_id_says_where_the_ids_are(run: Any, database: Path) -> None:
    said = run("show", "zzz", "--db", database, code=3).stderr
    assert said == f"There is no session 'zzz'. `hermes-store list --all --db {database}` lists them.\n"


def test_a_long_heading_is_cut_only_on_terminals(run: Any, example_store: Store, database: Path) -> None:
    example_store.messages.append("3f9c1e7a04b2", {"role": "r" * 100, "content": "x"})
    said = run("show", "3f9c1e7a04b2", "--db", database, COLUMNS="30").stdout
    assert f"\n{'r' * 100} ──\n" in said
    said = run("show", "3f9c1e7a04b2", "--no-pager", "--db", database, columns=30).stdout
    assert f"\n{'r' * 30}\n" in said
