"""Reading leaves the agent's file as it was, byte for byte, and nothing beside it that was not there."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store.agent import AgentBridge
from hermes_store.errors import AgentError, HermesStoreError
from tests.support.agent.matrix import AgentFile, every_file
from tests.support.agent.statedb import Shape

pytestmark = pytest.mark.slow

StateDb = Callable[..., Path]
SIDECARS = {"state.db-wal", "state.db-shm"}


def look(folder: Path) -> dict[str, tuple[bytes, os.stat_result] | None]:
    """Return what is in a folder; of the shared memory, which readers write locks into, only that it is there."""
    return {
        path.name: None if path.name.endswith("-shm") else (path.read_bytes(), path.stat()) for path in folder.iterdir()
    }


def same(
    before: dict[str, tuple[bytes, os.stat_result] | None], after: dict[str, tuple[bytes, os.stat_result] | None]
) -> None:
    for name, was in before.items():
        now = after[name]
        if was is None or now is None:
            continue
        assert now[0] == was[0], name
        for what in ("st_ino", "st_size", "st_mtime_ns", "st_mode", "st_uid"):
            assert getattr(now[1], what) == getattr(was[1], what), (name, what)


def use_everything(bridge: AgentBridge) -> None:
    page = bridge.sessions(limit=5, include=["empty", "cron", "tool", "subagent", "webui", "hidden", "archived"])
    bridge.sessions(limit=5, after=page.next)
    bridge.session("story-c")
    bridge.messages("story-c")
    bridge.messages("login", limit=2, lineage=False)
    bridge.info()
    for wrong in (lambda: bridge.messages("nobody"), lambda: bridge.sessions(after="x")):
        with pytest.raises(HermesStoreError):
            wrong()


@every_file
def test_reading_changes_no_byte_of_the_agents_files(agent_file: AgentFile) -> None:
    folder = agent_file.path.parent
    before = look(folder)
    use_everything(AgentBridge(agent_file.path))
    after = look(folder)
    same(before, after)
    # On a log that was closed in good order SQLite makes both of its files, and an empty log. Others are there already.
    clean_log = agent_file.case.state == "closed" and agent_file.shape.journal == "wal"
    assert after.keys() - before.keys() == (SIDECARS if clean_log else set())
    if clean_log:
        assert after["state.db-wal"] is not None
        assert after["state.db-wal"][0] == b""


@pytest.mark.parametrize("journal", ["wal", "delete"])
@pytest.mark.parametrize(
    "folder",
    [
        "with space",
        "what?mode=rwc",
        "a#b",
        "100%",
        "%3f%00",
        "it's",
        'say "hi"',
        "semi;colon&and=",
        "line\nbreak",
        "back\\slash",
        "größe 数据 👋",
        "file:here",
        os.fsdecode(b"latin-\xe9"),
    ],
)
def test_a_path_may_contain_any_odd_characters(state_db: StateDb, tmp_path: Path, folder: str, journal: str) -> None:
    path = state_db(Shape(journal=journal), f"{folder}/{folder}.db")
    before = look(path.parent)
    for bridge in (AgentBridge(path), AgentBridge(str(path)), AgentBridge(os.fsencode(path))):  # type: ignore[arg-type]
        assert bridge.sessions(limit=1).items[0].session_id == "late"
    same(before, look(path.parent))
    made = {f"{path.name}-wal", f"{path.name}-shm"} if journal == "wal" else set()
    assert {one.name for one in path.parent.iterdir()} == {path.name, *made}
    assert [one.name for one in tmp_path.iterdir()] == [folder]


def test_a_path_may_be_relative(state_db: StateDb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    state_db(Shape(journal="delete"), "here/state.db")
    monkeypatch.chdir(tmp_path / "here")
    assert AgentBridge("state.db").info().sessions
    assert [one.name for one in (tmp_path / "here").iterdir()] == ["state.db"]


def test_reading_a_linked_file_creates_nothing_beside_it(state_db: StateDb, tmp_path: Path) -> None:
    path = state_db(name="real/state.db")
    (tmp_path / "link").mkdir()
    link = tmp_path / "link" / "other-name.db"
    link.symlink_to(path)
    assert AgentBridge(link).sessions(limit=1).items[0].session_id == "late"
    assert [one.name for one in link.parent.iterdir()] == [link.name]
    assert {one.name for one in path.parent.iterdir()} == {"state.db", *SIDECARS}


def test_a_missing_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(AgentError):
        AgentBridge(home=tmp_path).sessions()
    assert list(tmp_path.iterdir()) == []


def test_the_next_read_sees_a_replaced_file(state_db: StateDb, tmp_path: Path) -> None:
    path = state_db(Shape(1))
    bridge = AgentBridge(path)
    assert bridge.info().schema_version == 1
    state_db(Shape(30, "delete"), "new.db").replace(path)
    for left in SIDECARS:
        (tmp_path / left).unlink()
    assert bridge.info().schema_version == 30
    path.unlink()
    with pytest.raises(AgentError):
        bridge.info()
