"""Revisions of transcripts and fields, small documents folded into one row, indexes for every filter.

Revision ID: 0002
Revises: 0001
Create Date: 2026-11-27
"""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from alembic.util import CommandError

from hermes_store.storage.migration_operations import Progress, key_ranges

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

logger = logging.getLogger("hermes_store")

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
VISIBLE = "deleted_at IS NULL AND (message_count > 0 OR title != 'Untitled' OR active_stream_id IS NOT NULL)"
BLANK = "deleted_at IS NULL AND message_count = 0 AND title = 'Untitled' AND active_stream_id IS NULL"
EMPTY = "deleted_at IS NULL AND message_count = 0"
DELETED = "deleted_at IS NOT NULL"
IN_PROJECT = "project_id IS NOT NULL"
ORDER = ["archived", "pinned", "updated_at", "id"]
NEW_INDEXES = {
    "ix_sessions_list_source": (["profile", "source", *ORDER], VISIBLE),
    "ix_sessions_blank_profile": (["profile", *ORDER], BLANK),
    "ix_sessions_blank_project": (["profile", "project_id", *ORDER], BLANK),
    "ix_sessions_blank_source": (["profile", "source", *ORDER], BLANK),
    "ix_sessions_empty": (["profile", "updated_at"], EMPTY),
    "ix_sessions_deleted_profile": (["profile", "deleted_at", "id"], DELETED),
    "ix_sessions_project_id": (["project_id", "id", "deleted_at"], IN_PROJECT),
}


