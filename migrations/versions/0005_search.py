"""An index of the words of messages and titles.

Revision ID: 0005
Revises: 0004
Create Date: 2026-11-28

The tables are made empty. What is in the database already is put into the index by the library, in short transactions
after the upgrade, so that a process that is killed meanwhile loses little, and others can work: `indexed_from` and
`titles_from` say how far it is.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = {
    "sqlite": [
        "CREATE VIRTUAL TABLE message_search USING fts5(words, wholes, content='', columnsize=0, tokenize='ascii')",
        "CREATE VIRTUAL TABLE title_search USING fts5(words, wholes, columnsize=0, tokenize='ascii')",
    ],
    "postgresql": [
        """CREATE TABLE message_search (
            message_id BIGINT NOT NULL,
            document TSVECTOR NOT NULL,
            CONSTRAINT pk_message_search PRIMARY KEY (message_id),
            CONSTRAINT fk_message_search_message_id_messages FOREIGN KEY (message_id)
                REFERENCES messages (id) ON DELETE CASCADE
        )""",
        "CREATE INDEX ix_message_search_document ON message_search USING gin (document)",
        """CREATE TABLE title_search (
            session_id BIGINT NOT NULL,
            document TSVECTOR NOT NULL,
            CONSTRAINT pk_title_search PRIMARY KEY (session_id),
            CONSTRAINT fk_title_search_session_id_sessions FOREIGN KEY (session_id)
                REFERENCES sessions (id) ON DELETE CASCADE
        )""",
        "CREATE INDEX ix_title_search_document ON title_search USING gin (document)",
    ],
}
#: Nothing is in the index yet: it begins after the last row.
FILL = (
    "INSERT INTO search_state (id, indexed_from, titles_from, cursor_key) "
    "SELECT 1, coalesce((SELECT max(id) + 1 FROM messages), 0), coalesce((SELECT max(id) + 1 FROM sessions), 0), {key}"
)
RANDOM = {
    "sqlite": "randomblob(16)",
    "postgresql": "decode(md5(random()::text || clock_timestamp()::text), 'hex')",
}


def upgrade() -> None:
    op.create_table(
        "search_state",
        sa.Column("id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("indexed_from", sa.BigInteger(), nullable=True),
        sa.Column("titles_from", sa.BigInteger(), nullable=True),
        sa.Column("cursor_key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_search_state"),
    )
    dialect = op.get_context().dialect.name
    for statement in TABLES[dialect]:
        op.execute(statement)
    op.execute(FILL.format(key=RANDOM[dialect]))


def downgrade() -> None:
    for table in ("title_search", "message_search", "search_state"):
        op.execute(f"DROP TABLE {table}")
