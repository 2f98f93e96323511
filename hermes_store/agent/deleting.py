"""Delete a session from the agent's state.db: the only module that writes to the file.

The rules are those of the agent's own code (0.19): foreign keys on, one immediate transaction, messages before
sessions (the other order leaves its full-text index malformed), subagents deleted with their parent, other
children kept without a parent. A file with triggers or indexes that are not the agent's is refused.
"""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .. import errors
from ..quoting import quoted
from ..record_base import Record
from .agent_file import AgentFile, translate
from .lineage import markers
from .queries import usable
from .reader_thread import Deadline, run_in_thread

#: The triggers that the agent's own versions put on its messages; others might do anything on a delete.
_KNOWN_TRIGGERS: Final = frozenset(
    {
        "messages_fts_insert",
        "messages_fts_update",
        "messages_fts_delete",
        "messages_fts_trigram_insert",
        "messages_fts_trigram_update",
        "messages_fts_trigram_delete",
        "messages_display_order_insert",
        "messages_display_order_update",
        "messages_display_identity_delete",
    }
)
#: The triggers of every table that a delete reaches: itself, or by foreign keys. (A trigger keeps its table's name
#: as it was typed.)
_TRIGGERS: Final = """
WITH RECURSIVE reached (name) AS (
    VALUES ('messages'), ('sessions'), ('system_prompts')
    UNION
    SELECT lower(t.name) FROM reached JOIN sqlite_master AS t ON t.type = 'table'
    JOIN pragma_foreign_key_list(t.name) AS f ON lower(f."table") = reached.name
)
SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) IN (SELECT name FROM reached)
"""
#: The values of a JSON array, which is one parameter however long it is.
_LIST: Final = "(SELECT value FROM json_each(?))"
_TEXTS_AND_COMMENTS: Final = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
#: What a trigger's statement writes to.
_WRITTEN: Final = re.compile(
    r"\b(?:INSERT(?:\s+OR\s+\w+)?\s+INTO|REPLACE\s+INTO|DELETE\s+FROM|UPDATE(?:\s+OR\s+\w+)?(?!\s+OF\b))\s+([^\s(;]+)",
    re.IGNORECASE,
)


class AgentDeletion(Record):
    """What a delete did, or would do."""

    session_id: str
    dry_run: bool
    #: The session and the subagents that worked for it.
    sessions: tuple[str, ...]
    messages: int
    #: Sessions that lost their parent and stay.
    released: tuple[str, ...]
    #: System prompts that nothing refers to any more.
    prompts: int


def delete_session(file: AgentFile, session_id: str, *, dry_run: bool, force: bool) -> AgentDeletion:
    """Delete a session; see `AgentBridge.delete_session`."""
    path = file.check()
    try:
        # First as a dry run, which opens it for reading: merely opening it for writing would roll back what an
        # agent that crashed left half done, and closing it would move the agent's log into the file.
        deadline = Deadline(file.deadline)

        def run() -> AgentDeletion:
            done = _run(path, file.busy_timeout, deadline, session_id, dry_run=True, force=force)
            return done if dry_run else _run(path, file.busy_timeout, deadline, session_id, dry_run=False, force=force)

        return run_in_thread(run, deadline)
    except sqlite3.Error as error:
        if any(words in str(error) for words in ("no such tokenizer", "no such module")):
            raise errors.AgentSchemaError(
                f"{path} has a full-text index that needs an extension of the agent's ({error}), so nothing was "
                "deleted. Delete the session with the agent itself."
            ) from error
        raise translate(error, path) from error


def _run(
    path: Path, timeout: float, deadline: Deadline, session_id: str, *, dry_run: bool, force: bool
) -> AgentDeletion:
    deadline.check()
    with (
        _transaction(path, min(timeout, max(0.0, deadline.remaining)), writing=not dry_run) as connection,
        deadline.applies_to(connection),
    ):
        done = _delete(connection, session_id, dry_run=dry_run, force=force)
        connection.execute("ROLLBACK" if dry_run else "COMMIT")
        return done


@contextlib.contextmanager
def _transaction(path: Path, timeout: float, *, writing: bool) -> Iterator[sqlite3.Connection]:
    """Give a connection inside a transaction, which holds the write lock if it is for writing.

    It is rolled back unless it was committed.
    """
    uri = f"{path.as_uri()}?mode={'rw' if writing else 'ro'}"
    connection = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
    # Names and texts that are not UTF-8 are read, too.
    connection.text_factory = lambda value: value.decode("utf-8", "surrogateescape")
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        # The agent decides when its log is moved into the file.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # The schema stays trusted, or the agent's triggers could not keep its full-text index.
        connection.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
        yield connection
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.close()


