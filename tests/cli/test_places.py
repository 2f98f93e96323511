"""Where the program looks when nothing is named: as hermes-webui does."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_store import paths


def test_the_environment_says_where_the_files_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("HERMES_WEBUI_STATE_DIR", raising=False)
    monkeypatch.delenv("HERMES_HOME", raising=False)
    assert paths.state_directory() == tmp_path / ".hermes" / "webui"
    monkeypatch.setenv("HERMES_HOME", " ")
    assert paths.state_directory() == tmp_path / ".hermes" / "webui"
    monkeypatch.setenv("HERMES_HOME", "~/agent")
    assert paths.state_directory() == tmp_path / "agent" / "webui"
    assert paths.default_target() == str(tmp_path / "agent" / "webui" / "hermes.db")
    monkeypatch.setenv("HERMES_WEBUI_STATE_DIR", str(tmp_path / "state"))
    assert paths.state_directory() == tmp_path / "state"
