"""Whatever titles, names and messages hold: no command fails on it, and none of it commands the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hermes_store import Store
from hermes_store.cli.text import harmless_json, printable
from hermes_store.transcripts import json_codec
from tests.support.nasty_text import NASTY, nasty_messages

any_text = st.text(st.characters(exclude_categories=())) | st.sampled_from(NASTY)


def assert_harmless(said: bytes) -> None:
    """Nothing but printable characters and line ends, in UTF-8."""
    commands = [character for character in said.decode("utf-8") if is_command(character)]
    assert commands == []


def is_command(character: str) -> bool:
    code = ord(character)
    return character != "\n" and (code < 0x20 or 0x7F <= code < 0xA0 or character in "\u2028\u2029\u202e\u2069")


@given(any_text)
def test_printable_text_is_one_line_without_commands(text: str) -> None:
    shown = printable(text)
    assert_harmless(shown.encode("utf-8"))
    assert "\n" not in shown


@given(any_text)
def test_printable_lines_keep_their_line_breaks(text: str) -> None:
    shown = printable(text, lines=True)
    assert_harmless(shown.encode("utf-8"))
    breaks = text.replace("\r\n", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    assert shown.count("\n") == breaks.count("\n")


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(any_text)
def test_json_output_is_harmless_and_keeps_its_value(text: str) -> None:
    value = {text: [text, 1e300, 2**70]}
    assert_harmless(harmless_json(value))
    assert json_codec.encode(json.loads(harmless_json(value))) == json_codec.encode(value)


@given(any_text)
def test_what_json_cannot_say_is_text(text: str) -> None:
    shown = harmless_json({text: [float("nan"), -float("inf"), float("inf"), text, 'NaN", -Infinity \\']})
    whole = json.loads(shown, parse_constant=lambda name: pytest.fail(f"{name} was written"))
    ((_, values),) = whole.items()
    assert values[:3] == ["NaN", "-Infinity", "Infinity"]
    assert values[4] == 'NaN", -Infinity \\'


@pytest.mark.parametrize("mark", [*"\xad\u061c\u200b\u200e\u200f\u202a\u2060\u2066\ufeff\U000e0041"])
def test_invisible_marks_are_shown_as_replaced(mark: str) -> None:
    assert printable(f"a{mark}b") == "a\N{REPLACEMENT CHARACTER}b"
    assert json.loads(harmless_json(mark)) == mark
    assert mark not in harmless_json(mark).decode()


COMMANDS = [["list"], ["list", "--deleted"], ["projects"], ["info"]]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [30, 80, 400])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_that_is_listed_commands_the_terminal(
    run: Any, nasty_database: Path, command: list[str], columns: int
) -> None:
    with Store.open(nasty_database, durability="normal") as store:
        store.sessions.delete(store.sessions.list().items[0].session_id)
    said = run(*command, "--db", nasty_database, columns=columns)
    assert_harmless(said.stdout_bytes)
    if command == ["list"]:
        rows = said.stdout.partition("\n\n")[0].splitlines()
        assert len(rows) == len(NASTY)  # one is deleted, and one row is the header
        assert max(map(cell_len, rows)) <= columns


def test_no_transcript_commands_the_terminal(run: Any, nasty_database: Path) -> None:
    with Store.open(nasty_database, read_only=True) as store:
        sessions = store.sessions.list().items
    for session in sessions:
        said = run("show", session.session_id, "--db", nasty_database)
        assert_harmless(said.stdout_bytes)
        headings = [line for line in said.stdout.splitlines() if line.endswith("──")]
        assert len(headings) == len(nasty_messages(""))


def test_markup_in_a_title_or_message_is_text(run: Any, nasty_database: Path) -> None:
    markup = "[bold]no markup[/] :smile: [/nothing]"
    assert markup in run("list", "--db", nasty_database, columns=400).stdout
    with Store.open(nasty_database, read_only=True) as store:
        (session,) = [session for session in store.sessions.list().items if session.title == markup]
    assert f"\n{markup}\n" in run("show", session.session_id, "--db", nasty_database).stdout


def test_json_gives_back_the_very_text(run_json: Callable[..., Any], nasty_database: Path) -> None:
    items = run_json("list", "--db", nasty_database)["items"]
    assert sorted(item["title"] for item in items) == sorted(NASTY)
    assert sorted(item["name"] for item in run_json("projects", "--db", nasty_database)["items"]) == sorted(
        text[:128] for text in NASTY
    )
    for item in items:
        document = run_json("show", item["session_id"], "--db", nasty_database)
        as_written = json.loads(harmless_json(nasty_messages(item["title"])))
        assert json_codec.encode(document["messages"]) == json_codec.encode(as_written)
        assert document["documents"]["pending_user_message"] == item["title"]


def test_nasty_sessions_are_exported_and_imported_again(run: Any, nasty_database: Path, tmp_path: Path) -> None:
    assert_harmless(run("export", tmp_path / "out", "--db", nasty_database).stdout_bytes)
    said = run("import", tmp_path / "out", "--db", tmp_path / "again.db", "--verbose")
    assert_harmless(said.stdout_bytes)
    assert f"{len(NASTY)} imported" in said.stdout


def test_errors_show_what_was_typed_without_its_commands(run: Any, nasty_database: Path) -> None:
    for text in NASTY:
        if "\x00" not in text:  # which no command line can hold
            done = run("list", "--project", text + "?", "--db", nasty_database, code=3)
            assert_harmless(done.stderr_bytes)
            assert done.stderr.count("\n") == 1
