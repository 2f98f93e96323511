"""Removing the files that a session was imported from: what was imported goes, and everything else stays."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidInputError, SessionNotFoundError, Store
from hermes_store.files import FileRemoval, import_directory, remove_imported_files
from tests.support import import_programs
from tests.support.processes import output, run_function
from tests.support.state_dir import StateDir, fingerprint, session

MESSAGES = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]


@pytest.fixture
def imported(store: Store, state: StateDir) -> StateDir:
    """A directory with two sessions, a backup and an index, which was imported."""
    for name in ("trip", "other"):
        state.session(name, *MESSAGES)
        state.write(f"{name}.json.bak", session(name, *MESSAGES[:1]))
    state.write("_index.json", [{"session_id": name, "title": f"Secret {name}"} for name in ("trip", "other")])
    import_directory(store, state.root)
    return state


def told(items: list[FileRemoval]) -> dict[str, str]:
    return {Path(item.path).name: item.reason or item.outcome.value for item in items}


def remove(store: Store, state: StateDir, session_id: str = "trip") -> dict[str, str]:
    """Remove a session's files, and make sure that nothing else in the folder changed."""
    before = fingerprint(state.sessions)
    items = remove_imported_files(store, session_id)
    after = fingerprint(state.sessions)
    named = {Path(item.path).name for item in items if item.outcome == "removed"}
    assert {name for name in before | after if before.get(name) != after.get(name)} - {"."} == named
    assert all(Path(item.path).parent == Path(os.path.realpath(state.sessions)) for item in items)
    return told(items)


def test_what_was_imported_is_removed(store: Store, imported: StateDir) -> None:
    removed = {"trip.json": "removed", "trip.json.bak": "removed", "_index.json": "removed"}
    assert remove(store, imported) == removed
    assert sorted(path.name for path in imported.sessions.iterdir()) == ["_index.json", "other.json", "other.json.bak"]
    assert json.loads((imported.sessions / "_index.json").read_text()) == [
        {"session_id": "other", "title": "Secret other"}
    ]
    assert store.messages.read("trip") == MESSAGES  # the store keeps it until it is purged
    store.sessions.purge("trip")
    assert import_directory(store, imported.root).failed == []
    assert not store.sessions.exists("trip")


def test_a_deleted_and_renamed_session_is_found(store: Store, imported: StateDir) -> None:
    store.sessions.change_id("trip", "journey")
    store.sessions.delete("journey")
    assert remove(store, imported, "journey")["trip.json"] == "removed"


def test_a_session_from_elsewhere_has_no_files(store: Store, imported: StateDir) -> None:
    assert remove(store, imported, store.sessions.create(title="New").session_id) == {}
    store.sessions.purge("trip")
    with pytest.raises(SessionNotFoundError):
        remove_imported_files(store, "trip")
    with pytest.raises(InvalidInputError):
        remove_imported_files(store, "other", sessions_folder=5)  # type: ignore[arg-type]


def longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def same_size(path: Path) -> None:
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b"two", b"six"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def link(path: Path) -> None:
    path.rename(path.with_name("aside"))
    path.symlink_to("aside")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


KEPT: dict[Callable[[Path], None], str] = {
    longer: "it was changed after it was imported",
    same_size: "it was changed after it was imported",
    link: "it is a link, which is not followed",
    folder: "it is not a regular file",
    pipe: "it is not a regular file",
}


@pytest.mark.parametrize("change", KEPT)
def test_what_is_not_what_was_imported_stays(store: Store, imported: StateDir, change: Callable[[Path], None]) -> None:
    change(imported.sessions / "trip.json")
    assert remove(store, imported) == {"trip.json": KEPT[change]}


def test_a_file_that_is_gone_is_named(store: Store, imported: StateDir) -> None:
    (imported.sessions / "trip.json").unlink()
    assert remove(store, imported) == {
        "trip.json": "it is not there any more",
        "trip.json.bak": "removed",
        "_index.json": "removed",
    }