def partial_index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "sessions", columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def upgrade() -> None:
    one = sa.text("1")
    op.add_column("sessions", sa.Column("transcript_revision", sa.BigInteger(), server_default=one, nullable=False))
    op.add_column("sessions", sa.Column("fields_revision", sa.BigInteger(), server_default=one, nullable=False))
    op.add_column("messages", sa.Column("revision", sa.BigInteger(), server_default=one, nullable=False))
    op.create_table(
        "session_extras",
        sa.Column("session_id", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.id"], name="fk_session_extras_session_id_sessions", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", name="pk_session_extras"),
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE sessions ALTER session_id TYPE text COLLATE "C"')
    op.drop_index("ix_sessions_list_source", "sessions")
    op.drop_index("ix_sessions_project_id", "sessions")
    if context.is_offline_mode():
        # Small documents stay rows of their own: they are read there, too, and are moved when they are next written.
        op.execute("UPDATE sessions SET transcript_revision = revision, fields_revision = revision")
    else:
        set_revisions()
        fold_small_documents()
    for name, (columns, where) in NEW_INDEXES.items():
        partial_index(name, columns, where)


def downgrade() -> None:
    if context.is_offline_mode():
        raise CommandError("The documents in session_extras have to be moved: run this without --sql.")
    for name in NEW_INDEXES:
        op.drop_index(name, "sessions")
    unfold_small_documents()
    op.drop_table("session_extras")
    op.drop_column("messages", "revision")
    op.drop_column("sessions", "fields_revision")
    op.drop_column("sessions", "transcript_revision")
    partial_index("ix_sessions_list_source", ["source", *ORDER], f"{VISIBLE} AND source IS NOT NULL")
    partial_index("ix_sessions_project_id", ["project_id"], IN_PROJECT)
    if op.get_context().dialect.name == "postgresql":
        op.execute('ALTER TABLE sessions ALTER session_id TYPE text COLLATE "default"')


# ── Revisions ──

SESSION_SIZES = "SELECT id, 1, 0 FROM sessions WHERE id > :after ORDER BY id LIMIT :limit"
SET_REVISIONS = sa.text(
    "UPDATE sessions SET transcript_revision = revision, fields_revision = revision WHERE id > :after AND id <= :last"
)


def set_revisions() -> None:
    connection = op.get_bind()
    total = connection.execute(sa.text("SELECT count(*) FROM sessions")).scalar_one()
    progress = Progress(revision, total, "sessions")
    for after, last, rows in key_ranges(SESSION_SIZES):
        connection.execute(SET_REVISIONS, {"after": after, "last": last})
        progress.add(rows)


# ── Small documents ──
#
# Which documents are small, how a key is stored and how it is written in JSON: as the library had it at this revision.
# Payloads are JSON text already, and are joined as they are: parsing and writing them again could change them.

SMALL = 2048
LINKS = frozenset({"project_id", "parent_session_id"})
#: The keys of values that have columns; their documents are looked for by key, and stay rows of their own.
COLUMNS = LINKS | {
    "title",
    "workspace",
    "model",
    "personality",
    "profile",
    "created_at",
    "updated_at",
    "pinned",
    "archived",
    "input_tokens",
    "output_tokens",
    "estimated_cost",
    "compression_anchor_visible_idx",
    "compression_anchor_message_key",
    "active_stream_id",
    "pending_started_at",
    "forked_at",
}

COUNT_SMALL = sa.text(f"SELECT count(*) FROM session_documents WHERE length(payload) <= {SMALL}")  # noqa: S608
SMALL_SIZES = (
    "SELECT session_id, count(*), sum(length(payload)) FROM session_documents "  # noqa: S608
    f"WHERE session_id > :after AND length(payload) <= {SMALL} GROUP BY session_id ORDER BY session_id LIMIT :limit"
)
#: The key's bytes, which may be damaged: then the driver would refuse to read it as text.
READ_SMALL = (
    "SELECT session_id, {key}, payload FROM session_documents "  # noqa: S608
    f"WHERE session_id > :after AND session_id <= :last AND length(payload) <= {SMALL} {{typed}} "
    "ORDER BY session_id, key"
)
READ_SMALL_HOW = {
    "sqlite": {"key": "CAST(key AS BLOB)", "typed": "AND typeof(key) = 'text' AND typeof(payload) = 'blob'"},
    "postgresql": {"key": "convert_to(key, 'UTF8')", "typed": ""},
}
ADD_EXTRAS = sa.text("INSERT INTO session_extras (session_id, payload) VALUES (:session, :payload)")
REMOVE_DOCUMENT = sa.text("DELETE FROM session_documents WHERE session_id = :session AND key = :key")


def fold_small_documents() -> None:
    """Move each session's small documents into its row of session_extras."""
    connection = op.get_bind()
    read_small = sa.text(READ_SMALL.format(**READ_SMALL_HOW[connection.dialect.name]))
    progress = Progress(revision, connection.execute(COUNT_SMALL).scalar_one(), "documents")
    for after, last, rows in key_ranges(SMALL_SIZES):
        documents = connection.execute(read_small, {"after": after, "last": last}).all()
        extras, removed = [], []
        for session, group in groupby(documents, key=lambda document: document[0]):
            members, keys = members_of(session, ((key, payload) for _, key, payload in group))
            removed += [{"session": session, "key": key} for key in keys]
            if members:
                joined = b"{" + b",".join(key + b":" + payload for key, payload in members.items()) + b"}"
                extras.append({"session": session, "payload": joined})
        if extras:
            connection.execute(ADD_EXTRAS, extras)
            connection.execute(REMOVE_DOCUMENT, removed)
        progress.add(rows)


def members_of(session: int, documents: Iterator[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], list[str]]:
    """Return the members of a session's JSON object (keys as JSON), and the stored keys of the documents they were."""
    members: dict[bytes, bytes] = {}
    keys = []
    for stored_bytes, payload in documents:
        stored = stored_bytes.decode("utf-8", "replace")
        key = UNSTORED.sub(lambda match: chr(int(match[1], 16)), stored)
        if key in COLUMNS and not (key in LINKS and payload == b"null"):
            continue
        if stored.encode() != stored_bytes or not is_json(payload):
            logger.warning("Document %r of session row %d is damaged, and stays as it is.", stored, session)
            continue
        written = json_key(key)
        # Two halves of a character next to each other would be read as that character: another key, which may exist.
        if json.loads(written) == key and written not in members:
            members[written] = payload
            keys.append(stored)
    return members, keys


EXTRAS_SIZES = (
    "SELECT session_id, 1, length(payload) FROM session_extras WHERE session_id > :after ORDER BY 1 LIMIT :limit"
)
READ_EXTRAS = sa.text(
    "SELECT session_id, payload FROM session_extras WHERE session_id > :after AND session_id <= :last"
)
# A row of its own is what is read, if there are both.
ADD_DOCUMENT = sa.text(
    "INSERT INTO session_documents (session_id, key, digest, payload) VALUES (:session, :key, :digest, :payload) "
    "ON CONFLICT (session_id, key) DO NOTHING"
)


def unfold_small_documents() -> None:
    """Move each value of session_extras into a row of its own."""
    connection = op.get_bind()
    progress = Progress(
        revision, connection.execute(sa.text("SELECT count(*) FROM session_extras")).scalar_one(), "sessions"
    )
    for after, last, rows in key_ranges(EXTRAS_SIZES):
        documents: list[dict[str, Any]] = []
        for session, payload in connection.execute(READ_EXTRAS, {"after": after, "last": last}):
            for key, value in split_object(session, payload):
                digest = hashlib.blake2b(value, digest_size=16).digest()
                documents.append({"session": session, "key": stored_key(key), "digest": digest, "payload": value})
        if documents:
            connection.execute(ADD_DOCUMENT, documents)
        progress.add(rows)


STRUCTURE = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},:]', re.DOTALL)


