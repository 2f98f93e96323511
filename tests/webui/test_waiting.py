"""Threads that save one live session wait for each other, and not without end."""

from __future__ import annotations

import threading

import pytest

from hermes_store import DatabaseLockedError
from hermes_store.webui import WebUIModels, lazy_values


def test_a_save_waits_for_another_only_so_long(models: WebUIModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lazy_values, "_PATIENCE", 0.1)
    live = models.new_session()
    live.save()
    started, over = threading.Event(), threading.Event()

    def hold() -> None:
        with live.exclusive():
            started.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert started.wait(10)
    with pytest.raises(DatabaseLockedError, match="has been saving or reading session"):
        live.save()
    over.set()
    thread.join()
    live.title = "After it"
    live.save()
    assert models.get_session(live.session_id).title == "After it"
