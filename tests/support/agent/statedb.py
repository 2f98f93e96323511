"""The agent's state.db as its releases made it, schema by schema. Standard library only.

A column or an index stands once, with the versions that it came in (and went out) with.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

VERSIONS: Final = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 16, 17, 19, 22, 23, 25, 30)

Row = dict[str, Any]
_Since = tuple[tuple[int, str], ...]

SESSIONS: Final[_Since] = (
    (1, "id TEXT PRIMARY KEY"),
    (1, "source TEXT NOT NULL"),
    (30, "created_source TEXT"),
    (1, "user_id TEXT"),
    *((17, f"{name} TEXT") for name in ("session_key", "chat_id", "chat_type", "thread_id")),
    (19, "display_name TEXT"),
    (19, "origin_json TEXT"),
    (19, "expiry_finalized INTEGER DEFAULT 0"),
    (1, "model TEXT"),
    (1, "model_config TEXT"),
    (1, "system_prompt TEXT"),
    (25, "system_prompt_hash TEXT REFERENCES system_prompts(hash)"),
    (1, "parent_session_id TEXT REFERENCES sessions(id)"),
    (1, "started_at REAL NOT NULL"),
    (1, "ended_at REAL"),
    (1, "end_reason TEXT"),
    *((1, f"{name} INTEGER DEFAULT 0") for name in ("message_count", "tool_call_count")),
    *((1, f"{name} INTEGER DEFAULT 0") for name in ("input_tokens", "output_tokens")),
    *((5, f"{name}_tokens INTEGER DEFAULT 0") for name in ("cache_read", "cache_write", "reasoning")),
    (14, "cwd TEXT"),
    (17, "git_branch TEXT"),
    (17, "git_repo_root TEXT"),
    (30, "git_metadata_generation INTEGER NOT NULL DEFAULT 0"),
    *((5, f"billing_{name} TEXT") for name in ("provider", "base_url", "mode")),
    (5, "estimated_cost_usd REAL"),
    (5, "actual_cost_usd REAL"),
    *((5, f"{name} TEXT") for name in ("cost_status", "cost_source", "pricing_version")),
    (3, "title TEXT"),
    (30, "title_source TEXT"),
    (30, "last_activity_at REAL"),
    (30, "last_activity_description TEXT"),
    (30, "last_activity_provenance TEXT"),
    (8, "api_call_count INTEGER DEFAULT 0"),
    *((11, f"handoff_{name} TEXT") for name in ("state", "platform", "error")),
    (17, "compression_failure_cooldown_until REAL"),
    (17, "compression_failure_error TEXT"),
    (22, "compression_fallback_streak INTEGER NOT NULL DEFAULT 0"),
    (30, "compression_ineffective_count INTEGER NOT NULL DEFAULT 0"),
    (30, "compression_recovery_deadline REAL"),
    (30, "compression_overload_streak INTEGER NOT NULL DEFAULT 0"),
    (22, "profile_name TEXT"),
    (30, "transport_profile TEXT"),
    (14, "rewind_count INTEGER NOT NULL DEFAULT 0"),
    (14, "archived INTEGER NOT NULL DEFAULT 0"),
    (30, "pinned INTEGER NOT NULL DEFAULT 0"),
    (30, "hidden INTEGER NOT NULL DEFAULT 0"),
    (30, "last_read_at REAL"),
    (30, "tool_names TEXT"),
)
MESSAGES: Final[_Since] = (
    (1, "id INTEGER PRIMARY KEY AUTOINCREMENT"),
    (1, "session_id TEXT NOT NULL REFERENCES sessions(id)"),
    (1, "role TEXT NOT NULL"),
    (1, "content TEXT"),
    *((1, f"{name} TEXT") for name in ("tool_call_id", "tool_calls", "tool_name")),
    (22, "effect_disposition TEXT"),
    (1, "timestamp REAL NOT NULL"),
    (1, "token_count INTEGER"),
    (2, "finish_reason TEXT"),
    (6, "reasoning TEXT"),
    (7, "reasoning_content TEXT"),
    (6, "reasoning_details TEXT"),
    (6, "codex_reasoning_items TEXT"),
    (9, "codex_message_items TEXT"),
    (13, "platform_message_id TEXT"),
    (13, "observed INTEGER DEFAULT 0"),
    (30, "_compressed_summary INTEGER NOT NULL DEFAULT 0"),
    (14, "active INTEGER NOT NULL DEFAULT 1"),
    (17, "compacted INTEGER NOT NULL DEFAULT 0"),
    (22, "api_content TEXT"),
    (30, "display_kind TEXT"),
    (30, "display_metadata TEXT"),
    (30, "display_identity BLOB"),
    (30, "display_order INTEGER"),
)
_USAGE: Final = ", ".join(
    (
        "session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE, model TEXT NOT NULL",
        *(f"billing_{name} TEXT NOT NULL DEFAULT ''" for name in ("provider", "base_url", "mode")),
        "task TEXT NOT NULL DEFAULT ''",
        *(f"{name} INTEGER NOT NULL DEFAULT 0" for name in ("api_call_count", "input_tokens", "output_tokens")),
        *(f"{name}_tokens INTEGER NOT NULL DEFAULT 0" for name in ("cache_read", "cache_write", "reasoning")),
        "estimated_cost_usd REAL NOT NULL DEFAULT 0, actual_cost_usd REAL NOT NULL DEFAULT 0",
        "cost_status TEXT, cost_source TEXT, first_seen REAL, last_seen REAL",
        "PRIMARY KEY (session_id, model, billing_provider, billing_base_url, billing_mode, task)",
    )
)
_LOCK: Final = "holder TEXT NOT NULL, acquired_at REAL NOT NULL, expires_at REAL NOT NULL"
TABLES: Final[_Since] = (
    (1, "schema_version (version INTEGER NOT NULL)"),
    (11, "state_meta (key TEXT PRIMARY KEY, value TEXT)"),
    (14, f"compression_locks (session_id TEXT PRIMARY KEY, {_LOCK})"),
    (
        19,
        (
            "gateway_routing (scope TEXT NOT NULL DEFAULT '', session_key TEXT NOT NULL, entry_json TEXT NOT NULL, "
            "updated_at REAL NOT NULL, PRIMARY KEY (scope, session_key))"
        ),
    ),
    (22, f"session_model_usage ({_USAGE})"),
    (
        22,
        (
            "async_delegations (delegation_id TEXT PRIMARY KEY, origin_session TEXT NOT NULL, state TEXT NOT NULL, "
            "origin_ui_session_id TEXT NOT NULL DEFAULT '', parent_session_id TEXT, dispatched_at REAL NOT NULL, "
            "completed_at REAL, updated_at REAL NOT NULL, delivery_state TEXT NOT NULL DEFAULT 'pending')"
        ),
    ),
    (25, "system_prompts (hash TEXT PRIMARY KEY, prompt TEXT NOT NULL)"),
    (30, f"session_turn_leases (conversation_id TEXT PRIMARY KEY, {_LOCK})"),
    (
        30,
        (
            "conversation_generations (source TEXT NOT NULL, session_key TEXT NOT NULL, "
            "generation INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, session_key))"
        ),
    ),
)
SESSION_INDEXES: Final[_Since] = (
    (1, "INDEX idx_sessions_source ON sessions(source)"),
    (1, "INDEX idx_sessions_parent ON sessions(parent_session_id)"),
    (1, "INDEX idx_sessions_started ON sessions(started_at DESC)"),
    (4, "UNIQUE INDEX idx_sessions_title_unique ON sessions(title) WHERE title IS NOT NULL"),
    (16, "INDEX idx_sessions_source_id ON sessions(source, id)"),
    (17, "INDEX idx_sessions_session_key ON sessions(session_key, started_at DESC)"),
    (
        19,
        "INDEX idx_sessions_gateway_peer ON sessions(source, user_id, chat_id, chat_type, thread_id, started_at DESC)",
    ),
    (19, "INDEX idx_sessions_handoff_state ON sessions(handoff_state, started_at)"),
    (25, "INDEX idx_sessions_system_prompt_hash ON sessions(system_prompt_hash)"),
    (30, "INDEX idx_sessions_tool_names ON sessions(tool_names)"),
    (
        30,
        (
            "INDEX idx_sessions_effective_activity ON sessions(COALESCE(last_activity_at, started_at) DESC, "
            "started_at DESC)"
        ),
    ),
)
MESSAGE_INDEXES: Final[_Since] = (
    (1, "INDEX idx_messages_session ON messages(session_id, timestamp)"),
    (
        13,
        (
            "INDEX idx_messages_platform_msg_id ON messages(session_id, platform_message_id) "
            "WHERE platform_message_id IS NOT NULL"
        ),
    ),
    (14, "INDEX idx_messages_session_active ON messages(session_id, active, timestamp)"),
    (19, "INDEX idx_messages_active_null ON messages(active) WHERE active IS NULL"),
    (30, "INDEX idx_messages_session_id ON messages(session_id, id)"),
    (
        30,
        (
            "INDEX idx_messages_display_page ON messages(session_id, display_order, active DESC, id DESC) "
            "WHERE active = 1 OR compacted = 1"
        ),
    ),
    (
        30,
        (
            "INDEX idx_messages_assistant_calls_by_session ON messages(session_id) "
            "WHERE role = 'assistant' AND tool_calls IS NOT NULL"
        ),
    ),
    (
        30,
        (
            "INDEX idx_messages_display_identity ON messages(session_id, display_identity, display_order) "
            "WHERE display_identity IS NOT NULL AND (active = 1 OR compacted = 1)"
        ),
    ),
)

_WHOLE: Final = "COALESCE({0}.content, '') || ' ' || COALESCE({0}.tool_name, '') || ' ' || COALESCE({0}.tool_calls, '')"
_ORDER_TRIGGERS: Final = """
CREATE TRIGGER messages_display_order_insert AFTER INSERT ON messages WHEN new.display_order IS NULL BEGIN
    UPDATE messages SET display_order = new.id WHERE id = new.id;
