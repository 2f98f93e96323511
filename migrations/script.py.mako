"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}

Rules for every migration:
- Expand, then fill, then contract: the release before this one must go on working on the new schema.
- SQLite changes a table by rebuilding it: use `op.batch_alter_table`, and name every constraint.
- Fill in batches by key, with bounded memory, and so that running it twice does no harm.
- Use plain SQLAlchemy types and literal SQL here, never `hermes_store.tables`, which moves on.
- Partial indexes need both `sqlite_where` and `postgresql_where`.
- Set `HEAD` in `hermes_store/migrate.py`, and say in CHANGELOG.md what it means for users.
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
