"""The WebUI's functions over a fresh store."""

from __future__ import annotations

from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.webui.standin import WebUI


@pytest.fixture
def webui(sqlite_store: Store, tmp_path: Path) -> WebUI:
    """What the WebUI knows."""
    return WebUI(sqlite_store, home=tmp_path / "hermes-home")


@pytest.fixture
def models(webui: WebUI) -> WebUIModels:
    """Its functions."""
    return webui.models()