def _delete(connection: sqlite3.Connection, session_id: str, *, dry_run: bool, force: bool) -> AgentDeletion:
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"sessions", "messages"} <= tables:
        raise errors.AgentSchemaError("It has no tables sessions and messages, so it is not an agent's.")
    columns = {row[1] for row in connection.execute("PRAGMA table_info(sessions)")}
    if not connection.execute("SELECT 1 FROM sessions WHERE id = ?", (session_id,)).fetchone():
        raise errors.SessionNotFoundError(session_id, f"The agent has no session {quoted(session_id)}.")
    _refuse_unknown_triggers(connection)
    _require_indexes(connection)
    deleted = _with_subagents(connection, session_id, columns)
    if not force:
        _refuse_live(connection, deleted, tables, columns)
    ids = json.dumps(deleted)
    (messages,) = connection.execute(f"SELECT count(*) FROM messages WHERE session_id IN {_LIST}", (ids,)).fetchone()
    released = _released(connection, deleted, columns)
    unused = _unused(connection, _prompts_of(connection, deleted, tables, columns), deleted, columns)
    if not dry_run:
        if "parent_session_id" in columns:  # of the deleted ones, too: they may be a ring
            connection.execute(
                f"UPDATE sessions SET parent_session_id = NULL WHERE parent_session_id IN {_LIST}", (ids,)
            )
        connection.execute(f"DELETE FROM messages WHERE session_id IN {_LIST}", (ids,))
        # Children before parents: the foreign key is checked row by row.
        connection.executemany("DELETE FROM sessions WHERE id = ?", [(one,) for one in reversed(deleted)])
        if unused:
            connection.executemany("DELETE FROM system_prompts WHERE hash = ?", [(prompt,) for prompt in unused])
    return AgentDeletion(
        session_id=session_id,
        dry_run=dry_run,
        sessions=tuple(deleted),
        messages=messages,
        released=released,
        prompts=len(unused),
    )


def _released(connection: sqlite3.Connection, deleted: list[str], columns: set[str]) -> tuple[str, ...]:
    """Return the children that stay, and lose their parent."""
    if "parent_session_id" not in columns:
        return ()
    ids = json.dumps(deleted)
    rows = connection.execute(
        f"SELECT id FROM sessions WHERE parent_session_id IN {_LIST} AND id NOT IN {_LIST} ORDER BY id", (ids, ids)
    )
    return tuple(row[0] for row in rows if isinstance(row[0], str))


def _refuse_unknown_triggers(connection: sqlite3.Connection) -> None:
    unknown = sorted({name for name, sql in connection.execute(_TRIGGERS) if not _is_known(name, sql)})
    if unknown:
        raise errors.AgentSchemaError(
            f"The agent's file has triggers that this library does not know ({', '.join(unknown)}), so nothing was "
            "deleted. Delete the session with the agent itself, or upgrade this library."
        )


def _is_known(name: str, sql: str) -> bool:
    """Whether a trigger is one of the agent's, by its name and by what its text writes to."""
    if name not in _KNOWN_TRIGGERS:
        return False
    _, *bodies = re.split(r"\bBEGIN\b", _TEXTS_AND_COMMENTS.sub("''", sql), flags=re.IGNORECASE)
    body = "".join(bodies)
    written = {one.strip('"`[]').lower() for one in _WRITTEN.findall(body)}
    return len(bodies) == 1 and written <= {_OWN_TABLE.sub("", name)}


#: What follows the table in a trigger's name. The display triggers write to the messages themselves.
_OWN_TABLE: Final = re.compile(r"(?<=messages)_display_.*|_(?:insert|update|delete)$")


def _require_indexes(connection: sqlite3.Connection) -> None:
    """Fail now, and in a dry run as well, if SQLite cannot keep the full-text indexes right."""
    query = "SELECT name FROM sqlite_master WHERE name LIKE 'messages_fts%' AND sql LIKE 'CREATE VIRTUAL TABLE%'"
    for (name,) in connection.execute(query).fetchall():
        if not usable(name):
            raise errors.AgentSchemaError(f"The agent's file has a table {quoted(name)}, so nothing was deleted.")
        connection.execute('SELECT 1 FROM "{}" LIMIT 0'.format(name.replace('"', '""')))


