"""Why sessions have a parent.

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-28
"""

import json
import logging
from typing import Any

import sqlalchemy as sa
from alembic import context, op

from hermes_store.storage.migration_operations import Progress, key_ranges

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

logger = logging.getLogger("hermes_store")


def upgrade() -> None:
    op.add_column("sessions", sa.Column("parent_kind", sa.Text(), nullable=True))
    if context.is_offline_mode():  # the small documents of the sessions, which say more, cannot be read
        op.execute("UPDATE sessions SET parent_kind = 'fork' WHERE parent_id IS NOT NULL")
    else:
        fill()


def downgrade() -> None:
    op.drop_column("sessions", "parent_kind")


#: Each session with a parent, with the sizes of the rows that say why.
SIZES = (
    "SELECT s.id, 1, coalesce(length(own.payload), 0) + coalesce(length(parent.payload), 0) FROM sessions AS s "
    "LEFT JOIN session_extras AS own ON own.session_id = s.id "
    "LEFT JOIN session_extras AS parent ON parent.session_id = s.parent_id "
    "WHERE s.parent_id IS NOT NULL AND s.id > :after ORDER BY s.id LIMIT :limit"
)
IS_IMPORTED = "EXISTS (SELECT 1 FROM import_items AS i WHERE i.session_id = s.id AND i.kind = '{}')"
LINKS = sa.text(
    f"SELECT s.id, s.source, s.forked_at, {IS_IMPORTED.format('webui-session')}, own.payload, parent.payload "  # noqa: S608
    "FROM sessions AS s "
    "LEFT JOIN session_extras AS own ON own.session_id = s.id "
    "LEFT JOIN session_extras AS parent ON parent.session_id = s.parent_id "
    "WHERE s.parent_id IS NOT NULL AND s.id > :after AND s.id <= :last"
)
SET_KIND = sa.text("UPDATE sessions SET parent_kind = :kind WHERE id = :session")


def fill() -> None:
    connection = op.get_bind()
    total = connection.execute(sa.text("SELECT count(*) FROM sessions WHERE parent_id IS NOT NULL")).scalar_one()
    progress = Progress(revision, total, "links")
    for after, last, rows in key_ranges(SIZES):
        found = [
            {"session": session, "kind": kind_of(source, forked_at, is_file, values_of(own), values_of(parent))}
            for session, source, forked_at, is_file, own, parent in connection.execute(
                LINKS, {"after": after, "last": last}
            )
        ]
        connection.execute(SET_KIND, found)
        progress.add(rows)


def kind_of(source: Any, forked_at: Any, is_file: Any, values: dict[str, Any], parent: dict[str, Any]) -> str:
    if values.get("session_source") == "fork":
        return "fork"
    if "subagent" in (source, values.get("source_tag"), values.get("raw_source"), values.get("session_source")):
        return "subagent"
    if parent.get("pre_compression_snapshot") is True:
        return "compression"
    # A file that names a parent does not say why. All other links are of the store's own verbs, or of the agent, whose
    # compressed sessions are one here.
    return "import" if is_file and forked_at is None else "fork"


def values_of(payload: Any) -> dict[str, Any]:
    try:
        values = json.loads(payload or b"{}")
    except (ValueError, RecursionError):
        logger.warning("Small documents of a session are damaged; they do not tell why it has a parent.")
        return {}
    return values if isinstance(values, dict) else {}
