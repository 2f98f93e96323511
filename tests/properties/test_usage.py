"""Usage is counted once, whatever writes the totals of sessions: a model of what was spent, against the sums."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.maintenance import verify
from hermes_store.webui import WebUIModels
from tests.support.state_dir import StateDir

FILES = ("one", "two")
tokens = st.integers(0, 500)
costs = st.one_of(st.none(), st.integers(0, 10**6).map(lambda number: number / 10**6))
steps = st.lists(
    st.one_of(
        st.tuples(st.just("file"), st.sampled_from(FILES), tokens, costs),
        st.tuples(st.just("import")),
        st.tuples(st.just("record"), st.sampled_from(FILES), tokens, costs),
        st.tuples(st.just("update"), st.sampled_from(FILES), tokens, costs),
        st.tuples(st.just("save"), st.sampled_from(FILES), tokens),
        st.tuples(st.sampled_from(["duplicate", "fork", "rename", "move"]), st.sampled_from(FILES)),
        st.tuples(st.just("purge")),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(steps=steps)
def test_totals_of_usage_are_what_was_spent(tmp_path_factory: Any, steps: list[tuple[Any, ...]]) -> None:
    folder: Path = tmp_path_factory.mktemp("usage")
    state = StateDir(folder / "webui")
    with Store.open(":memory:") as store:
        models = WebUIModels(store, last_workspace=lambda: "/srv")
        for number, step in enumerate(steps):
            before = _totals(store)
            spent = _apply(store, models, state, number, step)
            now = _totals(store)
            if spent is None:  # what the sessions say changed by as much as was spent
                spent = sum(now[0].values()) - sum(before[0].values())
            assert now[1] - before[1] == spent, step
        assert verify(store).ok
        import_directory(store, state.root)
        once = _totals(store)
        import_directory(store, state.root)
        assert _totals(store) == once


def _totals(store: Store) -> tuple[dict[str, int], int]:
    """Return the input tokens of each session, and of all usage."""
    sessions = {one.session_id: one.input_tokens for one in store.sessions.iterate()}
    [total] = store.usage.totals()
    assert sum(one.input_tokens for one in store.usage.totals(["day", "model", "session"], tz="Asia/Tokyo")) == (
        total.input_tokens
    )
    for session_id, counted in sessions.items():
        found = store.usage.list(session_id, limit=1000).items
        assert sum(one.input_tokens for one in found) == counted
    return sessions, total.input_tokens


def _apply(  # noqa: PLR0911 - one for each kind of step
    store: Store, models: WebUIModels, state: StateDir, number: int, step: tuple[Any, ...]
) -> int | None:
    """Do a step; return how many tokens were spent in it, None if that follows from the totals."""
    match step:
        case ("file", name, count, cost):
            path = state.session(name, "hi", input_tokens=count, estimated_cost=cost)
            moment = time.time() - 1000 + number  # another time than before
            os.utime(path, (moment, moment))
            return 0
        case ("import",):
            import_directory(store, state.root, prefer="files")
            return None
        case ("record", name, count, cost) if store.sessions.exists(name):
            store.usage.record(name, model="m", input_tokens=count, cost=cost, at=1e9 + number)
            return int(count)
        case ("update", name, count, cost) if store.sessions.exists(name):
            store.sessions.update(name, input_tokens=count, estimated_cost=cost)
            return None
        case ("save", name, count) if store.sessions.exists(name):
            live = models.get_session(name)
            live.input_tokens += count
            live.save()
            return int(count)
        case ("duplicate", name) if store.sessions.exists(name):
            store.sessions.duplicate(name)
            return 0
        case ("fork", name) if store.sessions.exists(name):
            store.sessions.fork(name)
        case ("rename", name) if store.sessions.exists(name):
            store.sessions.change_id(name, f"{name}-{number}")
        case ("move", name) if store.sessions.exists(name):
            store.sessions.update(name, profile=f"p{number % 2}")
        case ("purge",):
            for one in list(store.sessions.iterate()):
                if one.session_id not in FILES:
                    store.sessions.purge(one.session_id)
    return 0
