"""Chains, branches and helpers, where the links between the sessions are not as they should be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store.agent import AgentBridge
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import Row, Shape, add, create

Put = Callable[..., None]


@pytest.fixture(params=[True, False], ids=["index", "no index"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file without sessions."""
    create(tmp_path / "state.db", Shape(index=request.param), [])
    return tmp_path / "state.db"


@pytest.fixture
def put(path: Path) -> Iterator[Put]:
    """Put a session into the file: its id, its parent, columns, and one message at a time after the `BASE`."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:

        def put(name: str, parent: str | None = None, at: float | None = 1.0, **columns: Any) -> None:
            session: Row = {"id": name, "source": "cli", "parent_session_id": parent, "started_at": BASE, **columns}
            messages = [{"role": "user", "content": name, "timestamp": BASE + at}] if at is not None else []
            add(db, Shape(), session, messages)

        yield put


def chains(path: Path, *include: str) -> list[tuple[str, ...]]:
    return [session.chain for session in AgentBridge(path).sessions(limit=1000, include=include).items]


FULL = {"end_reason": "compression", "ended_at": BASE + 1}


def test_a_cycle_of_parents_loses_no_session(path: Path, put: Put) -> None:
    put("a", "b", **FULL)
    put("b", "a", **FULL)
    put("self", "self", **FULL)
    assert sorted(session_id for chain in chains(path) for session_id in chain) == ["a", "b", "self"]
    for name in ("a", "b", "self"):
        assert name in AgentBridge(path).messages(name).chain


def test_a_chain_with_a_cycle_loses_no_session(path: Path, put: Put) -> None:
    put("a", "c", **FULL)
    put("b", "a", **FULL)
    put("c", "b", **FULL)
    put("tail", "c", at=2)
    shown = [session_id for chain in chains(path) for session_id in chain]
    assert sorted(shown) == ["a", "b", "c", "tail"]


def test_a_chain_beyond_the_limit_loses_no_session(path: Path, put: Put) -> None:
    for number in range(250):
        put(f"s{number:03}", f"s{number - 1:03}" if number else None, at=number, **(FULL if number < 249 else {}))
    listed = chains(path)
    assert sorted(session_id for chain in listed for session_id in chain) == [f"s{number:03}" for number in range(250)]
    texts = [message["content"] for chain in listed for message in AgentBridge(path).messages(chain[-1]).items]
    assert sorted(texts) == [f"s{number:03}" for number in range(250)]


def test_a_helpers_continuation_joins_the_helpers_chain(path: Path, put: Put) -> None:
    put("main", at=1)
    put("busy", "main", at=2, model_config='{"_delegate_from": "main"}', **FULL)
    put("busy-2", "busy", at=3)
    put("old", "main", at=4, **FULL)
    put("old-2", "old", at=5)
    assert chains(path) == [("main",)]
    assert chains(path, "subagent") == [("old", "old-2"), ("busy", "busy-2"), ("main",)]


def test_branches_and_helpers_do_not_continue_a_session(path: Path, put: Put) -> None:
    put("full", at=1, **FULL)
    put("branch", "full", at=2, model_config='{"_branched_from": "full"}')
    put("helper", "full", at=3, model_config='{"_delegate_from": "full"}')
    put("reset", "full", at=4, model_config='{"_reset_from": "full"}')
    put("tool", "full", at=5, source="tool")
    assert chains(path) == [("reset",), ("branch",), ("full",)]
    assert chains(path, "subagent") == [("reset",), ("helper",), ("branch",), ("full",)]
    assert ("tool",) in chains(path, "tool")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"at": 9}, {"at": 2, **FULL}, id="itself full"),
        pytest.param({"at": 9, "ended_at": BASE, "end_reason": "cli_close"}, {"at": 2}, id="open"),
        pytest.param({"at": 2}, {"at": 9}, id="last active"),
    ],
)
def test_of_two_continuations_the_agent_s_choice_counts(
    path: Path, put: Put, first: dict[str, Any], second: dict[str, Any]
) -> None:
    put("full", at=1, **FULL)
    put("z-first", "full", **first)
    put("a-second", "full", **second)
    assert sorted(chains(path)) == [("full", "a-second"), ("z-first",)]
    assert AgentBridge(path).session("full").session_id == "a-second"


def test_a_chain_has_its_sessions_latest_activity(path: Path, put: Put) -> None:
    put("other", at=50)
    put("root", at=100, **FULL)
    put("tip", "root", at=5, ended_at=BASE + 6, end_reason="cli_close")
    put("webui-root", at=90, source="webui", **FULL)
    put("cli-tip", "webui-root", at=4)
    page = AgentBridge(path).sessions(limit=1)
    assert page.items[0].chain == ("root", "tip")
    assert page.items[0].last_active == BASE + 100
    found = [page.items[0].chain]
    while page.next is not None:
        page = AgentBridge(path).sessions(limit=1, after=page.next)
        found += [session.chain for session in page.items]
    assert found == [("root", "tip"), ("webui-root", "cli-tip"), ("other",)]


def test_a_session_is_read_without_its_predecessors(path: Path, put: Put) -> None:
    put("one", at=1, **FULL)
    put("two", "one", at=2)
    bridge = AgentBridge(path)
    both = bridge.messages("one")
    assert [(message["content"], message.get("_continues")) for message in both.items] == [
        ("one", None),
        ("two", "one"),
    ]
    for name in ("one", "two"):
        alone = bridge.messages(name, lineage=False)
        assert [message["content"] for message in alone.items] == [name]
        assert alone.chain == (name,)
        assert "_continues" not in alone.items[0]


def test_sessions_with_odd_ids_are_listed_and_read(path: Path, put: Put) -> None:
    odd = ["a'b", 'c"d', "e%f_", "über", "x" * 300, "{}", "?1", "line\nbreak"]
    for number, name in enumerate(odd):
        put(name, at=number)
    assert chains(path) == [(name,) for name in reversed(odd)]
    for name in odd:
        assert [message["content"] for message in AgentBridge(path).messages(name).items] == [name]
