"""Where the agent's file is looked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidIdError
from hermes_store.agent import AgentBridge

StateDb = Callable[..., Path]


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home directory of somebody who has set nothing."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HERMES_HOME", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("environment", "how", "expected"),
    [
        (None, {}, "~/.hermes/state.db"),
        ("  ", {}, "~/.hermes/state.db"),
        (" /data/hermes ", {}, "/data/hermes/state.db"),
        ("~/mine", {}, "~/mine/state.db"),
        ("/data", {"home": "/other"}, "/other/state.db"),
        ("/data", {"home": "~/other", "path": "~/x.db"}, "~/x.db"),
        (None, {"profile": "default"}, "~/.hermes/state.db"),
        (None, {"profile": "work"}, "~/.hermes/profiles/work/state.db"),
        ("/data", {"profile": "a_b-9"}, "/data/profiles/a_b-9/state.db"),
        # The environment of a process that works for a profile names the profile's own home.
        ("/data/profiles/work", {}, "/data/profiles/work/state.db"),
        ("/data/profiles/work", {"profile": "default"}, "/data/state.db"),
        ("/data/profiles/work", {"profile": "play"}, "/data/profiles/play/state.db"),
        ("/data/profiles/work/", {"profile": "play"}, "/data/profiles/play/state.db"),
        (None, {"home": "/h/profiles/work", "profile": "default"}, "/h/state.db"),
    ],
)
def test_the_path_follows_home_profile_and_environment(
    monkeypatch: pytest.MonkeyPatch, environment: str | None, how: dict[str, Any], expected: str
) -> None:
    if environment is not None:
        monkeypatch.setenv("HERMES_HOME", environment)
    assert AgentBridge(**how).path == Path(expected).expanduser()


def test_the_place_is_asked_anew_at_each_call(
    state_db: StateDb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bridge = AgentBridge()
    for home in ("one", "two"):
        path = state_db(name=f"{home}/state.db")
        monkeypatch.setenv("HERMES_HOME", str(tmp_path / home))
        assert bridge.info().path == str(path)


def test_a_profile_has_its_own_file(state_db: StateDb, tmp_path: Path) -> None:
    work = state_db(name=".hermes/profiles/work/state.db")
    assert AgentBridge(profile="work").info().path == str(work)
    assert AgentBridge(home=tmp_path / ".hermes" / "profiles" / "work").info().path == str(work)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "Work", "-a", "_a", "a b", "ä", "x" * 65, "a\n", "a\0", "١", 7]
)
def test_an_invalid_profile_name_is_refused(name: Any) -> None:
    with pytest.raises(InvalidIdError):
        _ = AgentBridge(profile=name).path


def test_making_a_bridge_looks_at_nothing() -> None:
    bridges = [AgentBridge("/nowhere/at/all", profile="work"), AgentBridge(home="/nowhere")]
    assert [str(bridge.path) for bridge in bridges] == ["/nowhere/at/all", "/nowhere/state.db"]
