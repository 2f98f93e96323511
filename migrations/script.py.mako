"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}

Rules for every migration:

- Its id, NUMBER, is the next one, with four digits: `alembic revision --rev-id NUMBER -m "what it does"`. SQLite files keep that number
  in `user_version`.
- It belongs to one revision and does not change with the library. Use literal SQL and plain SQLAlchemy types, and copy the
  rules that it needs. Of the library, import `hermes_store.storage.migration_operations` only, never `schema` or `types`.
- Adding a column that is null or has a constant default is quick. What SQLite cannot do with ALTER TABLE needs the whole
  table to be written again: use `rebuild_table`, never `op.batch_alter_table`, which drops AUTOINCREMENT and the largest id
  that was used, so that ids of removed rows would be used again. Name every constraint.
- Change rows in ranges of a key (`key_ranges`), so that memory stays bounded, and log how far it is (`Progress`).
- Do not parse and write JSON payloads anew: their bytes may not stay the same.
- A damaged value stays where it is, and is logged; it does not end the upgrade.
- All migrations of an upgrade are one transaction: never commit.
- A partial index has the same text as `sqlite_where` and as `postgresql_where`.
- A downgrade keeps everything that the revision before can hold.
- Set `HEAD` in `hermes_store/storage/migrations.py`, add a column of the new schema to `_LATER` in
  `hermes_store/storage/schema_version.py`, and write in CHANGELOG.md what the change means for users.
"""

import sqlalchemy as sa
from alembic import op

from hermes_store.storage.migration_operations import Progress, key_ranges, rebuild_table
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
