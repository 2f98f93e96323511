"""The tables of the index of words; see `schema`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import DDL, BigInteger, Column, LargeBinary, Table, event

from .schema_base import metadata
from .types import RowId

#: How far the index of words is; one row.
#:
#: The index itself is `message_search` and `title_search`, whose form differs between databases: see `SEARCH_TABLES`.
search_state_table: Final = Table(
    "search_state",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=False),
    # Messages whose row id is this or more are in the index. Null where there is none.
    Column("indexed_from", BigInteger()),
    # The titles of sessions whose row id is this or more are in the index.
    Column("titles_from", BigInteger()),
    # Cursors of a search, which have row ids in them, are encrypted with it.
    Column("cursor_key", LargeBinary(), nullable=False),
    # Messages, and titles of sessions, whose row id is this or more are not in it yet, and a search reads them. Null
    # where there are none.
    Column("pending_from", BigInteger()),
    Column("pending_titles_from", BigInteger()),
)


#: The tables of the index. On SQLite they have further tables, which FTS5 makes. None of them is for Alembic to
#: compare. The text of messages is not in them; that of titles is.
SEARCH_TABLES: Final = {
    "sqlite": (
        "CREATE VIRTUAL TABLE message_search USING fts5(words, wholes, content='', columnsize=0, tokenize='ascii')",
        "CREATE VIRTUAL TABLE title_search USING fts5(words, wholes, columnsize=0, tokenize='ascii')",
    ),
    "postgresql": (
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
    ),
}
#: The names of all tables of the index: these two, and those that FTS5 makes for each.
SEARCH_NAMES: Final = frozenset(
    f"{table}{suffix}"
    for table in ("message_search", "title_search")
    for suffix in ("", "_data", "_idx", "_content", "_docsize", "_config")
)
for _dialect, _statements in SEARCH_TABLES.items():
    for _statement in _statements:
        event.listen(metadata, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]
