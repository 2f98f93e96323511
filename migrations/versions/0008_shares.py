"""Shares of conversations.

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PUBLIC_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("token", PUBLIC_ID, nullable=False),
        sa.Column("session_id", ROW_ID, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("revoked_at", sa.Double(), nullable=True),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_shares_session_id_sessions"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        sa.UniqueConstraint("token", name=op.f("uq_shares_token")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_shares_list", "shares", ["created_at", "token"])
    op.create_index("ix_shares_session_id", "shares", ["session_id", "created_at", "token"])
    op.create_table(
        "share_payloads",
        sa.Column("share_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["share_id"], ["shares.id"], name=op.f("fk_share_payloads_share_id_shares"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("share_id", name=op.f("pk_share_payloads")),
    )


def downgrade() -> None:
    # What the import log has of files that are not in the database any more would keep them from being imported again.
    op.execute("DELETE FROM import_items WHERE kind = 'webui-share'")
    op.drop_table("share_payloads")
    op.drop_table("shares")
