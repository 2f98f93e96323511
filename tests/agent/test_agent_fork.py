"""A forked child reads the agent's file, whatever its parent's threads were doing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect

from hermes_store.agent import AgentBridge
from tests.support.other_process import forked

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_reads_though_a_thread_was_opening_the_file(
    state_db: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine is initialised under a lock of its own, which nobody releases in the child."""
    bridge = AgentBridge(state_db())
    opening, go_on = threading.Event(), threading.Event()
    initialize, parent = DefaultDialect.initialize, os.getpid()

    def wait_in_parent(dialect: Any, connection: Any) -> None:
        if os.getpid() == parent:
            opening.set()
            assert go_on.wait(60)
        initialize(dialect, connection)

    monkeypatch.setattr(DefaultDialect, "initialize", wait_in_parent)
    reading = threading.Thread(target=bridge.info)
    reading.start()
    try:
        assert opening.wait(60)
        with forked(lambda _: bridge.info().sessions) as child:
            found = child.said(20)
    finally:
        go_on.set()
        reading.join()
    assert found == bridge.info().sessions
