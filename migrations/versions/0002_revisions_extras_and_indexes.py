"""Revisions of transcripts and fields, small documents folded into one row, indexes for every filter.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-27
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
VISIBLE = "deleted_at IS NULL AND (message_count > 0 OR title != 'Untitled' OR active_stream_id IS NOT NULL)"
BLANK = "deleted_at IS NULL AND message_count = 0 AND title = 'Untitled' AND active_stream_id IS NULL"
EMPTY = "deleted_at IS NULL AND message_count = 0"
DELETED = "deleted_at IS NOT NULL"
IN_PROJECT = "project_id IS NOT NULL"
ORDER = ["archived", "pinned", "updated_at", "id"]
NEW_INDEXES = {
    "ix_sessions_list_source": (["profile", "source", *ORDER], VISIBLE),
    "ix_sessions_blank_profile": (["profile", *ORDER], BLANK),
    "ix_sessions_blank_project": (["profile", "project_id", *ORDER], BLANK),
    "ix_sessions_blank_source": (["profile", "source", *ORDER], BLANK),
    "ix_sessions_empty": (["profile", "updated_at"], EMPTY),
    "ix_sessions_deleted_profile": (["profile", "deleted_at", "id"], DELETED),
    "ix_sessions_project_id": (["project_id", "id", "deleted_at"], IN_PROJECT),
}


def partial_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "sessions", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    one = sa.text("1")
    op.add_column("sessions", sa.Column("transcript_revision", sa.BigInteger(), server_default=one, nullable=False))
    op.add_column("sessions", sa.Column("fields_revision", sa.BigInteger(), server_default=one, nullable=False))
    op.add_column("messages", sa.Column("revision", sa.BigInteger(), server_default=one, nullable=False))
    op.execute("UPDATE sessions SET transcript_revision = revision, fields_revision = revision")
    op.create_table(
        "session_extras",
        sa.Column("session_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_session_extras_session_id_sessions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_extras"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE sessions ALTER session_id TYPE text COLLATE "C"')
    op.drop_index("ix_sessions_list_source", "sessions")
    op.drop_index("ix_sessions_project_id", "sessions")
    for name, (columns, where) in NEW_INDEXES.items():
        partial_index(name, columns, where)


def downgrade() -> None:
    for name in NEW_INDEXES:
        op.drop_index(name, "sessions")
    partial_index("ix_sessions_list_source", ["source", *ORDER], f"{VISIBLE} AND source IS NOT NULL")
    partial_index("ix_sessions_project_id", ["project_id"], IN_PROJECT)
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE sessions ALTER session_id TYPE text COLLATE "default"')
    op.drop_table("session_extras")
    op.drop_column("messages", "revision")
    op.drop_column("sessions", "fields_revision")
    op.drop_column("sessions", "transcript_revision")
