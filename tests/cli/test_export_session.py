"""One session exported, to read or to share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.conversations import to_html, to_markdown
from hermes_store.transcripts import json_codec

TALK = "9d27a4f8e316"


def test_a_session_is_written_to_the_output(run: Any, example_store: Store, database: Path) -> None:
    values = example_store.sessions.as_json(TALK)
    assert json.loads(run("export", TALK[:4], "--format", "json", "--db", database).stdout) == values
    assert run("export", TALK, "--format", "html", "--db", database).stdout == to_html(values)
    assert run("export", TALK, "--format", "markdown", "--db", database).stdout == to_markdown(values)


def test_a_file_is_private_and_not_overwritten(
    run: Any, run_json: Any, example_store: Store, database: Path, tmp_path: Path
) -> None:
    path = tmp_path / "talk.html"
    assert f"Wrote {TALK} (" in run("export", TALK, "--format", "html", "-o", path, "--db", database).stdout
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("mine")
    assert "exists already" in run("export", TALK, "--format", "html", "-o", path, "--db", database, code=4).stderr
    assert path.read_text() == "mine"
    done = run_json("export", TALK, "--format", "json", "-o", path, "--force", "--db", database)
    assert done == {"session_id": TALK, "format": "json", "path": str(path), "size_bytes": path.stat().st_size}
    assert json_codec.decode(path.read_bytes()) == example_store.sessions.as_json(TALK)
    assert [one.name for one in tmp_path.iterdir() if "part" in one.name] == []


@pytest.mark.parametrize("kind", ["folder", "pipe", "missing/file"])
def test_what_is_no_file_is_not_replaced(run: Any, database: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    said = run("export", TALK, "--format", "html", "-o", tmp_path / kind, "--force", "--db", database, code=4).stderr
    assert kind in said
    assert (tmp_path / "pipe").is_fifo()


def test_a_deleted_session_is_not_exported(run: Any, example_store: Store, database: Path) -> None:
    example_store.sessions.delete(TALK)
    assert "restore" in run("export", TALK, "--format", "html", "--db", database, code=3).stderr
    assert "There is no session" in run("export", "nobody", "--format", "html", "--db", database, code=3).stderr


def test_an_id_without_a_format_makes_no_directory(run: Any, database: Path, tmp_path: Path) -> None:
    assert "--format" in run("export", TALK[:6], "--db", database, code=2).stderr
    assert not Path(TALK[:6]).exists()
    run("export", TALK, "-o", tmp_path / "x", "--db", database, code=2)
    run("export", TALK, "--format", "html", "--json", "--db", database, code=2)
