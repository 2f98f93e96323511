"""What is removed from transcripts or overwritten in them is kept.

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "message_cuts",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("session_id", ROW_ID, nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("cut_at", sa.Double(), nullable=False),
        sa.Column("since_revision", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("undo_revision", sa.BigInteger(), nullable=False),
        sa.Column("undone_revision", sa.BigInteger(), nullable=True),
        sa.Column("message_count", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("runs", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_message_cuts_session_id_sessions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_message_cuts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_message_cuts_session_id", "message_cuts", ["session_id", "id"])
    op.create_table(
        "kept_messages",
        sa.Column("cut_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("timestamp", sa.Double(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["cut_id"], ["message_cuts.id"], name="fk_kept_messages_cut_id_message_cuts", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("cut_id", "position", name="pk_kept_messages"),
    )


def downgrade() -> None:
    op.drop_table("kept_messages")
    op.drop_table("message_cuts")
