"""Sessions, messages and projects: the first schema.

Revision ID: 0001
Revises:
Create Date: 2026-11-23
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ZERO = sa.text("0")

VISIBLE = "deleted_at IS NULL AND (message_count > 0 OR title != 'Untitled' OR active_stream_id IS NOT NULL)"
BLANK = "deleted_at IS NULL AND message_count = 0 AND title = 'Untitled' AND active_stream_id IS NULL"


def partial_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "sessions", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), server_default="default", nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("color", sa.Text(), nullable=True),
        sa.Column("position", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("extra", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("length(name) <= 640", name=op.f("ck_projects_name_length")),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("project_id", name="uq_projects_project_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_projects_list", "projects", ["profile", "position", "id"])

    op.create_table(
        "sessions",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), server_default="default", nullable=False),
        sa.Column("project_id", ROW_ID, nullable=True),
        sa.Column("title", sa.Text(), server_default="Untitled", nullable=False),
        sa.Column("workspace", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("personality", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("last_message_at", sa.Double(), nullable=True),
        sa.Column("message_count", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("archived", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), server_default=ZERO, nullable=False),
        sa.Column("estimated_cost", sa.Double(), nullable=True),
        sa.Column("compression_anchor_visible_idx", sa.BigInteger(), nullable=True),
        sa.Column("compression_anchor_message_key", sa.LargeBinary(), nullable=True),
        sa.Column("active_stream_id", sa.Text(), nullable=True),
        sa.Column("pending_started_at", sa.Double(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("parent_id", ROW_ID, nullable=True),
        sa.Column("forked_at", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.CheckConstraint("length(title) <= 2500", name=op.f("ck_sessions_title_length")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["sessions.id"], name="fk_sessions_parent_id_sessions", ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name="fk_sessions_project_id_projects", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("session_id", name="uq_sessions_session_id"),
        sqlite_autoincrement=True,
    )
    order = ["archived", "pinned", "updated_at", "id"]
    partial_index("ix_sessions_list", order, VISIBLE)
    partial_index("ix_sessions_list_profile", ["profile", *order], VISIBLE)
    partial_index("ix_sessions_list_project", ["profile", "project_id", *order], VISIBLE)
    partial_index("ix_sessions_list_source", ["source", *order], f"{VISIBLE} AND source IS NOT NULL")
    partial_index("ix_sessions_blank", order, BLANK)
    partial_index("ix_sessions_deleted", ["deleted_at", "id"], "deleted_at IS NOT NULL")
    partial_index("ix_sessions_project_id", ["project_id"], "project_id IS NOT NULL")
    partial_index("ix_sessions_parent_id", ["parent_id"], "parent_id IS NOT NULL")

    op.create_table(
        "messages",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("session_id", ROW_ID, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("timestamp", sa.Double(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_messages_session_id_sessions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
        sa.UniqueConstraint("session_id", "position", name="uq_messages_session_id_position"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "message_blobs",
        sa.Column("message_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name="fk_message_blobs_message_id_messages", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("message_id", name="pk_message_blobs"),
    )
    op.create_table(
        "session_documents",
        sa.Column("session_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["sessions.id"],
            name="fk_session_documents_session_id_sessions",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("session_id", "key", name="pk_session_documents"),
    )
    op.create_table(
        "retired_ids",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("successor_id", ROW_ID, nullable=True),
        sa.Column("retired_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["successor_id"],
            ["sessions.id"],
            name="fk_retired_ids_successor_id_sessions",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_retired_ids"),
    )
    op.create_index("ix_retired_ids_successor_id", "retired_ids", ["successor_id"])
    op.create_table(
        "import_items",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("item", sa.Text(), nullable=False),
        sa.Column("session_id", ROW_ID, nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("imported_at", sa.Double(), nullable=False),
        sa.Column("notes", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_import_items_session_id_sessions", ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_import_items"),
        sa.UniqueConstraint("kind", "origin", "item", name="uq_import_items_kind_origin_item"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_items_session_id", "import_items", ["session_id"])


def downgrade() -> None:
    for table in (
        "import_items",
        "retired_ids",
        "session_documents",
        "message_blobs",
        "messages",
        "sessions",
        "projects",
    ):
        op.drop_table(table)
