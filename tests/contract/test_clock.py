"""A clock that is wrong moves no session back in time, on every backend."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.proofs import clock as jumping_clock

Clock = Callable[[float], None]
NOW = 1.8e9
HOUR = 3600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Set the clock."""

    def set_to(moment: float) -> None:
        monkeypatch.setattr(time, "time", lambda: moment)

    set_to(NOW)
    return set_to


WRITES: dict[str, Callable[[Store], Any]] = {
    "update": lambda store: store.sessions.update("s", title="Rome"),
    "append": lambda store: store.messages.append("s", "hi"),
    "replace": lambda store: store.messages.replace("s", ["new"], expected_revision=2),
    "truncate": lambda store: store.messages.truncate("s", keep=0, expected_revision=2),
    "update of a message": lambda store: store.messages.update("s", 0, "new", expected_revision=2),
    "put": lambda store: store.documents.put("s", {"draft": 1}),
    "change_id": lambda store: (store.sessions.change_id("s", "t"), store.sessions.change_id("t", "s")),
    "delete and restore": lambda store: (store.sessions.delete("s"), store.sessions.restore("s")),
}


@pytest.fixture
def made(store: Store, clock: Clock) -> Store:
    store.sessions.create(session_id="s", title="Trip")
    store.messages.append("s", "first")
    return store


@pytest.mark.parametrize("name", WRITES)
def test_a_clock_set_back_moves_no_session_back(made: Store, clock: Clock, name: str) -> None:
    clock(NOW - HOUR)
    WRITES[name](made)
    assert made.sessions.get("s").updated_at == NOW


def test_a_live_sessions_time_does_not_go_back(made: Store, clock: Clock) -> None:
    live: Any = WebUIModels(made).get_session("s")
    clock(NOW - HOUR)
    live.title = "Rome"
    live.save()
    assert live.updated_at == made.sessions.get("s").updated_at == NOW
    clock(NOW + HOUR)
    live.save()
    assert live.updated_at == made.sessions.get("s").updated_at == NOW + HOUR


def test_two_live_objects_keep_a_sessions_latest_time(made: Store, clock: Clock) -> None:
    one, other = (WebUIModels(made).get_session("s") for _ in range(2))
    one.title = "Rome"
    one.save()
    clock(NOW - HOUR)
    other.pinned = True
    other.save()
    assert (other.title, other.updated_at, made.sessions.get("s").updated_at) == ("Rome", NOW, NOW)


def test_later_writes_keep_a_time_in_the_future(made: Store, clock: Clock) -> None:
    clock(NOW + 1000 * HOUR)
    made.sessions.update("s", pinned=False)
    clock(NOW + HOUR)
    made.sessions.update("s", title="Rome")
    other = made.sessions.create(title="Other").session_id
    assert [record.session_id for record in made.sessions.list().items] == ["s", other]
    made.sessions.update("s", updated_at=NOW)  # the way to put it right by hand
    assert [record.session_id for record in made.sessions.list().items] == [other, "s"]


def test_the_next_write_replaces_times_after_2100(made: Store, clock: Clock) -> None:
    clock(5e9)
    made.messages.append("s", "second")
    clock(NOW + HOUR)
    made.messages.append("s", "third")
    assert made.sessions.get("s").updated_at == NOW + HOUR


def test_a_clock_set_back_purges_nothing_early(made: Store, clock: Clock) -> None:
    deletions: list[Callable[[], object]] = [
        lambda: made.sessions.delete("s"),
        lambda: made.sessions.delete_inactive(older_than=-1e10),
    ]
    for delete in deletions:
        clock(0.0)
        delete()
        clock(NOW + HOUR)
        assert made.sessions.purge_deleted(older_than=24 * HOUR).session_ids == []
        made.sessions.restore("s")


@pytest.mark.slow
def test_a_jumping_clock_keeps_every_order() -> None:
    result = jumping_clock.prove(operations=200)
    assert result.problems == []
