"""What the agent wrote is what the reader gets: every column, decoded, and nothing made up."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidCursorError, SessionNotFoundError
from hermes_store.agent import AgentBridge
from hermes_store.transcripts import json_codec
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import EXTRA, MESSAGES, Shape
from tests.support.paths import EXAMPLE_STATE_DB

StateDb = Callable[..., Path]


#: The messages of "login" as the newest file has them.
LOGIN: list[dict[str, Any]] = [
    {"role": "system", "content": "session start", "timestamp": BASE + 101},
    {"role": "user", "content": "Hello — grüße 你好 👋 'q' \"dq\"", "timestamp": BASE + 102},
    {
        "role": "assistant",
        "content": None,
        "timestamp": BASE + 103,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "terminal", "arguments": "{}"}}],
        "finish_reason": "tool_calls",
        "reasoning": "think…",
        "reasoning_content": "",
        "reasoning_details": [{"type": "reasoning.text", "signature": "sig"}],
        "codex_reasoning_items": [{"encrypted_content": "zzz"}],
        "codex_message_items": [{"id": "msg_1"}],
    },
    {
        "role": "tool",
        "content": '{"ok": true}',
        "timestamp": BASE + 104,
        "tool_call_id": "call_1",
        "tool_name": "terminal",
        "name": "terminal",
        "effect_disposition": "applied",
    },
    {
        "role": "assistant",
        "content": "Done.",
        "timestamp": BASE + 105,
        "token_count": 12,
        "finish_reason": "stop",
        "api_content": "Done. [sent]",
        "platform_message_id": "77",
        "_observed": True,
        "_compressed_summary": True,
        "display_kind": "note",
        "display_metadata": {"a": 1},
    },
    {"role": "session_meta", "content": "meta", "timestamp": BASE + 106},
]
#: The column behind a key, where it is called otherwise.
COLUMNS = {"name": "tool_name", "_observed": "observed"}


def messages(path: Path, session_id: str, **how: Any) -> list[dict[str, Any]]:
    """Return messages without the numbers of their rows."""
    items = AgentBridge(path).messages(session_id, **how).items
    return [{key: value for key, value in item.items() if key != "_state_db_row_id"} for item in items]


@pytest.mark.parametrize("version", [1, 2, 7, 9, 13, 22, 30])
def test_messages_have_every_column_of_the_files_version(state_db: StateDb, version: int) -> None:
    columns = {column.split()[0] for since, column in MESSAGES if since <= version}
    expected = [{key: value for key, value in message.items() if COLUMNS.get(key, key) in columns} for message in LOGIN]
    assert messages(state_db(Shape(version)), "login") == expected


def test_the_row_s_number_is_told(state_db: StateDb) -> None:
    items = AgentBridge(state_db()).messages("login").items
    assert [item["_state_db_row_id"] for item in items] == [1, 2, 3, 4, 5, 6]


def test_columns_that_no_release_has_are_kept_apart(state_db: StateDb) -> None:
    path = state_db(Shape(extra=True))
    [session] = [one for one in AgentBridge(path).sessions(limit=100).items if one.session_id == "login"]
    assert {name: session.extra[name] for name in EXTRA} == dict.fromkeys(EXTRA, "of a fork")
    assert [message.get("extra") for message in messages(path, "login")] == [
        None,
        None,
        None,
        None,
        dict.fromkeys(EXTRA, "kept"),
        None,
    ]


def test_everything_known_of_a_session_is_told(state_db: StateDb) -> None:
    [session] = [one for one in AgentBridge(state_db()).sessions(limit=100).items if one.session_id == "login"]
    assert session.model == "anthropic/claude-sonnet-4.6"
    assert session.cwd == "/home/mara/shop"
    assert (session.started_at, session.ended_at, session.end_reason) == (BASE + 100, BASE + 200, "cli_close")
    assert (session.message_count, session.stored_message_count) == (6, 9)
    assert (session.input_tokens, session.output_tokens, session.estimated_cost) == (1200, 340, 0.0123)
    assert (session.archived, session.parent_id) == (False, None)
    assert (session.source_tag, session.is_cli_session) == ("cli", True)
    assert session.extra["git_branch"] == "main"
    assert session.extra["display_name"] == "Mara"
    assert "system_prompt" not in session.extra
    assert AgentBridge(state_db()).session("login") == session


def test_a_chain_has_its_beginning_and_latest_state(state_db: StateDb) -> None:
    session = AgentBridge(state_db()).session("story-c")
    assert session.session_id == "story-b"
    assert (session.started_at, session.last_active) == (BASE + 300, BASE + 323)
    assert (session.end_reason, session.parent_id) == (None, None)
    assert AgentBridge(state_db()).session("branch").parent_id == "login"


def test_structured_content_is_decoded_unless_it_is_broken(state_db: StateDb) -> None:
    assert [message["content"] for message in messages(state_db(), "picture")] == [
        [{"type": "text", "text": "What is   in\nthis picture?"}, {"type": "image_url"}],
        {"type": "text", "text": "A cat."},
        "\x00json:[broken",
        "\x00json:",
    ]


def test_damaged_rows_are_read_as_far_as_possible(state_db: StateDb) -> None:
    items = messages(state_db(Shape(30)), "damaged")
    assert [item["content"] for item in items] == [
        "caf\udce9 au lait",
        "x",
        {"base64": "//4A"},
        "bytes of text",
        "y",
        "lone \ufffd and \x00 inside",
        "12.5",
    ]
    assert items[1]["tool_calls"] == "[{broken"
    assert items[4]["display_metadata"] == {"twice": True}
    assert items[4]["reasoning_details"] is None


def test_whatever_is_read_can_be_stored(state_db: StateDb) -> None:
    path = state_db(Shape(30, extra=True))
    bridge = AgentBridge(path)
    sessions = bridge.sessions(limit=1000, include=["empty", "cron", "archived", "subagent", "tool", "webui"]).items
    for session in sessions:
        assert json_codec.decode(json_codec.encode(session.extra)) == session.extra
        items = bridge.messages(session.session_id, include_rewound=True).items
        assert json_codec.decode(json_codec.encode(items)) == items


def test_wrong_types_in_a_row_do_no_harm(state_db: StateDb) -> None:
    path = state_db()
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "UPDATE sessions SET title = x'fffe', started_at = 'then', ended_at = 5e246, message_count = 'many', "
            "input_tokens = 1.5, output_tokens = NULL, estimated_cost_usd = 'dear', model = x'c3a9', cwd = 7, "
            "model_config = x'00', archived = 'no' WHERE id = 'login'"
        )
        db.commit()
    bridge = AgentBridge(path)
    session = bridge.session("login")
    listed = bridge.sessions(limit=1000, include=["archived"]).items
    assert session in listed
    assert (session.started_at, session.ended_at, session.stored_message_count) == (None, None, 0)
    assert type(session).model_validate(session.model_dump()) == session
    json_codec.encode(session.model_dump())


def test_invalid_text_in_a_session_breaks_no_list(state_db: StateDb) -> None:
    path = state_db()
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE sessions SET title = CAST(x'e9e9' AS TEXT), cwd = CAST(x'ff' AS TEXT) WHERE id = 'login'")
        db.execute("UPDATE sessions SET model = CAST(x'ff' AS TEXT)")
        db.commit()
    items = AgentBridge(path).sessions(limit=1000).items
    assert "\udce9\udce9" in [session.title for session in items]
    assert {session.model for session in items} == {"\udcff"}


@pytest.mark.parametrize("version", [17, 22, 30])
def test_rewound_messages_are_hidden_and_compacted_ones_marked(state_db: StateDb, version: int) -> None:
    path = state_db(Shape(version))

    def seen(session_id: str, **how: Any) -> list[tuple[Any, ...]]:
        return [(one["content"], "_rewound" in one, "_compacted" in one) for one in messages(path, session_id, **how)]

    assert seen("rewound") == [(text, False, False) for text in ("first", "one", "third", "three")]
    assert [text for text, rewound, _ in seen("rewound", include_rewound=True) if rewound] == ["undone", "two"]
    assert seen("compacted") == [
        ("old question", False, True),
        ("old answer", False, True),
        *((text, False, False) for text in ("[summary] of it", "noted", "next")),
    ]


def test_messages_keep_their_written_order_despite_wrong_clocks(state_db: StateDb) -> None:
    items = messages(state_db(), "clocks")
    assert [item["content"] for item in items] == ["one", "two", "three", "four", "five", "six"]
    assert [item["timestamp"] for item in items] == [BASE + 561, BASE + 561, BASE + 400, 5e246, "yesterday", -1.0]


def test_messages_are_read_in_the_files_display_order(state_db: StateDb) -> None:
    path = state_db(Shape(30))
    with closing(sqlite3.connect(path)) as db:
        ids = [row[0] for row in db.execute("SELECT id FROM messages WHERE session_id = 'compacted' ORDER BY id")]
        # Compaction wrote the summary last and put it before what came after it; one row has no place of its own.
        for order, row_id in zip((ids[0], ids[1], ids[4], ids[2], None), ids, strict=True):
            db.execute("UPDATE messages SET display_order = ? WHERE id = ?", (order, row_id))
        db.commit()
    bridge = AgentBridge(path)
    whole = bridge.messages("compacted").items
    assert [item["content"] for item in whole] == [
        "old question",
        "old answer",
        "noted",
        "[summary] of it",
        "next",
    ]
    paged: list[Any] = []
    page = bridge.messages("compacted", limit=1)
    while True:
        paged += page.items
        if page.next is None:
            break
        page = bridge.messages("compacted", limit=1, after=page.next)
    assert paged == whole


def test_a_cursor_of_another_conversation_is_refused(state_db: StateDb) -> None:
    bridge = AgentBridge(state_db())
    cursor = bridge.messages("story-b", limit=1).next
    for wrong in (cursor, "x", bridge.sessions(limit=1).next):
        with pytest.raises(InvalidCursorError):
            bridge.messages("clocks", after=wrong)
    assert bridge.messages("story-c", limit=1, after=cursor).items[0]["content"] == "part 1"


def test_reading_messages_of_an_unknown_session_is_refused(state_db: StateDb) -> None:
    for unknown in ("nobody", "nowhere", ""):
        for lineage in (True, False):
            with pytest.raises(SessionNotFoundError, match="The agent has no session"):
                AgentBridge(state_db()).messages(unknown, lineage=lineage)


def test_the_example_home_reads_as_it_was_built(tmp_path: Path) -> None:
    """The one file here that this folder did not make."""
    path = tmp_path / "state.db"
    path.write_bytes(EXAMPLE_STATE_DB.read_bytes())
    bridge = AgentBridge(home=tmp_path)
    assert [(one.title, one.chain[0], one.message_count) for one in bridge.sessions().items] == [
        ("Notes on the soil sensors", "20260811_190015_3c7d5e", 6),
        ("Lantern: move to PostgreSQL #2", "20260702_140512_c19e20", 10),
        ("Prompt for the fish shell", "20260618_203301_77b0c4", 4),
        ("What is missing here for a ratatouille?", "20260603_184210_5d0e71", 4),
        ("the nas says no space left on device but df shows 38% used. what", "20260512_091500_a1b2c3", 8),
    ]
    assert {one.session_id for one in bridge.sessions(include=["subagent", "cron", "archived"]).items} >= {
        "20260702_153610_0b64d9",
        "20260714_033000_b7e41d",
        "20260722_081940_f4a2d8",
    }
    picture = bridge.messages("20260603_184210_5d0e71").items[0]
    assert [part["type"] for part in picture["content"]] == ["text", "image_url"]
    assert picture["platform_message_id"] == "5521"
