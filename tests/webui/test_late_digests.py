"""What a save compares with is found out when it is needed, and is what was read, whatever happened since."""

from __future__ import annotations

import copy
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hermes_store.webui import WebUIModels
from tests.support.encodings import encoded_by
from tests.support.webui.sessions import said, stored

VALUES: dict[str, Any] = {"composer_draft": {"files": [{"name": "a"}]}, "tool_calls": [{"id": "1"}], "input_tokens": 3}


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Let threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_loading_encodes_nothing(models: WebUIModels) -> None:
    session_id = stored(models, "s1", "hello", **copy.deepcopy(VALUES))
    assert encoded_by(lambda: models.Session.load(session_id)) == []
    assert encoded_by(lambda: models.Session.load_metadata_only(session_id)) == []
    assert encoded_by(lambda: models.storage.load(session_id)) == []


def test_a_change_before_the_first_save_is_written(models: WebUIModels) -> None:
    session_id = stored(models, "s1", "hello", **copy.deepcopy(VALUES))
    live = models.Session.load(session_id)
    assert live is not None
    live.composer_draft["files"][0]["name"] = "b"
    live.messages[0]["content"] = "changed"
    assert live.is_dirty()
    live.save()
    values, _ = models.storage.load(session_id)
    assert values["composer_draft"] == {"files": [{"name": "b"}]}
    assert values["messages"][0]["content"] == "changed"


def test_a_change_between_two_writers_is_merged(models: WebUIModels) -> None:
    storage = models.storage
    storage.save("s", copy.deepcopy(VALUES), said("hello"), base=None)
    values, token = storage.load("s")
    others, their_token = storage.load("s")
    storage.save("s", {**others, "input_tokens": 10}, base=their_token)
    values["input_tokens"] += 1
    values["tool_calls"].append({"id": "2"})
    storage.save("s", values, base=token)
    saved, _ = storage.load("s")
    assert saved["input_tokens"] == 11
    assert saved["tool_calls"] == [{"id": "1"}, {"id": "2"}]


@pytest.mark.usefixtures("quick_switches")
def test_threads_find_the_same_out_at_once(models: WebUIModels) -> None:
    session_id = stored(models, "s1", "hello", **copy.deepcopy(VALUES))
    found: list[Any] = []
    for _ in range(20):
        live = models.Session.load(session_id)
        assert live is not None
        start = threading.Barrier(3)

        def look(live: Any = live, start: threading.Barrier = start) -> None:
            start.wait()
            found.extend([live.changed_values(), live.is_dirty()])

        threads = [threading.Thread(target=look) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [{}, False] * 60


def test_a_copy_has_a_base_of_its_own(models: WebUIModels) -> None:
    live = models.Session.load(stored(models, "s1", "hello", **copy.deepcopy(VALUES)))
    assert live is not None
    made = copy.deepcopy(live)
    made.title = "Other"
    made.save()
    assert live.changed_values() == {}
    live.save()
    assert live.title == "Other"
