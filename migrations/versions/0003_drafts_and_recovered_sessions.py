"""Sessions with a draft are not blank, and recovered ones are marked.

Revision ID: 0003
Revises: 0002
Create Date: 2026-11-28
"""

import json
import logging
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from hermes_store.storage.migration_operations import Progress, key_ranges

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

logger = logging.getLogger("hermes_store")

BEGUN = "message_count > 0 OR title != 'Untitled' OR active_stream_id IS NOT NULL"
EMPTY = "deleted_at IS NULL AND message_count = 0"
BLANK = f"{EMPTY} AND title = 'Untitled' AND active_stream_id IS NULL"
#: The conditions of the indexes, before and after.
BEFORE = {"list": f"deleted_at IS NULL AND ({BEGUN})", "blank": BLANK, "empty": EMPTY}
AFTER = {
    "list": f"deleted_at IS NULL AND ({BEGUN} OR has_draft = true)",
    "blank": f"{BLANK} AND has_draft = false",
    "empty": f"{EMPTY} AND has_draft = false",
}
ORDER = ["archived", "pinned", "updated_at", "id"]
INDEXES = {
    f"ix_sessions_{kind}{suffix}": (kind, [*columns, *ORDER])
    for kind in ("list", "blank")
    for suffix, columns in {
        "": [],
        "_profile": ["profile"],
        "_project": ["profile", "project_id"],
        "_source": ["profile", "source"],
    }.items()
} | {"ix_sessions_empty": ("empty", ["profile", "updated_at"])}


def upgrade() -> None:
    drop_indexes()
    op.add_column("sessions", sa.Column("has_draft", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("sessions", sa.Column("recovered", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(MARK_RECOVERED[op.get_context().dialect.name])
    if not context.is_offline_mode():  # else they are found when their drafts are next written
        mark_drafts()
    create_indexes(AFTER)


def downgrade() -> None:
    drop_indexes()
    op.drop_column("sessions", "recovered")
    op.drop_column("sessions", "has_draft")
    create_indexes(BEFORE)


def drop_indexes() -> None:
    for name in INDEXES:
        op.drop_index(name, "sessions")


def create_indexes(conditions: dict[str, str]) -> None:
    for name, (kind, columns) in INDEXES.items():
        where = sa.text(conditions[kind])
        op.create_index(name, "sessions", columns, sqlite_where=where, postgresql_where=where)


#: The import log says how each session came into the store, as JSON that this library wrote.
MARK_RECOVERED = {
    dialect: "UPDATE sessions SET recovered = true WHERE id IN (SELECT session_id FROM import_items "  # noqa: S608
    f"WHERE kind = 'webui-session' AND {notes} LIKE '%\"outcome\":\"recovered\"%')"
    for dialect, notes in {"sqlite": "CAST(notes AS TEXT)", "postgresql": "convert_from(notes, 'UTF8')"}.items()
}


# ── Drafts: what counts as one, as the library had it at this revision ──

KEYS = (
    *("composer_draft", "pending_user_message", "pending_attachments", "attachments", "goal"),
    *("tool_calls", "context_messages", "anchor_activity_scenes", "share_token", "worktree_path"),
)
EXTRAS_SIZES = (
    "SELECT session_id, 1, length(payload) FROM session_extras "
    "WHERE session_id > :after ORDER BY session_id LIMIT :limit"
)
EXTRAS = sa.text("SELECT session_id, payload FROM session_extras WHERE session_id > :after AND session_id <= :last")
MARK = sa.text("UPDATE sessions SET has_draft = true WHERE id = :session")
#: Documents with rows of their own are large, so there is something in them.
MARK_LARGE = sa.text(
    "UPDATE sessions SET has_draft = true WHERE id IN (SELECT session_id FROM session_documents WHERE key IN :keys)"
).bindparams(sa.bindparam("keys", KEYS, expanding=True))


def mark_drafts() -> None:
    connection = op.get_bind()
    connection.execute(MARK_LARGE)
    progress = Progress(
        revision, connection.execute(sa.text("SELECT count(*) FROM session_extras")).scalar_one(), "sessions"
    )
    for after, last, rows in key_ranges(EXTRAS_SIZES):
        found = [
            {"session": session}
            for session, payload in connection.execute(EXTRAS, {"after": after, "last": last})
            if has_draft(session, payload)
        ]
        if found:
            connection.execute(MARK, found)
        progress.add(rows)


def has_draft(session: int, payload: Any) -> bool:
    if not any(key.encode() in bytes(payload) for key in KEYS):
        return False
    try:
        values = json.loads(payload)
    except (ValueError, RecursionError):
        logger.warning("The small documents of the session with row id %d are damaged: taken as a draft.", session)
        return True
    return any(is_content(values.get(key)) for key in KEYS)


def is_content(value: Any) -> bool:
    parts = value.values() if isinstance(value, dict) else [value]
    return any(part.strip() if isinstance(part, str) else isinstance(part, dict | list) and part for part in parts)
