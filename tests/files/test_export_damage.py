"""An export writes everything that can be read, reports the rest, keeps it private, and is marked until it is whole."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hermes_store import FilesError, Store
from hermes_store.files import ExportProgress, export_directory, import_directory
from tests.support.webui import files as webui

ALL = ["one", "two", "three"]
DAMAGED = "(SELECT id FROM sessions WHERE session_id = 's5')"
SECOND = f"(SELECT id FROM messages WHERE session_id = {DAMAGED} AND position = 1)"


@pytest.fixture
def ten_sessions(sqlite_path: Path) -> Path:
    with Store.open(sqlite_path, durability="normal") as store:
        for number in range(10):
            store.sessions.create(session_id=f"s{number}", title=f"t{number}", workspace="/")
            store.messages.extend(f"s{number}", ["one", "two", "three"])
        store.documents.put("s5", {"large": "x" * 5_000, "small": 1})
    return sqlite_path


@pytest.mark.parametrize(
    ("statement", "messages", "problem"),
    [
        (
            f"UPDATE message_blobs SET payload = x'7b' WHERE message_id = {SECOND}",
            ["one", "three"],
            ("s5", 1),
        ),
        (f"DELETE FROM messages WHERE position = 2 AND session_id = {DAMAGED}", ["one", "two"], ("s5", 2)),
        ("UPDATE sessions SET message_count = 5 WHERE session_id = 's5'", ALL, ("s5", 3)),
        ("UPDATE session_documents SET payload = x'7b'", ALL, ("s5", None)),
        (
            f"UPDATE session_extras SET payload = x'7b' WHERE session_id = {DAMAGED}",
            ["one", "two", "three"],
            ("s5", None),
        ),
        ("UPDATE sessions SET title = CAST(x'74a8' AS TEXT) WHERE session_id = 's5'", ALL, None),
    ],
)
def test_an_export_goes_on_past_what_is_damaged(
    ten_sessions: Path, tmp_path: Path, statement: str, messages: list[str], problem: tuple[str, int | None] | None
) -> None:
    with closing(sqlite3.connect(ten_sessions)) as connection:
        connection.execute(statement)
        connection.commit()
    with Store.open(ten_sessions) as store:
        report = export_directory(store, tmp_path / "out")
    assert report.sessions == 10
    assert webui.session_ids(tmp_path / "out") == {f"s{number}" for number in range(10)}
    assert webui.load(tmp_path / "out", "s5")["messages"] == messages
    assert {row["session_id"]: row["message_count"] for row in webui.index(tmp_path / "out")}["s5"] == len(messages)
    assert [(one.session_id, one.position) for one in report.problems] == ([] if problem is None else [problem])
    assert not (tmp_path / "out" / "sessions" / ".incomplete").exists()


def test_an_id_that_names_another_place_is_reported(ten_sessions: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(ten_sessions)) as connection:
        connection.execute("UPDATE sessions SET session_id = '../../elsewhere' WHERE session_id = 's5'")
        connection.commit()
    with Store.open(ten_sessions) as store:
        report = export_directory(store, tmp_path / "out")
    assert (report.sessions, [one.session_id for one in report.problems]) == (9, ["../../elsewhere"])
    assert not list(tmp_path.rglob("elsewhere*"))


def test_an_interrupted_export_is_marked_and_repeatable(
    ten_sessions: Path, tmp_path: Path, sqlite_store: Store
) -> None:
    def stop(progress: ExportProgress) -> None:
        if progress.done == 4:
            raise KeyboardInterrupt

    out = tmp_path / "out"
    with Store.open(ten_sessions) as store:
        with pytest.raises(KeyboardInterrupt):
            export_directory(store, out, on_progress=stop)
        with Store.open(":memory:") as other:
            reasons = [item.reason for item in import_directory(other, out).items]
        assert any("was not finished: sessions are missing" in reason for reason in reasons)
        store.sessions.purge("s9")  # the last one, whose file is there already
        report = export_directory(store, out)
    assert (report.sessions, [one.session_id for one in report.problems]) == (9, ["s9"])
    assert not (out / "sessions" / ".incomplete").exists()
    with Store.open(ten_sessions) as store, pytest.raises(FilesError, match="already"):
        export_directory(store, out)


def test_exported_files_are_for_their_owner_alone(ten_sessions: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Store.open(ten_sessions) as store:
            export_directory(store, tmp_path / "out")
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "out").rglob("*.json")}
    assert modes == {0o600}
    assert {(tmp_path / "out" / name).stat().st_mode & 0o777 for name in (".", "sessions")} == {0o700}


def test_planted_links_and_pipes_are_replaced_not_followed(ten_sessions: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "projects.json").symlink_to(tmp_path / "missing")
    folder = tmp_path / "out" / "sessions"
    folder.mkdir()
    (folder / f"s1.json.tmp.{os.getpid()}").symlink_to(victim)
    os.mkfifo(folder / f"s2.json.tmp.{os.getpid()}")
    with Store.open(ten_sessions) as store:
        assert export_directory(store, tmp_path / "out").sessions == 10
    assert victim.read_text() == "mine"
    assert not (tmp_path / "missing").exists()
    assert (folder / "s1.json").is_file()


def test_a_linked_sessions_folder_is_refused(ten_sessions: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "sessions").symlink_to(tmp_path / "elsewhere")
    with Store.open(ten_sessions) as store, pytest.raises(FilesError, match="cannot be written"):
        export_directory(store, tmp_path / "out")
    assert list((tmp_path / "elsewhere").iterdir()) == []
