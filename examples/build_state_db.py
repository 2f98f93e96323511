"""Write the example ``state.db``: the SQLite file in which hermes-agent 0.19.0 keeps its own sessions.

``python examples/build_state_db.py [TARGET]``; without TARGET it replaces ``hermes-home/state.db`` beside it.
Nothing here depends on the clock or on chance: with one version of SQLite, two runs give the same bytes.
The file is left as by an agent that closed in good order: WAL in its header, and no ``-wal`` beside it.
"""

import json
import sqlite3
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# Every column has the name, type, default and place that it has in the agent's own file.
TABLES = """
CREATE TABLE schema_version (version INTEGER NOT NULL);
CREATE TABLE sessions (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, user_id TEXT, session_key TEXT, chat_id TEXT, chat_type TEXT,
    thread_id TEXT, display_name TEXT, origin_json TEXT, expiry_finalized INTEGER DEFAULT 0, model TEXT,
    model_config TEXT, system_prompt TEXT, parent_session_id TEXT, started_at REAL NOT NULL, ended_at REAL,
    end_reason TEXT, message_count INTEGER DEFAULT 0, tool_call_count INTEGER DEFAULT 0,
    input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cache_read_tokens INTEGER DEFAULT 0,
    cache_write_tokens INTEGER DEFAULT 0, reasoning_tokens INTEGER DEFAULT 0, cwd TEXT, git_branch TEXT,
    git_repo_root TEXT, billing_provider TEXT, billing_base_url TEXT, billing_mode TEXT,
    estimated_cost_usd REAL, actual_cost_usd REAL, cost_status TEXT, cost_source TEXT, pricing_version TEXT,
    title TEXT, api_call_count INTEGER DEFAULT 0, handoff_state TEXT, handoff_platform TEXT,
    handoff_error TEXT, compression_failure_cooldown_until REAL, compression_failure_error TEXT,
    compression_fallback_streak INTEGER NOT NULL DEFAULT 0, profile_name TEXT,
    rewind_count INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0,
    FOREIGN KEY (parent_session_id) REFERENCES sessions(id)
);
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id),
    role TEXT NOT NULL, content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT,
    effect_disposition TEXT, timestamp REAL NOT NULL, token_count INTEGER, finish_reason TEXT,
    reasoning TEXT, reasoning_content TEXT, reasoning_details TEXT, codex_reasoning_items TEXT,
    codex_message_items TEXT, platform_message_id TEXT, observed INTEGER DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0, api_content TEXT
);
CREATE TABLE session_model_usage (
    session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE, model TEXT NOT NULL,
    billing_provider TEXT NOT NULL DEFAULT '', billing_base_url TEXT NOT NULL DEFAULT '',
    billing_mode TEXT NOT NULL DEFAULT '', task TEXT NOT NULL DEFAULT '',
    api_call_count INTEGER NOT NULL DEFAULT 0, input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0, cache_read_tokens INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0, reasoning_tokens INTEGER NOT NULL DEFAULT 0,
    estimated_cost_usd REAL NOT NULL DEFAULT 0, actual_cost_usd REAL NOT NULL DEFAULT 0, cost_status TEXT,
    cost_source TEXT, first_seen REAL, last_seen REAL,
    PRIMARY KEY (session_id, model, billing_provider, billing_base_url, billing_mode, task)
);
CREATE TABLE state_meta (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE gateway_routing (
    scope TEXT NOT NULL DEFAULT '', session_key TEXT NOT NULL, entry_json TEXT NOT NULL,
    updated_at REAL NOT NULL, PRIMARY KEY (scope, session_key)
);
CREATE TABLE compression_locks (
    session_id TEXT PRIMARY KEY, holder TEXT NOT NULL, acquired_at REAL NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE async_delegations (
    delegation_id TEXT PRIMARY KEY, origin_session TEXT NOT NULL,
    origin_ui_session_id TEXT NOT NULL DEFAULT '', parent_session_id TEXT, state TEXT NOT NULL,
    dispatched_at REAL NOT NULL, completed_at REAL, updated_at REAL NOT NULL, event_json TEXT,
    result_json TEXT, delivery_state TEXT NOT NULL DEFAULT 'pending',
    delivery_attempts INTEGER NOT NULL DEFAULT 0, delivered_at REAL, owner_pid INTEGER,
    owner_started_at INTEGER, task_json TEXT, delivery_claim TEXT, delivery_claimed_at REAL
);
CREATE INDEX idx_sessions_source ON sessions(source);
CREATE INDEX idx_sessions_source_id ON sessions(source, id);
CREATE INDEX idx_sessions_parent ON sessions(parent_session_id);
CREATE INDEX idx_sessions_started ON sessions(started_at DESC);
CREATE INDEX idx_messages_session ON messages(session_id, timestamp);
CREATE INDEX idx_compression_locks_expires ON compression_locks(expires_at);
CREATE INDEX idx_session_model_usage_session ON session_model_usage(session_id);
CREATE INDEX idx_session_model_usage_model ON session_model_usage(model);
CREATE INDEX idx_async_delegations_delivery ON async_delegations(delivery_state, completed_at);
CREATE INDEX idx_messages_platform_msg_id
    ON messages(session_id, platform_message_id) WHERE platform_message_id IS NOT NULL;
CREATE INDEX idx_messages_session_active ON messages(session_id, active, timestamp);
CREATE INDEX idx_messages_active_null ON messages(active) WHERE active IS NULL;
CREATE INDEX idx_sessions_session_key ON sessions(session_key, started_at DESC);
CREATE INDEX idx_sessions_gateway_peer
    ON sessions(source, user_id, chat_id, chat_type, thread_id, started_at DESC);
CREATE INDEX idx_sessions_handoff_state ON sessions(handoff_state, started_at);
CREATE UNIQUE INDEX idx_sessions_title_unique ON sessions(title) WHERE title IS NOT NULL;
"""