END;
CREATE TRIGGER messages_display_identity_delete AFTER DELETE ON messages WHEN old.active = 1 OR old.compacted = 1 BEGIN
    UPDATE messages SET display_order = (
        SELECT MIN(p.id) FROM messages AS p WHERE p.session_id = old.session_id AND (p.active = 1 OR p.compacted = 1)
        AND p.display_identity = old.display_identity)
    WHERE session_id = old.session_id AND (active = 1 OR compacted = 1) AND display_identity = old.display_identity;
END;
"""


def _search(version: int) -> str:
    """Full text search: over the messages' content, then with a copy of the text, then through views."""
    if version < 11:
        statements = [_search_table("messages_fts", "content", "content=messages, content_rowid=id", "{0}.content")]
        if version == 10:
            tokenized = "content=messages, content_rowid=id, tokenize='trigram'"
            statements.append(_search_table("messages_fts_trigram", "content", tokenized, "{0}.content"))
        return "".join(statements)
    if version < 23:
        trigram = _search_table("messages_fts_trigram", "content", "tokenize='trigram'", _WHOLE, copied=True)
        return _search_table("messages_fts", "content", "", _WHOLE, copied=True) + trigram
    text = "CASE WHEN {0}.role = 'tool' THEN substr(COALESCE({0}.content, ''), 1, 8192) ELSE {0}.content END"
    views = (
        f"CREATE VIEW messages_fts_src AS SELECT id, {text.format('messages')} AS content, tool_name, tool_calls "
        "FROM messages;"
        "CREATE VIEW messages_fts_trigram_src AS SELECT id, content, tool_name FROM messages WHERE role <> 'tool';"
    )
    columns = "content='{0}_src', content_rowid='id'"
    return (
        views
        + _search_table(
            "messages_fts",
            "content, tool_name, tool_calls",
            columns.format("messages_fts"),
            text + ", {0}.tool_name, {0}.tool_calls",
        )
        + _search_table(
            "messages_fts_trigram",
            "content, tool_name",
            columns.format("messages_fts_trigram") + ", tokenize='trigram'",
            "{0}.content, {0}.tool_name",
            when="{0}.role <> 'tool'",
        )
    )