def split_object(session: int, payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the members of a JSON object, the values as they are written there."""
    depth, start, name = 0, 1, b""
    text = payload.strip(BLANK_BYTES)
    damaged = CommandError(f"The small documents of session row {session} are damaged: they are no JSON object.")
    if text[:1] != b"{" or text[-1:] != b"}":
        raise damaged
    for match in STRUCTURE.finditer(text):
        token = match[0]
        if token in b"[{":
            depth += 1
        elif token in b"]}":
            depth -= 1
        if depth == 1 and token == b":":
            name, start = text[start : match.start()].strip(BLANK_BYTES), match.end()
        elif (depth == 1 and token == b",") or depth == 0:
            value = text[start : match.start()].strip(BLANK_BYTES)
            start = match.end()
            if text[1:-1].strip(BLANK_BYTES) == b"":
                continue
            if name[:1] != b'"' or not is_json(name) or not is_json(value):
                raise damaged
            yield json.loads(name), value
            name = b""
    if depth or start != len(text):
        raise damaged


# ── JSON and stored texts, as they were at this revision ──

UNSTORED = re.compile("\x10([0-9a-f]{4})")
UNSTORABLE = re.compile("[\x00\x10\ud800-\udfff]")
SURROGATE = re.compile("[\ud800-\udfff]")


def stored_key(key: str) -> str:
    return UNSTORABLE.sub(lambda match: f"\x10{ord(match[0]):04x}", key)


def json_key(key: str) -> bytes:
    return SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(key, ensure_ascii=False)).encode()


BLANK_BYTES = b" \t\n\r"
TOKENS = re.compile(
    r'(?P<string>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")'
    r"|(?P<scalar>-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|-?Infinity|NaN|true|false|null)"
    r"|(?P<mark>[][{},:])|(?P<blank>[ \t\n\r]+)|.",
    re.DOTALL,
)
WRITTEN = {"string": "s", "scalar": "n", "blank": "", None: "?"}
#: A list or an object of scalars.
INNERMOST = re.compile(r"\[(?:[sn](?:,[sn])*)?\]|\{(?:s:[sn](?:,s:[sn])*)?\}")


def is_json(payload: bytes) -> bool:
    """Whether a payload is one JSON value, however deep."""
    try:
        text = payload.decode()
        json.loads(text)
    except RecursionError:
        pass
    except ValueError:
        return False
    else:
        return True
    # Too deep for the parser: each list or object of scalars counts as a scalar, until one value is left.
    rest = TOKENS.sub(lambda match: WRITTEN.get(match.lastgroup, match[0]), text)
    count = 1
    while count:
        rest, count = INNERMOST.subn("n", rest)
    return rest in ("s", "n")