# Two full-text tables, by words and by trigrams, each kept up by three triggers.
SEARCH = """
CREATE VIRTUAL TABLE {fts} USING fts5({columns});
CREATE TRIGGER {fts}_insert AFTER INSERT ON messages BEGIN
    INSERT INTO {fts}(rowid, content) VALUES (new.id, {text});
END;
CREATE TRIGGER {fts}_delete AFTER DELETE ON messages BEGIN
    DELETE FROM {fts} WHERE rowid = old.id;
END;
CREATE TRIGGER {fts}_update AFTER UPDATE ON messages BEGIN
    DELETE FROM {fts} WHERE rowid = old.id;
    INSERT INTO {fts}(rowid, content) VALUES (new.id, {text});
END;
"""
SEARCH_TABLES = {"messages_fts": "content", "messages_fts_trigram": "content, tokenize='trigram'"}
SEARCH_TEXT = "COALESCE(new.content, '') || ' ' || COALESCE(new.tool_name, '') || ' ' || COALESCE(new.tool_calls, '')"

Row = dict[str, Any]

SONNET, MINI, GPT = "anthropic/claude-sonnet-4.6", "openai/gpt-5.4-mini", "openai/gpt-5.4"
REWOUND = {"active": 0}  # taken back by the user: not to be shown
COMPACTED = {"active": 0, "compacted": 1}  # summarised away in place: the model no longer sees it
TELEGRAM = {"user_id": "418820", "session_key": "agent:main:telegram:dm:418820", "display_name": "Mara"}
LANTERN = dict.fromkeys(("cwd", "git_repo_root"), "/home/mara/code/lantern") | {"git_branch": "postgres"}
PIXEL = {"url": "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACwAAAAAAQABAAACAkQBADs="}
QUESTION = {"type": "text", "text": "What is missing here for a ratatouille?"}
# Content that is not plain text is kept as JSON behind a marker, which begins with a NUL character.
PICTURE = "\x00json:" + json.dumps([QUESTION, {"type": "image_url", "image_url": PIXEL}])


def user(content: str, **more: Any) -> Row:
    return {"role": "user", "content": content, **more}


def reply(content: str, **more: Any) -> Row:
    return {"role": "assistant", "content": content, "finish_reason": "stop", **more}


def call(call_id: str, tool: str, reasoning: str | None = None, **arguments: Any) -> Row:
    """An assistant's turn that only calls a tool: its content is NULL, the calls are JSON text."""
    function = {"name": tool, "arguments": json.dumps(arguments)}
    calls = [{"id": call_id, "type": "function", "function": function}]
    thought = {"reasoning": reasoning, "reasoning_content": reasoning}
    return {"role": "assistant", "finish_reason": "tool_calls", "tool_calls": json.dumps(calls), **thought}


def result(call_id: str, tool: str, **output: Any) -> Row:
    return {"role": "tool", "content": json.dumps(output), "tool_call_id": call_id, "tool_name": tool}


