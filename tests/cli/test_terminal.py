"""On a real terminal: colours, progress and the pager; elsewhere, none of them."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hermes_store.cli.exits import CommandError
from hermes_store.cli.progress import interruptible, progress
from tests.support.pseudo_terminal import run_in_terminal

pytestmark = pytest.mark.slow

ESC = "\x1b"


def without_styles(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_an_import_draws_its_progress_on_a_terminal(home: Path, tmp_path: Path) -> None:
    said, code = run_in_terminal(["import", home, "--db", tmp_path / "a.db"], {})
    assert code == 0
    drawn = without_styles(said)
    assert re.search(r"Importing .*17/17 +[\d,]+ files/s +15 imported, 1 recovered, 1 skipped", drawn)
    assert "2 projects: 2 imported.\n" in drawn


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_without_colours_there_is_no_progress_either(home: Path, tmp_path: Path, env: dict[str, str]) -> None:
    said, code = run_in_terminal(["import", home, "--db", tmp_path / "a.db"], env)
    assert code == 0
    assert ESC not in said
    assert said.startswith("17 files in ")


def test_json_on_a_terminal_is_json_alone(home: Path, tmp_path: Path) -> None:
    said, _ = run_in_terminal(["import", home, "--db", tmp_path / "a.db", "--json"], {})
    assert re.fullmatch(r"\{.*\}\n", said)


def test_a_piped_import_ignores_forced_colours(program_line: Any, home: Path, tmp_path: Path) -> None:
    command = program_line("import", home, "--db", tmp_path / "a.db")
    env = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("17 files in ")
    assert ESC not in done.stdout


def test_the_list_is_coloured_and_fits_the_terminal(database: Path) -> None:
    said, _ = run_in_terminal(["list", "--db", database], {}, columns=80)
    assert f"{ESC}[36m5b8e2f61c0d7{ESC}[0m" in said
    rows = without_styles(said).splitlines()
    assert max(map(len, rows)) == 80


PAGED = pytest.mark.parametrize(("options", "paged"), [([], True), (["--no-pager"], False), (["--json"], False)])


@PAGED
def test_a_transcript_is_paged_on_a_terminal(database: Path, tmp_path: Path, options: list[str], paged: bool) -> None:
    log = tmp_path / "paged"
    command: list[str | Path] = ["show", "b84e", "--db", database, *options]
    said, code = run_in_terminal(command, {"PAGER": f"cat > {log}"})
    assert code == 0
    assert log.exists() == paged
    shown, other = (log.read_text(encoding="utf-8"), said) if paged else (said, "")
    assert "Solder four of them as a bridge." in " ".join(without_styles(shown).split())
    assert other == ""
    assert (ESC in shown) == (options != ["--json"])


def test_a_pager_without_colour_support_gets_no_colours(database: Path, tmp_path: Path) -> None:
    log = tmp_path / "paged"
    command: list[str | Path] = ["show", "b84e", "--db", database]
    run_in_terminal(command, {"PAGER": f"cat > {log}", "LESS": "FX"})
    assert ESC not in log.read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["show", "5b8e"]], ids=" ".join)
def test_a_closed_pipe_ends_the_program_quietly(
    program_line: Callable[..., list[str]], database: Path, command: list[str]
) -> None:
    process = subprocess.Popen(
        program_line(*command, "--db", database), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as errors:
        assert errors.read() == ""
    assert process.wait() == 0


def test_unwritable_output_is_an_error_of_one_line(program_line: Any, database: Path) -> None:
    with database.open("rb") as unwritable:
        done = subprocess.run(
            program_line("list", "--db", database), stdout=unwritable, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 4
    assert done.stderr == "The output cannot be used: Bad file descriptor.\n"


def test_an_encoding_without_these_characters_shows_question_marks(program_line: Any, database: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = subprocess.run(program_line("list", "--db", database), env=env, capture_output=True, check=True)
    assert b"\n? Zero-downtime deploys" in done.stdout
    assert done.stderr == b""


def test_the_time_goes_on_after_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("hermes_store.cli.progress.time", SimpleNamespace(monotonic=lambda: now))
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, color_system="standard", width=100)
    with progress(console, "Reading", "pages", quiet=False) as advance:
        advance(1, 1, "")
        now += 75.0
        advance(0, 0, "checking")
    assert "0:01:15" in written.getvalue()


def test_the_interruption_message_ignores_log_lines() -> None:
    console = Console(file=io.StringIO())

    def state(done: int) -> str:
        return f"{done} messages are done."

    def index() -> None:
        with interruptible(console, "Indexing", "messages", quiet=False, state=state) as advance:
            advance(5, 9, "")
            signal.raise_signal(signal.SIGINT)
            logging.getLogger("hermes_store").info("Index of words: 5 of 9 messages are done.")

    with pytest.raises(CommandError, match=r"Interrupted\. 5 messages are done\."):
        index()
