"""A forked child reads the agent's file, whatever its parent's threads were doing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store.agent import AgentBridge
from tests.support.agent.connections import watched
from tests.support.other_process import forked

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_reads_though_a_thread_was_reading(state_db: Callable[..., Path]) -> None:
    bridge = AgentBridge(state_db())
    reads, go_on, parent = threading.Event(), threading.Event(), os.getpid()

    def wait_in_parent(*_: object) -> None:
        if os.getpid() == parent and not reads.is_set():
            reads.set()
            assert go_on.wait(60)

    with watched(after=wait_in_parent):
        reading = threading.Thread(target=bridge.info)
        reading.start()
        try:
            assert reads.wait(60)
            with forked(lambda _: bridge.info().sessions) as child:
                found = child.said(20)
        finally:
            go_on.set()
            reading.join()
    assert found == bridge.info().sessions