# (session id, its columns, its messages). The start is in the id; a message follows the one before after 21
# seconds. "lasts" is the time in seconds from the start to the end; a session without it is still open.
# fmt: off
SESSIONS: list[tuple[str, Row, list[Row]]] = [
    ("20260512_091500_a1b2c3", {"source": "cli", "model": SONNET, "cwd": "/home/mara",
                                "lasts": 260, "end_reason": "cli_close"}, [
        user("the nas says no space left on device but df shows 38% used. what now?"),
        call("call_nas1", "terminal", "Plenty of bytes are free, so look at the inodes first.",
             command="ssh nas 'df -h /srv; df -i /srv'"),
        result("call_nas1", "terminal", exit_code=0, output=(
            "Filesystem   Size   Used  Avail  Use% Mounted on\n/dev/md0     3.6T   1.3T   2.1T   38% /srv\n"
            "Filesystem Inodes  IUsed  IFree IUse% Mounted on\n/dev/md0     233M   233M      0  100% /srv")),
        call("call_nas2", "terminal", command="ssh nas 'sudo du --inodes -xd2 /srv | sort -n | tail -3'"),
        result("call_nas2", "terminal", exit_code=0, output=(
            "1204877\t/srv/photos\n242310554\t/srv/cache/thumbs\n244195320\t/srv")),
        reply("There are bytes left but no inodes: `/srv/cache/thumbs` holds 242 million tiny files. Move it "
              "aside and delete it slowly:\n\n```sh\nsudo mv /srv/cache/thumbs /srv/cache/thumbs.old\n"
              "sudo ionice -c3 nice rm -rf /srv/cache/thumbs.old\n```"),
        user("works again, thanks. why did nobody warn me?"),
        reply("Because the monitor watches `df -h` only. Add a check of `df -i` at the same 80 %."),
    ]),
    ("20260603_184210_5d0e71", {"source": "telegram", "model": MINI, **TELEGRAM,
                                "chat_id": "418820", "chat_type": "dm"}, [
        user(PICTURE, platform_message_id="5521"),
        reply("I see courgettes, peppers, onions and garlic. You still need an aubergine and tomatoes."),
        user("Remind me on Saturday at nine, the market opens then", platform_message_id="5523"),
        reply("Set: Saturday 6 June, 09:00, \"aubergine, tomatoes\"."),
    ]),
    ("20260618_203301_77b0c4", {"source": "cli", "model": GPT, "title": "Prompt for the fish shell",
                                "rewind_count": 1, "lasts": 300, "end_reason": "cli_close"}, [
        user("Show the git branch in my fish prompt, in green when the tree is clean"),
        reply("Done with `fish_git_prompt`; it is green unless `git status --porcelain` prints anything."),
        user("Rewrite it for zsh", **REWOUND),
        reply("For zsh use `vcs_info` in a `precmd` hook and `$vcs_info_msg_0_` in `PROMPT`.", **REWOUND),
        user("It is slow in large repositories. Can it skip untracked files?"),
        reply("Yes: `git status --porcelain --untracked-files=no`. New files no longer change the colour."),
    ]),
    ("20260702_140512_c19e20", {"source": "cli", "model": SONNET, "title": "Lantern: move to PostgreSQL",
                                "lasts": 5400, "end_reason": "compression", **LANTERN,
                                "input_tokens": 148210, "output_tokens": 9120, "estimated_cost_usd": 0.58}, [
        user("We outgrow SQLite on the booking server. Plan the move to PostgreSQL"),
        call("call_pg1", "search_files", "Find what depends on SQLite.", pattern="strftime|AUTOINCREMENT"),
        result("call_pg1", "search_files", matches=["reports.py:41", "reports.py:88", "schema.sql:12"]),
        reply("Three places depend on SQLite. Make them portable, load a copy, compare, and then switch."),
        user("The first step is merged. Now pgloader complains about loans.returned_at"),
        reply("`UPDATE loans SET returned_at = NULL WHERE returned_at = ''`, and load again."),
    ]),
    ("20260702_153544_e8f3a6", {"source": "cli", "model": SONNET, "title": "Lantern: move to PostgreSQL #2",
                                "parent_session_id": "20260702_140512_c19e20",
                                "lasts": 3100, "end_reason": "cli_close", **LANTERN,
                                "input_tokens": 61040, "output_tokens": 4870, "estimated_cost_usd": 0.26}, [
        user("[Summary of the earlier conversation] The code is portable. Open: compare, then switch."),
        call("call_pg7", "delegate_task", goal="Compare the row counts of both databases"),
        result("call_pg7", "delegate_task", summary="11 of 11 tables equal") | {"timestamp": 1783006600.0},
        reply("All eleven tables agree. Stop the app, do the final load, change `DATABASE_URL`, start it."),
    ]),
    ("20260702_153610_0b64d9", {"source": "subagent", "model": MINI, "lasts": 28, **LANTERN,
                                "parent_session_id": "20260702_153544_e8f3a6",
                                "model_config": '{"_delegate_from": "20260702_153544_e8f3a6"}'}, [
        user("Compare the row counts of both databases"),
        reply("11 of 11 tables equal (the largest: loans, 48,213 rows)."),
    ]),
    ("20260714_033000_b7e41d", {"source": "cron", "lasts": 48, "end_reason": "cron_complete"}, [
        user("Check last night's backup of the NAS and report only what needs attention."),
        reply("Done in 41 minutes, 2.3 GB new. One file was skipped, in use: `/srv/photos/2026/07/.~lock`"),
    ]),
    ("20260722_081940_f4a2d8", {"source": "cli", "model": GPT, "archived": 1, "lasts": 60}, [
        user("convert 14:30 Lisbon time to Tokyo"),
        reply("22:30 in Tokyo: in July Lisbon is at UTC+1 and Tokyo at UTC+9."),
    ]),
    ("20260811_190015_3c7d5e", {"source": "cli", "model": SONNET, "title": "Notes on the soil sensors"}, [
        user("Sensor 2 reads 12 % although the bed is wet", **COMPACTED),
        reply("That usually is bad contact. Clean the electrodes and press it in again.", **COMPACTED),
        user("[Summary of the earlier conversation] Sensor 2 was dirty and reads 41 % now."),
        reply("Noted. What about the others?"),
        user("Sensor 3 jumps, and the jumping moved to sensor 2 when I swapped their cables"),
        reply("Then it is sensor 3's cable. Replace it.", reasoning="The fault moved with the cable."),
    ]),
]
# fmt: on

