"""Usage of models by sessions, with the totals that sessions have already.

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-28
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ZERO = sa.text("0")
TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
#: The most that one row counts, in tokens and in billionths of a cost, so that sums fit an integer.
MOST = 10**15
#: The year 2100.
LATEST = 4102444800


def limited(column: str, kind: str, most: int) -> str:
    """Return a column's value within limits; 0 for one that is no number, which another program wrote."""
    value = f"CAST({column} AS {kind})"
    return f"CASE WHEN {value} > {most} THEN {most} WHEN {value} < -{most} THEN -{most} ELSE {value} END"


INPUT = limited("input_tokens", "BIGINT", MOST)
OUTPUT = limited("output_tokens", "BIGINT", MOST)
COST = limited("estimated_cost", "DOUBLE PRECISION", MOST // 10**9)
USED = f"({INPUT} <> 0 OR {OUTPUT} <> 0 OR {COST} <> 0) AND session_id NOT LIKE ' staged/%'"
#: In the JSON of its small documents. The colon is escaped for SQLAlchemy.
SNAPSHOT = r'"pre_compression_snapshot"\:true'
IS_SNAPSHOT = {
    "sqlite": f"instr(e.payload, CAST('{SNAPSHOT}' AS BLOB)) > 0",
    "postgresql": f"position(convert_to('{SNAPSHOT}', 'UTF8') IN e.payload) > 0",
}
#: What sessions used so far, at the time of their last activity. Nobody knows how it was spread over time. No row is in
#: memory, and sessions are few and short next to messages, so this is one statement.
#: What a session was when it was compressed is not counted: the session that goes on from it has the same totals.
FILL = f"""
INSERT INTO usage (session_id, profile, model, kind, at, input_tokens, output_tokens, cost)
SELECT id, coalesce(profile, 'default'), model,
    CASE WHEN EXISTS (SELECT 1 FROM session_extras AS e WHERE e.session_id = sessions.id AND {{is_snapshot}})
        THEN 'copy' ELSE 'total' END,
    CASE WHEN activity_at BETWEEN 0 AND {LATEST} THEN activity_at ELSE 0 END,
    {INPUT}, {OUTPUT}, CAST(round({COST} * 1000000000) AS BIGINT)
FROM sessions WHERE {USED} ORDER BY id
"""  # noqa: S608 - constants


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("session_id", ROW_ID, nullable=True),
        sa.Column("profile", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("provider", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=ZERO, nullable=False) for name in TOKENS),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name=op.f("fk_usage_session_id_sessions"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_usage")),
        sqlite_autoincrement=True,
    )
    if context.is_offline_mode() or is_any_used():
        op.execute(FILL.format(is_snapshot=IS_SNAPSHOT[op.get_context().dialect.name]))
    op.create_index("ix_usage_at", "usage", ["at"])
    op.create_index("ix_usage_profile", "usage", ["profile", "at"])
    op.create_index("ix_usage_session_id", "usage", ["session_id", "at", "id"])


def is_any_used() -> bool:
    """Whether there is anything to fill: SQLite counts the row ids of a table from the first INSERT on."""
    return op.get_bind().execute(sa.text(f"SELECT 1 FROM sessions WHERE {USED} LIMIT 1")).first() is not None  # noqa: S608


def downgrade() -> None:
    op.drop_table("usage")