def _with_subagents(connection: sqlite3.Connection, session_id: str, columns: set[str]) -> list[str]:
    """Return a session and the subagents that worked for it or for one of them, however deep."""
    deleted = [session_id]
    if "parent_session_id" not in columns:
        return deleted
    config = "s.model_config" if "model_config" in columns else "NULL"
    source = "s.source" if "source" in columns else "NULL"
    # One scan of those that have a parent, which an index of the agent's has; then no query for each of them.
    workers: defaultdict[str, list[str]] = defaultdict(list)
    rows = connection.execute(
        f"SELECT s.parent_session_id, s.id, {source}, CASE WHEN instr({config}, '_delegate_from') THEN {config} END "
        "FROM sessions AS s WHERE s.parent_session_id IS NOT NULL ORDER BY s.id"
    )
    for parent, child, kind, settings in rows:
        if usable(child) and (kind == "subagent" or "_delegate_from" in markers(settings)):
            workers[parent].append(child)
    seen = {session_id}
    for parent in deleted:  # the list grows during the loop
        new = [child for child in workers.get(parent, ()) if child not in seen]
        seen.update(new)
        deleted += new
    return deleted


def _refuse_live(connection: sqlite3.Connection, deleted: list[str], tables: set[str], columns: set[str]) -> None:
    for session_id in deleted:
        if "ended_at" in columns:
            (ended,) = connection.execute("SELECT ended_at FROM sessions WHERE id = ?", (session_id,)).fetchone()
            if ended is None:
                raise errors.AgentSessionInUseError(
                    session_id, f"Session {quoted(session_id)} has not ended, so the agent may be writing to it."
                )
        # A lease on a turn is held under the first session of a chain that compression made.
        names = [session_id, *_continued(connection, session_id, columns)]
        for table, column, holders in (
            ("compression_locks", "session_id", names[:1]),
            ("session_turn_leases", "conversation_id", names),
        ):
            if table in tables and any(_is_held(connection, table, column, holder) for holder in holders):
                raise errors.AgentSessionInUseError(
                    session_id, f"The agent is at work on session {quoted(session_id)} ({table})."
                )


def _is_held(connection: sqlite3.Connection, table: str, column: str, holder: str) -> bool:
    query = f"SELECT 1 FROM {table} WHERE {column} = ? AND expires_at > ?"
    return connection.execute(query, (holder, time.time())).fetchone() is not None


def _continued(connection: sqlite3.Connection, session_id: str, columns: set[str]) -> list[str]:
    """Return the sessions that a session goes on from, where compression ended each of them."""
    found: list[str] = []
    if not {"parent_session_id", "end_reason"} <= columns:
        return found
    config = "s.model_config" if "model_config" in columns else "NULL"
    query = (
        f"SELECT p.id, {config} FROM sessions AS s JOIN sessions AS p ON p.id = s.parent_session_id "
        "WHERE s.id = ? AND p.end_reason = 'compression'"
    )
    while row := connection.execute(query, (session_id,)).fetchone():
        session_id = row[0]
        # What no query takes; a ring; a branch, which is a conversation of its own.
        if not usable(session_id) or session_id in found or markers(row[1]):
            break
        found.append(session_id)
    return found


#: Columns of sessions that refer to `system_prompts`.
_PROMPT_COLUMNS: Final = ("system_prompt_hash", "tool_names")


def _prompts_of(connection: sqlite3.Connection, deleted: list[str], tables: set[str], columns: set[str]) -> set[str]:
    if "system_prompts" not in tables:
        return set()
    return {
        row[0]
        for column in _PROMPT_COLUMNS
        if column in columns
        for row in connection.execute(f"SELECT {column} FROM sessions WHERE id IN {_LIST}", (json.dumps(deleted),))
        if usable(row[0])
    }


def _unused(connection: sqlite3.Connection, prompts: set[str], deleted: list[str], columns: set[str]) -> list[str]:
    """Return those of the prompts that no other session than the deleted ones refers to."""
    ids = json.dumps(deleted)
    used = {
        prompt
        for prompt in prompts
        for column in _PROMPT_COLUMNS
        if column in columns
        and connection.execute(
            f"SELECT 1 FROM sessions WHERE {column} = ? AND id NOT IN {_LIST} LIMIT 1", (prompt, ids)
        ).fetchone()
    }
    return sorted(prompts - used)