def test_a_folder_that_is_gone_is_named(store: Store, imported: StateDir) -> None:
    shutil.rmtree(imported.root)
    assert told(remove_imported_files(store, "trip")) == {"trip.json": "it is not there any more"}


def test_a_linked_folder_is_not_followed(store: Store, imported: StateDir) -> None:
    imported.sessions.rename(imported.root / "elsewhere")
    imported.sessions.symlink_to("elsewhere")
    before = fingerprint(imported.root)
    assert told(remove_imported_files(store, "trip")) == {"trip.json": "it is a link, which is not followed"}
    assert fingerprint(imported.root) == before


def test_a_damaged_file_stays(store: Store, state: StateDir) -> None:
    path = state.session("trip", *MESSAGES)
    path.write_bytes(path.read_bytes()[:-40])
    import_directory(store, state.root)
    assert store.sessions.get("trip").recovered
    assert remove(store, state) == {"trip.json": "it is damaged, and not all of it was imported"}


BACKUPS: dict[str, tuple[Any, str]] = {
    "another message": (session("trip", *MESSAGES, {"content": "three"}), "1 of its messages are not in the store"),
    "no session": (b"[1, 2]", "it cannot be read: it is no session: it holds a JSON array, not an object"),
}


@pytest.mark.parametrize("name", BACKUPS)
def test_a_backup_with_more_than_the_store_stays(store: Store, imported: StateDir, name: str) -> None:
    content, reason = BACKUPS[name]
    imported.write("trip.json.bak", content)
    assert remove(store, imported) == {"trip.json": "removed", "trip.json.bak": reason, "_index.json": "removed"}


@pytest.mark.parametrize("content", [b"[{", b"\xff"])
def test_a_damaged_index_stays_and_is_named(store: Store, imported: StateDir, content: bytes) -> None:
    imported.write("_index.json", content)
    assert remove(store, imported)["_index.json"] == "it is damaged, and may have the session's title"


def test_an_index_without_the_session_stays(store: Store, imported: StateDir) -> None:
    imported.write("_index.json", [{"session_id": "other"}, 5])
    assert "_index.json" not in remove(store, imported)


def test_a_folder_of_another_name_is_told(store: Store, imported: StateDir) -> None:
    chats = imported.sessions.rename(imported.root / "chats")
    items = remove_imported_files(store, "trip", sessions_folder=chats)
    assert [item.outcome for item in items] == ["removed"] * 3
    assert not (chats / "trip.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("folder_mode", "file_mode"), [(0o555, 0o444), (0o755, 0o000)])
def test_without_permission_the_file_is_named(folder_mode: int, file_mode: int) -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders keep other users out
        state = StateDir(Path(place) / "webui")
        path = state.session("trip", *MESSAGES)
        Path(place).chmod(0o755)
        if os.geteuid() != 0:
            pytest.skip("an ordinary user cannot have a file of another one")
        path.chmod(file_mode)
        state.sessions.chmod(folder_mode)
        done = run_function(import_programs.remove_as_nobody, state.root, "trip")
        assert path.exists()
    assert output(done).strip() == "['kept: Permission denied']"


def test_a_file_that_changes_meanwhile_stays(store: Store, imported: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    path = imported.sessions / "trip.json"
    rename = os.rename

    def write_and_rename(source: Any, target: Any, **where: Any) -> None:
        """Let the WebUI save the session in the moment before its file is moved."""
        path.write_bytes(b"the WebUI's")
        rename(source, target, **where)

    monkeypatch.setattr(os, "rename", write_and_rename)
    assert told(remove_imported_files(store, "trip")) == {"trip.json": "it was changed meanwhile"}
    assert path.read_bytes() == b"the WebUI's"
    assert sorted(one.name for one in imported.sessions.iterdir() if one.name.startswith("trip")) == [
        "trip.json",
        "trip.json.bak",
    ]
