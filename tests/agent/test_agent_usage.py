"""What the agent's sessions used comes along with them, by model, and is counted once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.agent import AgentBridge
from hermes_store.maintenance import verify
from tests.support.agent.agentdb import AgentDb
from tests.support.paths import EXAMPLE_HOME


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    target = request.getfixturevalue({"sqlite": "sqlite_path", "postgresql": "postgres_url"}[request.param])
    with Store.open(target, durability="normal") as opened:
        yield opened


@pytest.fixture
def agent(state_db: Callable[..., Path]) -> AgentDb:
    db = AgentDb(state_db())
    db.begin("talk", "hello", "hi", title="Talk", model="m")
    return db


def used(agent: AgentDb, model: str, tokens: int, cost: float, task: str = "") -> None:
    agent.sql(
        "INSERT OR REPLACE INTO session_model_usage (session_id, model, billing_provider, task, input_tokens, "
        f"cache_read_tokens, estimated_cost_usd, last_seen) "
        f"VALUES ('talk', '{model}', 'p', '{task}', {tokens}, {tokens // 10}, {cost}, 1.7e9)"
    )


def models(store: Store) -> list[tuple[Any, ...]]:
    """Return what was used of each model by session "talk"."""
    return [
        (one.model, one.provider, one.input_tokens, one.cost)
        for one in store.usage.totals(["session", "model", "provider"])
        if one.session == "talk"
    ]


def test_models_of_a_conversation_are_counted_once(store: Store, agent: AgentDb) -> None:
    agent.sql("UPDATE sessions SET input_tokens = 150, estimated_cost_usd = 0.3 WHERE id = 'talk'")
    used(agent, "m", 100, 0.1)
    used(agent, "n", 40, 0.2)
    used(agent, "small", 7, 0.01, task="compression")
    bridge = AgentBridge(agent.path, store=store)
    bridge.import_sessions()
    # The rows of models, and 10 tokens that the session counted before the agent had such rows.
    expected = [("m", "p", 100, 0.1), ("m", None, 10, None), ("n", "p", 40, 0.2), ("small", "p", 7, 0.01)]
    assert models(store) == expected
    session = store.sessions.get("talk")
    assert (session.input_tokens, session.estimated_cost) == (157, 0.31)
    bridge.import_sessions()
    assert models(store) == expected

    agent.sql("UPDATE sessions SET input_tokens = 170 WHERE id = 'talk'")
    used(agent, "n", 60, 0.2)
    bridge.import_sessions()
    assert models(store) == [*expected[:2], ("n", "p", 60, 0.2), expected[3]]
    assert store.sessions.get("talk").input_tokens == 177
    assert {one.at for one in store.usage.list("talk").items if one.model == "n"} == {1.7e9}
    assert verify(store).ok


def test_columns_count_where_there_are_no_models(store: Store, agent: AgentDb) -> None:
    agent.sql("UPDATE sessions SET input_tokens = 5, output_tokens = 2, billing_provider = 'p' WHERE id = 'talk'")
    bridge = AgentBridge(agent.path, store=store)
    bridge.import_sessions()
    assert models(store) == [("m", "p", 5, None)]
    agent.say("talk", "more")
    agent.sql("UPDATE sessions SET input_tokens = 9, estimated_cost_usd = 0.5 WHERE id = 'talk'")
    bridge.import_sessions()
    assert models(store) == [("m", "p", 9, 0.5)]
    assert verify(store).ok


def test_totals_that_the_user_changed_stay(store: Store, agent: AgentDb) -> None:
    agent.sql("UPDATE sessions SET input_tokens = 5, output_tokens = 2 WHERE id = 'talk'")
    bridge = AgentBridge(agent.path, store=store)
    bridge.import_sessions()
    store.sessions.update("talk", input_tokens=1)
    agent.sql("UPDATE sessions SET input_tokens = 50, output_tokens = 20 WHERE id = 'talk'")
    bridge.import_sessions()
    session = store.sessions.get("talk")
    assert (session.input_tokens, session.output_tokens) == (1, 20)
    [total] = store.usage.totals()
    assert verify(store).ok
    assert total.output_tokens >= 20


def test_a_chain_counts_all_its_sessions(store: Store, tmp_path: Path) -> None:
    bridge = AgentBridge(Path(shutil.copy(EXAMPLE_HOME / "state.db", tmp_path / "state.db")), store=store)
    bridge.import_sessions()
    head = "20260702_153544_e8f3a6"
    assert bridge.session(head).input_tokens == store.sessions.get(head).input_tokens == 148210 + 61040
    [total] = [one for one in store.usage.totals(["session", "provider"]) if one.session == head]
    assert (total.provider, total.input_tokens, total.cost) == ("openrouter", 209250, 0.84)
    assert verify(store).ok
