"""The WebUI's functions over a fresh store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.webui.pairs import Pair
from tests.support.webui.standin import WebUI


@pytest.fixture
def webui(sqlite_store: Store, tmp_path: Path) -> WebUI:
    """What the WebUI knows."""
    return WebUI(sqlite_store, home=tmp_path / "hermes-home")


@pytest.fixture
def models(webui: WebUI) -> WebUIModels:
    """Its functions."""
    return webui.models()


@pytest.fixture
def pair(models: WebUIModels) -> Callable[..., Pair]:
    """Make a session, and load it twice."""
    return partial(Pair.of, models)


@pytest.fixture
def stored_of(models: WebUIModels) -> Callable[[Pair], Any]:
    """Return a pair's session as the store has it."""
    return lambda pair: models.Session.load(pair.first.session_id)
