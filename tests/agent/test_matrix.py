"""Over every kind of file the list and the messages are those that were written."""

from __future__ import annotations

from typing import Any

import pytest

from hermes_store import InvalidInputError, SessionNotFoundError
from hermes_store.agent import AgentBridge, AgentSession
from tests.support.agent import conversations as contents
from tests.support.agent.conversations import TALKS, expected
from tests.support.agent.matrix import AgentFile, each_version, every_file
from tests.support.agent.statedb import VERSIONS

pytestmark = pytest.mark.slow

ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")


def row(session: AgentSession) -> tuple[Any, ...]:
    return (
        session.chain,
        session.source,
        session.title,
        session.titled,
        session.last_active,
        session.message_count,
    )


def listed(bridge: AgentBridge, **how: Any) -> list[tuple[Any, ...]]:
    page = bridge.sessions(**{"limit": 1000, **how})
    assert page.next is None
    assert [session.session_id for session in page.items] == [session.chain[-1] for session in page.items]
    return [row(session) for session in page.items]


@every_file
def test_the_list_shows_each_conversation_once_and_correctly(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    shape = agent_file.shape
    assert listed(bridge) == expected(shape)
    assert listed(bridge, include=ALL) == expected(shape, ALL)
    for group in ("tool", "archived"):
        assert listed(bridge, include=[group]) == expected(shape, [group]), group


@each_version
def test_a_list_by_source_shows_only_that_source(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    shape = agent_file.shape
    for source in ("cli", "cron", "subagent", "nobody"):
        assert listed(bridge, source=source) == expected(shape, source=source), source
    assert listed(bridge, source="cli", include=ALL) == expected(shape, ALL, source="cli")


@each_version
def test_the_pages_put_together_are_the_list(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    for include, limit in ((ALL, 12), ((), 9)):
        pages: list[list[Any]] = []
        after = None
        while True:
            page = bridge.sessions(limit=limit, include=include, after=after)
            pages.append([row(session) for session in page.items])
            after = page.next
            if after is None:
                break
        assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
        assert [one for page in pages for one in page] == expected(agent_file.shape, include)


@each_version
def test_either_end_of_a_chain_finds_its_conversation(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    for talk in (*TALKS[1:5], *TALKS[7:10]):
        for session_id in {talk.chain[0], talk.chain[-1]}:
            assert row(bridge.session(session_id)) == talk.listed(agent_file.shape), session_id
    for unknown in ("nobody", "nowhere", "unfinished", ""):
        with pytest.raises(SessionNotFoundError):
            bridge.session(unknown)


@every_file
def test_messages_of_every_conversation_are_read_in_order(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    for talk in TALKS[:14]:
        written = [message for _, messages in talk.sessions for message in messages]
        hidden = agent_file.shape.version >= 14
        compacts = agent_file.shape.version >= 17
        shown = [
            message
            for message in written
            if not (hidden and message.get("active") == 0 and not (compacts and message.get("compacted")))
        ]
        whole = bridge.messages(talk.chain[0], include_rewound=True)
        assert [message["role"] for message in whole.items] == [message["role"] for message in written]
        assert whole.chain == talk.chain
        assert whole.next is None
        part = whole.items if shown == written else bridge.messages(talk.chain[-1]).items
        assert [message["timestamp"] for message in part] == [message["timestamp"] for message in shown]
        ids = [message["_state_db_row_id"] for message in whole.items]
        assert ids == sorted(ids)


@each_version
def test_joined_pages_of_messages_equal_the_whole(agent_file: AgentFile) -> None:
    bridge = AgentBridge(agent_file.path)
    for session_id, limit, rewound in (
        ("story-b", 3, False),
        ("rewound", 2, False),
        ("rewound", 4, True),
        ("just-2", 2, False),
    ):
        whole = bridge.messages(session_id, include_rewound=rewound)
        items: list[Any] = []
        after = None
        while True:
            page = bridge.messages(session_id, include_rewound=rewound, limit=limit, after=after)
            assert len(page.items) <= limit
            items += page.items
            after = page.next
            if after is None:
                break
        assert items == whole.items, (session_id, limit)


@every_file
def test_the_facts_of_the_file_are_told(agent_file: AgentFile) -> None:
    info = AgentBridge(agent_file.path).info()
    assert info.path == str(agent_file.path)
    assert info.schema_version == agent_file.shape.version
    assert info.journal_mode == agent_file.shape.journal
    assert info.sessions == sum(len(talk.sessions) for talk in TALKS)
    assert info.messages == sum(talk.rows for talk in TALKS) + len(contents.STRAYS[1])
    assert info.size_bytes == agent_file.path.stat().st_size


def test_the_matrix_has_every_version_and_state() -> None:
    cases = every_file.args[1]
    assert {case.shape.version for case in cases} == set(VERSIONS)
    assert {case.shape.version for case in each_version.args[1]} == set(VERSIONS)
    assert {(case.shape.journal, case.state) for case in cases} >= {
        *(("wal", state) for state in ("closed", "left", "live")),
        *(("delete", state) for state in ("closed", "live")),
    }


def test_unknown_group_is_refused_naming_the_known_ones(state_db: Any) -> None:
    with pytest.raises(InvalidInputError, match="archived, cron, empty, hidden, subagent, tool, webui"):
        AgentBridge(state_db()).sessions(include=["kanban"])
    limit: Any
    for limit in (0, 1001, True, "5"):
        with pytest.raises(InvalidInputError):
            AgentBridge(state_db()).sessions(limit=limit)
    for cursor in ("", "x", AgentBridge(state_db()).messages("story-b", limit=1).next):
        with pytest.raises(InvalidInputError):
            AgentBridge(state_db()).sessions(after=cursor)
