"""What a live session used since its last save is usage of its model, at the time of the save."""

from __future__ import annotations

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.statements import executed
from tests.support.webui.sessions import said


def test_a_save_counts_what_was_used_since(sqlite_store: Store) -> None:
    models = WebUIModels(sqlite_store, last_workspace=lambda: "/srv")
    live = models.Session(session_id="trip", title="Trip", messages=said("a"), model="m", input_tokens=10)
    live.save()
    live.messages += said("b")
    live.input_tokens, live.estimated_cost, live.model = 25, 0.5, "n"
    live.save()
    other = models.Session.load("trip")
    other.input_tokens += 100
    other.save()
    live.output_tokens += 3
    live.save()
    rows = [(one.model, one.input_tokens, one.output_tokens) for one in sqlite_store.usage.list("trip").items]
    assert sorted(rows) == [("m", 10, 0), ("n", 0, 3), ("n", 15, 0), ("n", 100, 0)]
    [total] = sqlite_store.usage.totals()
    assert (total.input_tokens, total.output_tokens, total.cost) == (125, 3, 0.5)


def test_a_save_without_new_totals_reads_no_usage(sqlite_store: Store) -> None:
    models = WebUIModels(sqlite_store, last_workspace=lambda: "/srv")
    live = models.Session(session_id="trip", title="Trip", messages=said("a"), input_tokens=10)
    live.save()
    live.title = "Rome"
    live.messages += said("b")
    assert not [text for text, _ in executed(sqlite_store, live.save) if "usage" in text or "estimated_cost" in text]


def test_a_save_counts_tokens_of_caches(sqlite_store: Store) -> None:
    models = WebUIModels(sqlite_store, last_workspace=lambda: "/srv")
    live = models.Session(session_id="trip", title="Trip", messages=said("a"), model="m", input_tokens=10)
    live.cache_read_tokens = 4
    live.save()
    live.input_tokens, live.cache_read_tokens = 25, 9
    live.save()
    live.cache_write_tokens = 3
    live.save()
    copy = sqlite_store.sessions.duplicate("trip")
    other = models.Session.load(copy.session_id)
    other.cache_read_tokens += 1
    other.save()
    [total] = sqlite_store.usage.totals()
    assert (total.input_tokens, total.cache_read_tokens, total.cache_write_tokens) == (25, 10, 3)
    rows = [(one.input_tokens, one.cache_read_tokens) for one in sqlite_store.usage.list("trip").items]
    assert sorted(rows) == [(0, 0), (10, 4), (15, 5)]