USAGE = "model billing_provider input_tokens output_tokens estimated_cost_usd cost_status cost_source"


def insert(db: sqlite3.Connection, table: str, row: Row) -> None:
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))  # noqa: S608


def add_session(db: sqlite3.Connection, session_id: str, about: Row, messages: list[Row]) -> None:
    started = datetime.strptime(session_id[:15], "%Y%m%d_%H%M%S").replace(tzinfo=UTC).timestamp()
    row = {"id": session_id, "started_at": started, "system_prompt": "You are Hermes. Be brief.", **about}
    if (lasts := row.pop("lasts", None)) is not None:
        row["ended_at"] = started + lasts + 0.25
    # Like the agent's own numbers: a rewind does not lower the count, a compaction in place does.
    row["message_count"] = sum("compacted" not in message for message in messages)
    row["tool_call_count"] = sum("tool_calls" in message for message in messages)
    if "estimated_cost_usd" in row:
        row |= {"billing_provider": "openrouter", "cost_status": "estimated", "cost_source": "table"}
    insert(db, "sessions", row)
    for number, message in enumerate(messages):
        stamp = started + 3.5 + 21 * number
        insert(db, "messages", {"session_id": session_id, "timestamp": stamp, **message})
    if "estimated_cost_usd" in row:
        usage = {"session_id": session_id, **{column: row[column] for column in USAGE.split()}}
        insert(db, "session_model_usage", usage | {"first_seen": started, "last_seen": row["ended_at"]})


def build(target: Path) -> None:
    """Write the file anew, in the place of what is at `target`."""
    for old in (target, Path(f"{target}-wal"), Path(f"{target}-shm")):
        old.unlink(missing_ok=True)
    db = sqlite3.connect(target, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(TABLES)
        for fts, columns in SEARCH_TABLES.items():
            db.executescript(SEARCH.format(fts=fts, columns=columns, text=SEARCH_TEXT))
        db.execute("BEGIN IMMEDIATE")
        insert(db, "schema_version", {"version": 22})
        for session in SESSIONS:
            add_session(db, *session)
        db.execute("COMMIT")
    finally:
        db.close()  # the last connection to close moves the WAL into the file and removes it


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "hermes-home" / "state.db")
