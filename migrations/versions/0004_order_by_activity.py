"""The time of a session's last activity, and lists in its order.

Revision ID: 0004
Revises: 0003
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import context, op

from hermes_store.storage.migration_operations import Progress, key_ranges

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BEGUN = "message_count > 0 OR title != 'Untitled' OR active_stream_id IS NOT NULL OR has_draft = true"
VISIBLE = f"deleted_at IS NULL AND ({BEGUN})"
UPDATED = ["archived", "pinned", "updated_at", "id"]
ACTIVITY = ["archived", "pinned", "activity_at", "id"]
#: Indexes as the revision before has them.
BEFORE = {
    "ix_sessions_list_profile": (["profile", *UPDATED], VISIBLE),
    "ix_sessions_list_project": (["profile", "project_id", *UPDATED], VISIBLE),
    "ix_sessions_list_source": (["profile", "source", *UPDATED], VISIBLE),
}
PARTS = {
    "_profile": (["profile"], "project_id IS NULL AND source IS NULL"),
    "_profile_in_project": (["profile"], "project_id IS NOT NULL AND source IS NULL"),
    "_profile_with_source": (["profile"], "project_id IS NULL AND source IS NOT NULL"),
    "_profile_in_project_with_source": (["profile"], "project_id IS NOT NULL AND source IS NOT NULL"),
    "_project": (["profile", "project_id"], "project_id IS NOT NULL"),
    "_source": (["profile", "source"], "source IS NOT NULL"),
}
#: The index of the list of all profiles by `updated_at` stays as it is.
AFTER = {
    "ix_sessions_activity": (ACTIVITY, VISIBLE),
    **{
        f"ix_sessions_{name}{part}": ([*columns, *order], f"{VISIBLE} AND {where}")
        for name, order in {"list": UPDATED, "activity": ACTIVITY}.items()
        for part, (columns, where) in PARTS.items()
    },
}


def upgrade() -> None:
    drop_indexes(BEFORE)
    op.add_column("sessions", sa.Column("last_activity_at", sa.Double(), nullable=True))
    op.add_column("sessions", sa.Column("activity_at", sa.Double(), server_default=sa.text("0"), nullable=False))
    if context.is_offline_mode():
        op.execute(FILL)
        op.execute(FILL_ORDER)
    else:
        fill()
    create_indexes(AFTER)


def downgrade() -> None:
    drop_indexes(AFTER)
    op.drop_column("sessions", "activity_at")
    op.drop_column("sessions", "last_activity_at")
    create_indexes(BEFORE)


def drop_indexes(indexes: dict[str, tuple[list[str], str]]) -> None:
    for name in indexes:
        op.drop_index(name, "sessions")


def create_indexes(indexes: dict[str, tuple[list[str], str]]) -> None:
    for name, (columns, condition) in indexes.items():
        where = sa.text(condition)
        op.create_index(name, "sessions", columns, sqlite_where=where, postgresql_where=where)


#: The messages are read by their index, from the last one on. A timestamp that is no plausible time is damaged.
FILL = (
    "UPDATE sessions SET last_activity_at = (SELECT timestamp FROM messages WHERE messages.session_id = sessions.id "
    "AND timestamp > 0 AND timestamp <= 4102444800 AND (role IS NULL OR role != 'tool') "
    "ORDER BY position DESC LIMIT 1) WHERE last_message_at IS NOT NULL"
)
FILL_SOME = sa.text(f"{FILL} AND id > :after AND id <= :last")
FILL_ORDER = "UPDATE sessions SET activity_at = coalesce(last_activity_at, updated_at)"
FILL_SOME_ORDER = sa.text(f"{FILL_ORDER} WHERE id > :after AND id <= :last")
SESSION_SIZES = "SELECT id, 1, 0 FROM sessions WHERE id > :after ORDER BY id LIMIT :limit"


def fill() -> None:
    connection = op.get_bind()
    total = connection.execute(sa.text("SELECT count(*) FROM sessions")).scalar_one()
    progress = Progress(revision, total, "sessions")
    for after, last, rows in key_ranges(SESSION_SIZES):
        for statement in (FILL_SOME, FILL_SOME_ORDER):
            connection.execute(statement, {"after": after, "last": last})
        progress.add(rows)
