"""Files of shares: imported with their sessions, remembered, exported equal, and removed with their session."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import ShareNotFoundError, ShareRevokedError, Store
from hermes_store.files import (
    ImportReport,
    ItemKind,
    export_directory,
    import_directory,
    purge_deleted_with_files,
    remove_imported_files,
)
from hermes_store.files.directory import read_regular
from tests.support.internals import writing
from tests.support.state_dir import StateDir, as_json
from tests.support.statements import commits

MESSAGE = {"role": "user", "content": "hi"}
TOKEN = "9oX2k1mYq0bTz7rVwP4sNhLc"


def share(source: str = "chat", token: str = TOKEN, **fields: Any) -> dict[str, Any]:
    """A share's object as hermes-webui writes it."""
    copy = {"title": "Fix the 🚀 deploy", "messages": [{**MESSAGE, "timestamp": 5}], "message_count": 1}
    times = {"created_at": 1778459000.0, "updated_at": 1778459001.5, "revoked_at": None}
    return {"token": token, "source_session_id": source, **copy, **times, **fields}


def write(state: StateDir, name: str, content: Any, age: float = 3600.0) -> Path:
    path = state.root / "shares" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else as_json(content))
    os.utime(path, (time.time() - age,) * 2)
    return path


def outcomes(report: ImportReport) -> dict[str, str]:
    found = {item.path.removeprefix("shares/"): item for item in report.items if item.path.startswith("shares")}
    assert all(item.kind is ItemKind.SHARE for item in found.values())
    return {name: item.outcome.value for name, item in found.items()}


def reasons(report: ImportReport) -> dict[str, str]:
    return {item.path.removeprefix("shares/"): item.reason for item in report.items if item.reason}


@pytest.fixture
def shared(state: StateDir) -> StateDir:
    """A state directory with one session that is shared."""
    state.session("chat", MESSAGE)
    write(state, f"{TOKEN}.json", share())
    return state


def test_a_file_becomes_a_share_of_its_session(store: Store, shared: StateDir) -> None:
    assert outcomes(import_directory(store, shared.root, dry_run=True)) == {f"{TOKEN}.json": "imported"}
    assert store.shares.list().items == []
    report = import_directory(store, shared.root)
    assert outcomes(report) == {f"{TOKEN}.json": "imported"}
    found = store.shares.get(TOKEN)
    assert (found.session_id, found.created_at, found.updated_at) == ("chat", 1778459000.0, 1778459001.5)
    assert found.payload == {key: share()[key] for key in ("title", "messages", "message_count")}
    assert (store.sessions.get("chat").revision, report.failed) == (1, [])
    [record] = [one for one in store.imports.records() if one.kind is ItemKind.SHARE]
    assert (record.path, record.session_id, record.outcome) == (f"shares/{TOKEN}.json", "chat", "imported")
    assert record in store.imports.of_session("chat")


ODD = [
    share(unknown={"key": [1, None]}, title={"not": "text"}, revoked_at=1778459002.0),
    {"revoked_at": None, "messages": "none", "source_session_id": "chat", "token": TOKEN, "created_at": "yesterday"},
    share(title="half \ud83d\x00", updated_at=True),
]


@pytest.mark.parametrize("content", [share(), *ODD], ids=["plain", "odd values", "another order", "odd text"])
def test_an_export_writes_the_object_that_was_imported(
    store: Store, shared: StateDir, tmp_path: Path, content: dict[str, Any]
) -> None:
    write(shared, f"{TOKEN}.json", content)
    import_directory(store, shared.root)
    report = export_directory(store, tmp_path / "out")
    assert (report.shares, report.problems) == (1, [])
    path = tmp_path / "out" / "shares" / f"{TOKEN}.json"
    assert json.dumps(json.loads(path.read_bytes())) == json.dumps(content)  # in the order of the keys
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_share_made_here_is_exported_and_imported(
    new_store: Callable[[], Store], shared: StateDir, tmp_path: Path
) -> None:
    store, other = new_store(), new_store()
    import_directory(store, shared.root)
    store.sessions.change_id("chat", "renamed")
    store.shares.revoke(TOKEN)
    made = store.shares.create("renamed", {"title": "Made"})
    store.sessions.delete(store.sessions.create(session_id="trash", title="t").session_id)
    export_directory(store, tmp_path / "out")
    import_directory(other, tmp_path / "out")
    assert other.shares.list().items == store.shares.list().items
    assert other.shares.get(made.token) == store.shares.get(made.token)
    with pytest.raises(ShareRevokedError):
        other.shares.get(TOKEN)


def test_what_becomes_no_share_is_named(store: Store, shared: StateDir) -> None:
    for name in ("trash", "purged"):
        shared.session(name, MESSAGE)
    import_directory(store, shared.root)
    store.sessions.delete("trash")
    store.sessions.purge("purged")
    store.shares.create("chat", {}, token="taken")
    store.shares.create("chat", {}, token="deleted")
    write(shared, "orphan.json", share("nowhere", "orphan"))
    write(shared, "intrash.json", share("trash", "intrash"))
    write(shared, "ofpurged.json", share("purged", "ofpurged"))
    write(shared, "taken.json", share(token="taken"))
    write(shared, "torn.json", b'{"token": "torn", "source_session_id": "chat", "mess')
    write(shared, "list.json", [1])
    write(shared, "no id.json", share())
    write(shared, "x.abc.tmp", b"{")
    (shared.root / "shares" / "folder").mkdir()
    report = import_directory(store, shared.root)
    assert outcomes(report) == {
        f"{TOKEN}.json": "unchanged",
        **dict.fromkeys(("orphan.json", "intrash.json", "ofpurged.json", "x.abc.tmp", "folder"), "skipped"),
        **dict.fromkeys(("torn.json", "list.json", "no id.json"), "failed"),
        "taken.json": "conflict",
    }
    why = reasons(report)
    assert "'nowhere' is not in the store" in why["orphan.json"]
    assert "deleted in the store" in why["intrash.json"]
    assert "purged from the store" in why["ofpurged.json"]
    assert "is not from this file" in why["taken.json"]
    assert "damaged" in why["torn.json"]
    recorded = {one.path: one for one in store.imports.records()}
    assert all(recorded[f"shares/{name}"].reason == why[name] for name in outcomes(report) if name in why)
    assert store.shares.get("taken").payload == {}


