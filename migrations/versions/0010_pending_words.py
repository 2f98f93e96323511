"""Messages and titles that are put into the index of words later, many at once.

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-28

A search reads those that are not in the index yet. PostgreSQL's index has such a list itself, so the columns are null
there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEXT_MESSAGE = "coalesce((SELECT max(id) + 1 FROM messages), 1)"
NEXT_SESSION = "coalesce((SELECT max(id) + 1 FROM sessions), 1)"
BEGIN = f"UPDATE search_state SET pending_from = {NEXT_MESSAGE}, pending_titles_from = {NEXT_SESSION}"  # noqa: S608
FILL_ALL = (
    f"UPDATE search_state SET indexed_from = {NEXT_MESSAGE}, titles_from = {NEXT_SESSION} "  # noqa: S608
    "WHERE indexed_from IS NOT NULL"
)
#: SQL cannot make words, so the index is emptied, and the library fills it.
EMPTY = (
    "INSERT INTO message_search (message_search) VALUES ('delete-all')",
    "DELETE FROM title_search",
    FILL_ALL,
)


def upgrade() -> None:
    op.add_column("search_state", sa.Column("pending_from", sa.BigInteger(), nullable=True))
    op.add_column("search_state", sa.Column("pending_titles_from", sa.BigInteger(), nullable=True))
    if op.get_context().dialect.name == "sqlite":
        op.execute(BEGIN)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        for statement in EMPTY:
            op.execute(statement)
    op.drop_column("search_state", "pending_titles_from")
    op.drop_column("search_state", "pending_from")