def _search_table(name: str, columns: str, options: str, text: str, *, copied: bool = False, when: str = "1") -> str:
    put = f"INSERT INTO {name}(rowid, {columns}) VALUES (new.id, {text.format('new')});"
    take = f"INSERT INTO {name}({name}, rowid, {columns}) VALUES ('delete', old.id, {text.format('old')});"
    if copied:
        take = f"DELETE FROM {name} WHERE rowid = old.id;"
    trigger = f"CREATE TRIGGER {name}_{{}} AFTER {{}} ON messages WHEN {{}} BEGIN {{}} END;"
    update = trigger.format("update", "UPDATE OF content, tool_name, tool_calls, role", when.format("old"), take + put)
    return (
        f"CREATE VIRTUAL TABLE {name} USING fts5({', '.join(filter(None, (columns, options)))});"
        + trigger.format("insert", "INSERT", when.format("new"), put)
        + trigger.format("delete", "DELETE", when.format("old"), take)
        + (update if when == "1" else "")  # the newest files have none for trigrams
    )


@dataclass(frozen=True)
class Shape:
    """What a file is like."""

    version: int = 22
    journal: str = "wal"
    #: Whether the messages have their indexes.
    index: bool = True
    #: Whether ``active`` is NULL where it is not 0, as in files that were upgraded.
    null_active: bool = False
    #: Whether the sessions have a source.
    source: bool = True
    #: Whether there are columns that no release has, oddly named.
    extra: bool = False

    def __str__(self) -> str:
        marks = ("" if self.index else "-noindex") + ("-nullactive" if self.null_active else "")
        marks += ("" if self.source else "-nosource") + ("-extra" if self.extra else "")
        return f"v{self.version}-{self.journal}{marks}"


