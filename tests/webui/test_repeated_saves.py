"""A save that was committed, and did not return: the next one writes nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels, session
from tests.support.webui.sessions import contents, said


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Save a session, and end that with an exception when it is committed."""

    def save(live: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(session, "adopt_fields", _interrupt)
            with pytest.raises(KeyboardInterrupt):
                live.save()

    return save


def _interrupt(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def live(models: WebUIModels) -> Any:
    live = models.Session(session_id="trip", title="Trip", messages=said("a"), input_tokens=1)
    live.save()
    live.messages += said("b")
    live.tool_calls.append({"name": "ls"})
    live.input_tokens += 10
    return live


def add_more(live: Any) -> None:
    live.messages += said("c")
    live.tool_calls.append({"name": "cat"})
    live.input_tokens += 100


def require(models: WebUIModels, live: Any, messages: list[str], tokens: int) -> None:
    assert contents(models, "trip") == messages
    stored = models.Session.load("trip")
    assert stored.input_tokens == live.input_tokens == tokens
    assert [call["name"] for call in stored.tool_calls] == ["ls", "cat"]
    assert not live.is_dirty()


def test_after_an_interrupted_save_nothing_is_written_twice(models: WebUIModels, live: Any, interrupt: Any) -> None:
    interrupt(live)
    add_more(live)
    live.save()
    require(models, live, ["a", "b", "c"], 111)


def test_what_others_wrote_meanwhile_is_kept(
    models: WebUIModels, sqlite_store: Store, live: Any, interrupt: Any
) -> None:
    interrupt(live)
    other = models.Session.load("trip")
    other.messages += said("of another")
    other.input_tokens += 1000
    other.save(touch_updated_at=False)
    add_more(live)
    live.save()
    require(models, live, ["a", "b", "of another", "c"], 1111)


def test_the_next_save_writes_what_was_rolled_back(
    models: WebUIModels, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("hermes_store.webui.saving.session_rows.change", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            live.save()
    add_more(live)
    live.save()
    require(models, live, ["a", "b", "c"], 111)


def test_values_read_after_an_interrupted_save_merge_correctly(models: WebUIModels, live: Any, interrupt: Any) -> None:
    live.cache_read_tokens = 5
    live.save()
    part: Any = models.Session.load_metadata_only("trip")
    part.title = "Rome"
    interrupt(part)
    part.cache_read_tokens += 2
    part.messages.append({"content": "late"})
    live.cache_read_tokens += 10
    live.save()
    part.save()
    stored = models.Session.load("trip")
    assert (stored.cache_read_tokens, stored.title) == (17, "Rome")
    assert contents(models, "trip") == ["a", "b", "late"]
