"""hermes-store import: what it does to which database, and what it says of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hermes_store import Store
from tests.support.command_line import invoke
from tests.support.processes import become_nobody, run_function


def test_an_import_prints_results_and_the_next_command(run: Any, home: Path, tmp_path: Path) -> None:
    database = tmp_path / "new folder" / "chats.db"
    said = run("import", home, "--db", database).stdout
    assert "15 imported, 1 recovered, 1 skipped; 2 projects: 2 imported." in said
    assert "sessions/7e52c0a9d4f1.json" in said
    assert "9 whole messages were read" in " ".join(said.split())
    assert f"Next: hermes-store list --db '{database}'" in said
    with Store.open(database, read_only=True) as store:
        assert store.sessions.count(include_empty=True) == 16


def test_a_second_import_changes_nothing_and_suggests_nothing(run: Any, home: Path, tmp_path: Path) -> None:
    run("import", home, "--db", tmp_path / "chats.db")
    said = run("import", home, "--db", tmp_path / "chats.db").stdout
    assert "16 unchanged, 1 skipped; 2 projects: 2 unchanged." in said
    assert "Next:" not in said


def test_without_arguments_the_state_directory_is_imported(run: Any, home: Path) -> None:
    said = run("import", HERMES_WEBUI_STATE_DIR=str(home / "webui")).stdout
    assert "Next: hermes-store list\n" in said
    assert (home / "webui" / "hermes.db").exists()
    assert "15 sessions" in run("list", HERMES_WEBUI_STATE_DIR=str(home / "webui")).stdout


def test_dry_run_reports_an_import_and_makes_nothing(run_json: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    database = tmp_path / "not yet" / "chats.db"
    dry = run_json("import", home, "--dry-run", "--db", database)
    assert not database.parent.exists()
    real = run_json("import", home, "--db", database)
    assert dry["items"] == real["items"]
    assert (dry["dry_run"], real["dry_run"]) == (True, False)


def test_a_dry_run_compares_with_an_existing_database(run: Any, home: Path, tmp_path: Path) -> None:
    database = tmp_path / "chats.db"
    run("import", home, "--db", database)
    (home / "webui" / "sessions" / "e41d0b6c9a85.json").unlink()
    shutil.copy(home / "webui" / "sessions" / "3f9c1e7a04b2.json", home / "webui" / "sessions" / "abc.json")
    said = run("import", home, "--db", database, "--dry-run").stdout
    assert said.startswith("A dry run: nothing was written.")
    assert "17 files" in said
    assert "1 imported, 15 unchanged, 1 skipped" in said
    with Store.open(database, read_only=True) as store:
        assert not store.sessions.exists("abc")


def test_failed_file_is_named_with_exit_code_1(run: Any, home: Path, tmp_path: Path) -> None:
    (home / "webui" / "sessions" / "bad.json").write_bytes(b"")
    (home / "webui" / "sessions" / "\x1b[31m.json").write_bytes(b"[]")
    said = run("import", home, "--db", tmp_path / "chats.db", code=1).stdout
    failed = said.partition("Failed: ")[2].splitlines()
    assert "  sessions/bad.json" in failed
    assert "    it is empty" in failed
    assert "  sessions/␛[31m.json" in failed
    assert "15 imported, 1 recovered, 1 skipped, 2 failed" in said


def test_prefer_files_resolves_a_reported_conflict(run: Any, home: Path, tmp_path: Path) -> None:
    database = tmp_path / "chats.db"
    run("import", home, "--db", database)
    with Store.open(database, durability="normal") as store:
        store.sessions.update("3f9c1e7a04b2", title="Changed in the store")
    change_title(home / "webui" / "sessions" / "3f9c1e7a04b2.json", "Changed in the file")

    said = run("import", home, "--db", database).stdout
    assert "In conflict:\n  sessions/3f9c1e7a04b2.json\n    both were changed since the last import" in said
    assert "--prefer files" in said
    assert titled(database, "3f9c1e7a04b2") == "Changed in the store"

    assert "1 updated" in run("import", home, "--db", database, "--prefer", "files").stdout
    assert titled(database, "3f9c1e7a04b2") == "Changed in the file"


def change_title(file: Path, title: str) -> None:
    data = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**data, "title": title}), encoding="utf-8")


def titled(database: Path, session_id: str) -> str:
    with Store.open(database, read_only=True) as store:
        return store.sessions.get(session_id).title


def test_verbose_adds_notes_and_skipped_files_always_show(run: Any, home: Path, tmp_path: Path) -> None:
    brief = run("import", home, "--db", tmp_path / "a.db").stdout
    assert "1 note; --verbose shows it." in brief
    assert "Notes:" not in brief
    full = run("import", home, "--db", tmp_path / "b.db", "--verbose").stdout
    assert "Skipped:\n  sessions/_index.json\n    a file of the WebUI's own\n" in brief
    assert "Skipped:\n  sessions/_index.json\n    a file of the WebUI's own\n" in full
    assert "Notes:\n  projects.json#7a3e51c0d94f\n    it names no profile; it is in 'default'\n" in full


def test_the_json_report_has_all_files_and_counts(run_json: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    report = run_json("import", home, "--db", tmp_path / "chats.db")
    assert report["counts"] == {"imported": 17, "recovered": 1, "skipped": 1}
    assert report["target"] == str(tmp_path / "chats.db")
    (recovered,) = [item for item in report["items"] if item["outcome"] == "recovered"]
    assert (recovered["path"], recovered["messages"]) == ("sessions/7e52c0a9d4f1.json", 9)


def test_json_reports_file_names_that_are_no_text(run: Any, home: Path, tmp_path: Path) -> None:
    (home / "webui" / "sessions" / os.fsdecode(b"\xff.json")).write_bytes(b"")
    report = json.loads(run("import", home, "--db", tmp_path / "chats.db", "--json", code=1).stdout)
    assert "sessions/\udcff.json" in [item["path"] for item in report["items"]]


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_foreign_directories_are_refused_before_a_database_exists(run: Any, tmp_path: Path, options: list[str]) -> None:
    done = run("import", tmp_path, "--db", tmp_path / "new" / "chats.db", *options, code=4)
    assert "is no state directory of hermes-webui" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_import_list_and_show_work_on_postgresql(run: Any, home: Path, postgres_url: str) -> None:
    password = sa.make_url(postgres_url).set(password="a-password").render_as_string(hide_password=False)
    assert "15 imported" in run("import", home, "--db", password, "--dry-run").stdout
    said = run("import", home, "--db", password).stdout
    assert "15 imported" in said
    assert "a-password" not in said
    assert "15 sessions" in run("list", "--db", postgres_url).stdout
    assert "番茄钟小程序：整理需求" in run("--db", postgres_url, "show", "20c8").stdout


def test_a_report_is_there_at_any_later_time(
    run: Any, run_json: Callable[..., Any], home: Path, tmp_path: Path
) -> None:
    database = tmp_path / "a.db"
    (home / "webui" / "sessions" / "bad.json").write_bytes(b"no JSON")
    first = run("import", home, "--db", database, code=1).stdout
    for _ in range(2):
        later = run("import", "--report", "--db", database).stdout
        for heading in ("Recovered as far as", "Failed: nothing of this", "Skipped:"):
            part = first[first.index(heading) :].partition("\n\n")[0]
            assert part in later
        assert "15 imported, 1 recovered, 1 skipped, 1 failed" in later
        run("import", home, "--db", database, code=1)
    records = {record["path"]: record for record in run_json("import", "--report", home, "--db", database)}
    assert Counter(record["kind"] for record in records.values()) == {"session": 18, "project": 2}
    assert records["sessions/bad.json"]["outcome"] == "failed"
    assert records["sessions/7e52c0a9d4f1.json"]["session_id"] == "7e52c0a9d4f1"
    assert "Nothing was imported from" in run("import", "--report", tmp_path, "--db", database, code=3).stderr


def test_a_recovered_session_is_marked_until_whole(run: Any, home: Path, tmp_path: Path) -> None:
    database = tmp_path / "a.db"
    run("import", home, "--db", database)
    assert "◌ Port the invoice parser" in run("list", "--db", database).stdout
    shown = run("show", "7e52", "--db", database).stdout
    assert "state        recovered" in shown
    assert "damage       it is torn or damaged at byte 3994" in shown
    file = home / "webui" / "sessions" / "7e52c0a9d4f1.json"
    file.write_text('{"session_id": "7e52c0a9d4f1", "title": "Whole", "messages": [1, 2, 3]}')
    assert "1 updated" in run("import", home, "--db", database).stdout
    assert "◌" not in run("list", "--db", database).stdout
    assert "damage" not in run("show", "7e52", "--db", database).stdout


@pytest.mark.parametrize(
    ("size", "outcome"), [("10", "failed"), ("1K", "failed"), ("2 MiB", "imported"), ("1g", "imported")]
)
def test_the_largest_file_can_be_set(run_json: Callable[..., Any], tmp_path: Path, size: str, outcome: str) -> None:
    sessions = tmp_path / "state" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "a.json").write_text('{"session_id": "a", "messages": ["' + "x" * 2000 + '"]}')
    report = run_json(
        "import", sessions.parent, "--max-file-size", size, "--db", tmp_path / "a.db", code=int(outcome == "failed")
    )
    assert [item["outcome"] for item in report["items"]] == [outcome]


def import_as_nobody(home: str) -> None:
    """Print how the import ends."""
    command = ["import", home, "--db", ":memory:"]
    invoke(command)  # imports modules, which nobody may not read
    become_nobody()
    done = invoke(command)
    print(done.exit_code, done.stderr)


@pytest.mark.slow
def test_a_folder_that_cannot_be_entered_is_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        sessions = Path(name, "sessions")
        sessions.mkdir(mode=0o700 if os.geteuid() == 0 else 0)
        done = run_function(import_as_nobody, name)
    assert done.stdout.strip() == f"4 {sessions} cannot be read: Permission denied. Nothing was imported."
