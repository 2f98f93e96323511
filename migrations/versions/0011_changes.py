"""The order in which sessions and projects were changed.

Revision ID: 0011
Revises: 0010
Create Date: 2026-11-28

What is there already has the number 0, which is before all changes: no row is written.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBERED = ("projects", "sessions")
FILL = "INSERT INTO change_state (id, cursor_key) VALUES (1, {key})"
RANDOM = {
    "sqlite": "randomblob(16)",
    "postgresql": "decode(md5(random()::text || clock_timestamp()::text), 'hex')",
}


def upgrade() -> None:
    for table in NUMBERED:
        op.add_column(table, sa.Column("change_number", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
        op.create_index(f"ix_{table}_change_number", table, ["change_number", "id"])
    op.create_table(
        "gone_ids",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("public_id", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("change_number", sa.BigInteger(), nullable=False),
        sa.Column("gone_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_gone_ids"),
        sa.UniqueConstraint("kind", "public_id", "profile", name="uq_gone_ids_kind_public_id_profile"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_gone_ids_change_number", "gone_ids", ["change_number", "id"])
    op.create_index("ix_gone_ids_gone_at", "gone_ids", ["gone_at"])
    op.create_table(
        "change_state",
        sa.Column("id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("cursor_key", sa.LargeBinary(), nullable=False),
        sa.Column("place", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("base", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change_state"),
    )
    op.execute(FILL.format(key=RANDOM[op.get_context().dialect.name]))


def downgrade() -> None:
    op.drop_table("change_state")
    op.drop_table("gone_ids")
    for table in reversed(NUMBERED):
        op.drop_index(f"ix_{table}_change_number", table)
        op.drop_column(table, "change_number")
