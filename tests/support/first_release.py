"""Databases as the first release made them (schema revision 0001), to prove that an upgrade keeps every value.

They are restored from the files of ``tests/migrations/databases``, which `make_0001.py` there describes. Nothing here
uses the library, so that it says the same whatever the library becomes.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

DATABASES: Final = Path(__file__).parents[1] / "migrations" / "databases"
#: The state directory of hermes-webui from which some of the sessions were imported.
JSON_FILES: Final = DATABASES / "0001-json-files"
#: What stands in the import log for the folder that `JSON_FILES` and an example home were in.
IMPORTED_FROM: Final = "/srv/first-release"


def restore_sqlite(path: Path, *, imported_from: Path | None = None) -> Path:
    """Make the database file `path`, which must not exist yet, and return it.

    Args:
        imported_from: a folder that the import log is to name as the source, in the place of `IMPORTED_FROM`. The
            imported files were in its folders ``json-files`` and ``hermes-home/webui``.
    """
    with _new_file(path) as connection:
        connection.executescript(_text("0001-everything.sql"))
        if imported_from is not None:
            connection.execute(*_other_origin("?", imported_from))
        connection.commit()
    return path


def restore_postgresql(target: str | sa.URL | sa.Connection, *, imported_from: Path | None = None) -> None:
    """Make the tables in an empty PostgreSQL database, given by its URL or as a connection inside a transaction.

    Args:
        imported_from: see `restore_sqlite`.
    """
    if not isinstance(target, sa.Connection):
        engine = sa.create_engine(target, poolclass=sa.NullPool)
        with engine.begin() as connection:
            restore_postgresql(connection, imported_from=imported_from)
        return
    with contextlib.closing(target.connection.cursor()) as cursor:
        cursor.execute(_text("0001-everything.postgresql.sql"))
        if imported_from is not None:
            cursor.execute(*_other_origin("%s", imported_from))


def _other_origin(parameter: str, folder: Path) -> tuple[str, tuple[str, str]]:
    statement = f"UPDATE import_items SET origin = replace(origin, {parameter}, {parameter})"
    return statement, (IMPORTED_FROM, str(folder.resolve()))


def _text(name: str) -> str:
    return (DATABASES / name).read_bytes().decode()  # as bytes: line endings stand inside values


@functools.cache
def expected() -> dict[str, Any]:
    """Return what the first release read from these databases; not to be changed by the caller.

    Its keys:
        projects: the projects' fields, in the order of the list.
        sessions: by public id, live and deleted ones, each with its ``record``, the ``messages``, and the ``documents``
            by key. Messages and documents are the `canonical` texts of their values.
        renamed, purged: ids that must never mean another session: the former ones by their session's id now, and those
            of purged sessions.
        import_log: as `import_log` returns it.
        highest_row_ids: by table, the highest ``id`` that a row ever had, whether it is still there or not.
    """
    data: dict[str, Any] = json.loads(_text("0001-everything.json"))
    for session in data["sessions"].values():
        session["messages"] = [_unwrapped(value) for value in session["messages"]]
        session["documents"] = {key: _unwrapped(value) for key, value in session["documents"].items()}
    return data


#: The key of an object in the place of a value that is nested too deep for `json`; it holds the canonical text.
DEEP: Final = "canonical text of a deep value"


def _unwrapped(value: Any) -> str:
    return str(value[DEEP]) if isinstance(value, dict) and value.keys() == {DEEP} else canonical(value)


class _Piece(str):
    """A part of JSON text, as opposed to a value."""


def canonical(value: Any) -> str:
    """Return JSON text, in ASCII, that is the same for equal values alone: 1, 1.0 and true are three values, 0.0
    and -0.0 are two, NaN is equal to itself, and the order of an object's keys says nothing. Depth is no limit."""
    pieces: list[str] = []
    stack: list[Any] = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, _Piece):
            pieces.append(item)
        elif isinstance(item, Mapping):
            parts = [(_Piece(f"{json.dumps(key)}:"), item[key]) for key in sorted(item)]
            stack += reversed(_joined("{", parts, "}"))
        elif isinstance(item, list | tuple):
            stack += reversed(_joined("[", [(one,) for one in item], "]"))
        else:
            pieces.append(json.dumps(item))
    return "".join(pieces)


def _joined(opener: str, parts: list[tuple[Any, ...]], closer: str) -> list[Any]:
    found: list[Any] = [_Piece(opener)]
    for index, part in enumerate(parts):
        found += (_Piece(","), *part) if index else part
    return [*found, _Piece(closer)]