def test_importing_shares_again_opens_and_writes_nothing(
    sqlite_store: Store, shared: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite_store.shares.create(sqlite_store.sessions.create(session_id="other").session_id, {}, token="taken")
    write(shared, "orphan.json", share("nowhere", "orphan"))
    write(shared, "torn.json", b"{")
    write(shared, "taken.json", share("other", "taken"))
    first = import_directory(sqlite_store, shared.root)
    opened: list[Path] = []

    def noted(path: Path, limit: int) -> bytes:
        opened.append(path)
        return read_regular(path, limit)

    monkeypatch.setattr("hermes_store.files.share_parsing.read_regular", noted)
    counted = commits(sqlite_store, lambda: import_directory(sqlite_store, shared.root))
    second = import_directory(sqlite_store, shared.root)
    assert (opened, counted) == ([], 0)
    assert outcomes(second) == {**outcomes(first), f"{TOKEN}.json": "unchanged"}
    assert reasons(second) == reasons(first)
    shared.session("nowhere", MESSAGE)
    sqlite_store.shares.delete("taken")
    third = outcomes(import_directory(sqlite_store, shared.root))
    assert (third["orphan.json"], third["taken.json"]) == ("imported", "imported")
    assert {path.name for path in opened} == {"orphan.json", "taken.json"}


def test_a_changed_file_updates_its_share(store: Store, shared: StateDir) -> None:
    import_directory(store, shared.root)
    write(shared, f"{TOKEN}.json", share(title="Again"), age=1800)
    assert outcomes(import_directory(store, shared.root)) == {f"{TOKEN}.json": "updated"}
    assert store.shares.get(TOKEN).payload["title"] == "Again"
    write(shared, f"{TOKEN}.json", share(title="Again", revoked_at=1778459002.0), age=900)
    assert outcomes(import_directory(store, shared.root)) == {f"{TOKEN}.json": "updated"}
    with pytest.raises(ShareRevokedError):
        store.shares.get(TOKEN)


def test_what_was_done_in_the_store_stays(store: Store, shared: StateDir) -> None:
    import_directory(store, shared.root)
    store.shares.revoke(TOKEN)
    assert outcomes(import_directory(store, shared.root)) == {f"{TOKEN}.json": "unchanged"}
    write(shared, f"{TOKEN}.json", share(title="Again"), age=1800)
    assert outcomes(import_directory(store, shared.root)) == {f"{TOKEN}.json": "conflict"}
    assert store.shares.list().items[0].revoked_at is not None
    assert outcomes(import_directory(store, shared.root, prefer="files")) == {f"{TOKEN}.json": "updated"}
    assert store.shares.get(TOKEN).payload["title"] == "Again"
    store.shares.delete(TOKEN)
    for age in (1800, 900):
        write(shared, f"{TOKEN}.json", share(title=f"At {age}"), age=age)
        assert outcomes(import_directory(store, shared.root)) == {f"{TOKEN}.json": "skipped"}
    with pytest.raises(ShareNotFoundError):
        store.shares.get(TOKEN)


def test_the_shares_files_go_with_their_session(store: Store, shared: StateDir) -> None:
    shared.session("kept", MESSAGE)
    kept = write(shared, "kept.json", share("kept", "kept"))
    import_directory(store, shared.root)
    changed = write(shared, "changed.json", share(token="changed"))
    import_directory(store, shared.root)
    write(shared, "changed.json", share(token="changed", title="New"))
    store.shares.delete(TOKEN)  # its file goes all the same
    items = {Path(item.path).name: item for item in remove_imported_files(store, "chat")}
    assert {name: item.outcome.value for name, item in items.items()} == {
        "chat.json": "removed",
        f"{TOKEN}.json": "removed",
        "changed.json": "kept",
    }
    assert "was changed after" in items["changed.json"].reason
    assert sorted(path.name for path in (shared.root / "shares").iterdir()) == ["changed.json", "kept.json"]
    store.sessions.delete("kept")
    purge_deleted_with_files(store, older_than=-60)
    assert not kept.exists()
    assert changed.exists()


def test_a_linked_folder_of_shares_is_not_followed(store: Store, shared: StateDir, tmp_path: Path) -> None:
    import_directory(store, shared.root)
    (shared.root / "shares").rename(tmp_path / "elsewhere")
    (shared.root / "shares").symlink_to(tmp_path / "elsewhere")
    kept = {Path(item.path).name: item.outcome.value for item in remove_imported_files(store, "chat")}
    assert kept == {"chat.json": "removed", f"{TOKEN}.json": "kept"}
    assert (tmp_path / "elsewhere" / f"{TOKEN}.json").exists()


def test_an_export_leaves_a_damaged_share_out(sqlite_store: Store, shared: StateDir, tmp_path: Path) -> None:
    import_directory(sqlite_store, shared.root)
    with writing(sqlite_store) as connection:
        connection.exec_driver_sql("UPDATE share_payloads SET payload = x'00'")
    report = export_directory(sqlite_store, tmp_path / "out")
    [problem] = report.problems
    assert (problem.session_id, TOKEN in problem.reason) == ("chat", True)
    assert (report.sessions, report.shares) == (1, 0)