EXTRA: Final = ("fork's note", "two words", 'a "quoted" one')


def statements(shape: Shape) -> list[str]:
    """Return the statements that make the tables of a file, without anything in them."""
    made = [f"CREATE TABLE {table};" for table in _upto(TABLES, shape.version)]
    sessions = [column for column in _upto(SESSIONS, shape.version) if shape.source or not column.startswith("source ")]
    messages = _upto(MESSAGES, shape.version)
    if shape.null_active:
        messages = ["active INTEGER DEFAULT 1" if column.startswith("active ") else column for column in messages]
    if shape.extra:
        for columns in (sessions, messages):
            columns += [f"{quoted(name)} TEXT" for name in EXTRA]
    made += [f"CREATE TABLE sessions ({', '.join(sessions)});", f"CREATE TABLE messages ({', '.join(messages)});"]
    indexes = [
        index for index in _upto(SESSION_INDEXES, shape.version) if shape.source or "source" not in index.split("(")[1]
    ]
    indexes += _upto(MESSAGE_INDEXES, shape.version) if shape.index else []
    made += [f"CREATE {index};" for index in indexes]
    made.append(_search(shape.version))
    if shape.version >= 30:
        made.append(_ORDER_TRIGGERS)
    return made


def _upto(things: _Since, version: int) -> list[str]:
    return [thing for since, thing in things if since <= version]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def create(path: Path, shape: Shape, content: list[tuple[Row, list[Row]]]) -> None:
    """Make a file, with sessions and their messages in it, and close it in good order."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA synchronous = OFF")
        db.execute(f"PRAGMA journal_mode = {shape.journal}")
        db.execute("BEGIN")
        for statement in statements(shape):
            for part in _split(statement):
                db.execute(part)
        db.execute("INSERT INTO schema_version VALUES (?)", (shape.version,))
        for session, messages in content:
            add(db, shape, session, messages)
        db.execute("COMMIT")
    finally:
        db.close()


def _split(script: str) -> list[str]:
    """Split a script at the semicolons that end a statement."""
    parts, begun = [], ""
    for piece in script.split(";"):
        begun += piece + ";"
        if sqlite3.complete_statement(begun):
            if begun.strip("; \n"):
                parts.append(begun)
            begun = ""
    return parts


def add(db: sqlite3.Connection, shape: Shape, session: Row, messages: list[Row]) -> None:
    """Put a session into a file, as far as the file has columns for what is known of it."""
    row = {"started_at": 0.0, "system_prompt": "You are Hermes. " * 180, "message_count": len(messages), **session}
    if shape.version >= 25:
        prompt, row["system_prompt_hash"] = row.pop("system_prompt"), "0" * 64
        db.execute("INSERT OR IGNORE INTO system_prompts VALUES (?, ?)", ("0" * 64, prompt))
    if not row.pop("messages_only", False):
        insert(db, "sessions", row)
    for message in messages:
        made = {"session_id": row["id"], **message}
        if shape.null_active and shape.version >= 14:
            made = {"active": None, **made}
        insert(db, "messages", made)


def insert(db: sqlite3.Connection, table: str, row: Row) -> None:
    there = {name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")}
    kept = {name: value for name, value in row.items() if name in there}
    values = [value.value if isinstance(value, RawText) else value for value in kept.values()]
    marks = ["CAST(? AS TEXT)" if isinstance(value, RawText) else "?" for value in kept.values()]
    db.execute(f"INSERT INTO {table} ({', '.join(map(quoted, kept))}) VALUES ({', '.join(marks)})", values)


@dataclass(frozen=True)
class RawText:
    """Bytes to be stored as text, though they may be none."""

    value: bytes
