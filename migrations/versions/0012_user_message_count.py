"""How many messages of each session are the user's.

Revision ID: 0012
Revises: 0011
Create Date: 2026-11-29

Values that sessions have under this key stay where they are, in `session_extras`: their JSON is not written anew. What
the column counts is read in their place.
"""

import sqlalchemy as sa
from alembic import context, op

from hermes_store.storage.migration_operations import Progress, key_ranges

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sessions", sa.Column("user_message_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    if context.is_offline_mode():
        op.execute(FILL)
    else:
        fill()


def downgrade() -> None:
    op.drop_column("sessions", "user_message_count")


FILL = (
    "UPDATE sessions SET user_message_count = (SELECT count(*) FROM messages "
    "WHERE messages.session_id = sessions.id AND role = 'user') WHERE message_count > 0"
)
FILL_SOME = sa.text(f"{FILL} AND id > :after AND id <= :last")
SESSION_SIZES = "SELECT id, 1, 0 FROM sessions WHERE id > :after ORDER BY id LIMIT :limit"


def fill() -> None:
    connection = op.get_bind()
    total = connection.execute(sa.text("SELECT count(*) FROM sessions")).scalar_one()
    progress = Progress(revision, total, "sessions")
    for after, last, rows in key_ranges(SESSION_SIZES):
        connection.execute(FILL_SOME, {"after": after, "last": last})
        progress.add(rows)