def import_log(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return the columns that the import log had in revision 0001, and the public id of each row's session."""
    rows = connection.exec_driver_sql(
        "SELECT i.id, i.kind, i.origin, i.item, s.session_id, i.digest, i.size, i.mtime_ns, i.revision, i.imported_at, "
        "i.notes FROM import_items AS i LEFT JOIN sessions AS s ON s.id = i.session_id ORDER BY i.id"
    )
    return [
        {
            **row,
            "digest": bytes(row["digest"]).hex(),
            "notes": None if row["notes"] is None else json.loads(bytes(row["notes"])),
        }
        for row in rows.mappings()
    ]


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[sqlite3.Connection]:
    if path.exists():
        raise FileExistsError(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        yield connection


#: A session of `make_large`: 55 small documents, in every tenth three large ones, and messages of about a kilobyte.
_KEYS: Final = 55
_MESSAGES: Final = 200
_LARGE_EVERY: Final = 10
_SESSION_BYTES: Final = 266_000


def make_large(path: Path, *, megabytes: int) -> Path:
    """Make a database file of revision 0001 with about so many megabytes (of 10**6 bytes) in it, and return it.

    The same size gives the same content. `content_digest` tells whether an upgrade kept it.
    """
    with _new_file(path) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        for statement in _schema():
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        for session in range(1, max(1, megabytes * 1_000_000 // _SESSION_BYTES) + 1):
            _insert_session(connection, session)
        connection.commit()
    return path


def _schema() -> list[str]:
    """Return the statements that make the tables and indexes."""
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_text("0001-everything.sql"))
        rows = connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'")
        return [sql for (sql,) in rows]


def _insert_session(connection: sqlite3.Connection, session: int) -> None:
    time = 1778458282.5 + session * 60
    connection.execute(
        "INSERT INTO sessions (id, session_id, profile, title, created_at, updated_at, last_message_at, message_count, "
        "pinned, archived, estimated_cost, revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(session, f"{session:012x}", ("default", "work")[session % 3 == 0], f"Session {session}", time, time + 30),
            *(time + 20, _MESSAGES, session % 50 == 0, session % 4 == 0, session / 7, 3),
        ),
    )
    first = (session - 1) * _MESSAGES + 1
    bodies = [
        _json({"role": ("user", "assistant")[n % 2], "content": f"{session}.{n} é " + "word " * (100 + 23 * n % 200)})
        for n in range(_MESSAGES)
    ]
    connection.executemany(
        "INSERT INTO messages (id, session_id, position, role, digest) VALUES (?, ?, ?, ?, ?)",
        ((first + n, session, n, ("user", "assistant")[n % 2], _digest(body)) for n, body in enumerate(bodies)),
    )
    connection.executemany("INSERT INTO message_blobs VALUES (?, ?)", enumerate(bodies, first))
    documents: dict[str, Any] = {f"key_{n:02}": {"n": n, "of": session, "text": "é" * (n % 30)} for n in range(_KEYS)}
    if session % _LARGE_EVERY == 0:
        documents |= {f"large_{n}": [f"{session}.{n} " + "x" * 3_000] * (n + 1) for n in range(3)}
    connection.executemany(
        "INSERT INTO session_documents (session_id, key, digest, payload) VALUES (?, ?, ?, ?)",
        ((session, key, _digest(body), body) for key, body in ((key, _json(documents[key])) for key in documents)),
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


_SESSION_COLUMNS: Final = (
    "id, session_id, profile, project_id, title, workspace, model, personality, created_at, updated_at, "
    "last_message_at, message_count, pinned, archived, input_tokens, output_tokens, estimated_cost, "
    "compression_anchor_visible_idx, compression_anchor_message_key, active_stream_id, pending_started_at, source, "
    "parent_id, forked_at, revision, deleted_at"
)


def content_digest(path: Path) -> str:
    """Return a digest of what an upgrade of a `make_large` file must keep, wherever the upgraded file holds it.

    That is: the columns of revision 0001 of sessions and messages, the messages' bodies, and the values of each
    session's documents by key, from ``session_documents`` and from the objects in ``session_extras``.
    """
    content = hashlib.blake2b(digest_size=16)
    messages = (
        "SELECT m.id, m.session_id, m.position, m.role, m.timestamp, m.digest, b.payload "
        "FROM messages AS m LEFT JOIN message_blobs AS b ON b.message_id = m.id ORDER BY m.id"
    )
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        for query in (f"SELECT {_SESSION_COLUMNS} FROM sessions ORDER BY id", messages):
            for row in connection.execute(query):
                content.update(repr(row[:-1]).encode())
                content.update(row[-1] if isinstance(row[-1], bytes) else repr(row[-1]).encode())
        for session, documents in _documents(connection):
            content.update(f"{session} {canonical(documents)}".encode())
    return content.hexdigest()


def _documents(connection: sqlite3.Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the sessions that have documents, with the values of all of them by stored key."""
    extras: dict[int, bytes] = {}
    if columns := connection.execute("SELECT name, type FROM pragma_table_info('session_extras')").fetchall():
        [body] = [name for name, kind in columns if kind == "BLOB" and name != "digest"]
        extras = dict(connection.execute(f"SELECT session_id, {body} FROM session_extras"))
    rows: dict[int, dict[str, Any]] = {session: json.loads(body) for session, body in extras.items()}
    for session, key, body in connection.execute("SELECT session_id, key, payload FROM session_documents"):
        documents = rows.setdefault(session, {})
        if key in documents:
            raise AssertionError(f"session {session} has document {key!r} twice")
        documents[key] = json.loads(body)
    for session in sorted(rows):
        if rows[session]:
            yield session, rows[session]
