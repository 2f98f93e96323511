"""Databases with as many sessions and messages as wanted, inserted straight into the tables."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hermes_store import Store
from hermes_store.maintenance import reindex

from .workload import BEGINNING, encode, messages, users

_SESSION: Final = (
    "INSERT INTO sessions (session_id, profile, project_id, title, workspace, model, created_at, updated_at, "
    "activity_at, last_message_at, last_activity_at, message_count, user_message_count, pinned, archived, "
    "input_tokens, output_tokens, estimated_cost) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)


@dataclass(frozen=True)
class Content:
    """What a database has: sessions "s0", "s1" and so on in any order of time, and others with many messages."""

    sessions: int = 0
    #: How many messages each of them has, all of them the same short one.
    each: int = 1
    profiles: int = 1
    projects: int = 0
    pinned: int = 0
    #: The part of them that is archived.
    archived: float = 0.0
    #: By id: how many messages the other sessions have.
    long: Mapping[str, int] = field(default_factory=dict)


def empty(folder: Path) -> Path:
    """Return a database of the library without rows, made once in a folder. Copy it before you write to it."""
    path = folder / "empty.db"
    if not path.exists():
        Store.open(path).close()
    return path


def build(path: Path, content: Content) -> Path:
    """Make a database unless it is there, and return its path."""
    if not path.exists():
        unfinished = Path(shutil.copyfile(empty(path.parent), path.with_suffix(".tmp")))
        with closing(sqlite3.connect(unfinished, isolation_level=None)) as connection:
            _fill(connection, content)
        with Store.open(unfinished) as store:
            reindex(store)
        unfinished.rename(path)
    return path


def _fill(connection: sqlite3.Connection, content: Content) -> None:
    execute = connection.execute
    execute("PRAGMA synchronous = OFF")
    execute("BEGIN IMMEDIATE")
    # Indexes that are made at the end take a tenth of the time.
    query = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    indexes = execute(query).fetchall()
    for name, _ in indexes:
        execute(f"DROP INDEX {name}")
    connection.executemany(_SESSION, _sessions(content, _add_projects(connection, content)))
    if content.each:
        one = encode({"role": "user", "content": "Hello there, what shall we do today?", "timestamp": BEGINNING})
        execute(
            "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
            "INSERT INTO messages (session_id, position, role, timestamp, digest) "
            "SELECT id, i, 'user', updated_at, ? FROM sessions, n",
            (content.each, one.digest),
        )
        execute("INSERT INTO message_blobs SELECT id, ? FROM messages", (one.payload,))
    for session_id, count in content.long.items():
        _add_long(connection, session_id, count)
    for _, sql in indexes:
        execute(sql)
    execute("COMMIT")
    execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _profiles(content: Content) -> list[str]:
    return ["default", *(f"profile{number}" for number in range(1, content.profiles))]


def _add_projects(connection: sqlite3.Connection, content: Content) -> dict[str, list[int]]:
    """Insert projects, and return their row ids by profile."""
    names = _profiles(content)
    connection.executemany(
        "INSERT INTO projects (project_id, profile, name, position, created_at) VALUES (?, ?, ?, ?, ?)",
        [(f"p{n}", names[n % len(names)], f"Project {n}", n, BEGINNING) for n in range(content.projects)],
    )
    found: dict[str, list[int]] = {}
    for row_id, profile in connection.execute("SELECT id, profile FROM projects"):
        found.setdefault(profile, []).append(row_id)
    return found


def _sessions(content: Content, projects: Mapping[str, Sequence[int]]) -> Iterator[tuple[Any, ...]]:
    """Half of the sessions are in the first profile, and half of those in a profile with projects are in one."""
    chance = random.Random(1)
    names = _profiles(content)
    order = list(range(content.sessions))
    chance.shuffle(order)
    for number, place in enumerate(order):
        profile = names[0] if chance.random() < 0.5 else chance.choice(names)
        there = projects.get(profile)
        updated = BEGINNING + place
        yield (
            f"s{number}",
            profile,
            chance.choice(there) if there and chance.random() < 0.5 else None,
            f"Session {number}: what was talked about",
            "/home/someone/code",
            "anthropic/claude-sonnet-4.5",
            BEGINNING,
            updated,
            updated,
            updated if content.each else None,
            updated if content.each else None,
            content.each,
            content.each,
            place < content.pinned,
            chance.random() < content.archived,
            1000,
            200,
            0.01,
        )


def _add_long(connection: sqlite3.Connection, session_id: str, count: int) -> None:
    last = BEGINNING + count - 1
    encoded = [encode(one) for one in messages(count)]
    key = connection.execute(
        "INSERT INTO sessions (session_id, title, workspace, model, created_at, updated_at, activity_at, "
        "last_message_at, last_activity_at, message_count, user_message_count) "
        "VALUES (?, ?, '/home/someone/code', 'claude', ?, ?, ?, ?, ?, ?, ?)",
        (session_id, f"{count} messages", BEGINNING, BEGINNING, last, last, last, count, users(encoded)),
    ).lastrowid
    (first,) = connection.execute("SELECT coalesce(max(id), 0) + 1 FROM messages").fetchone()
    connection.executemany(
        "INSERT INTO messages (id, session_id, position, role, timestamp, digest) VALUES (?,?,?,?,?,?)",
        [(first + n, key, n, one.role, one.timestamp, one.digest) for n, one in enumerate(encoded)],
    )
    connection.executemany(
        "INSERT INTO message_blobs (message_id, payload) VALUES (?,?)",
        [(first + n, one.payload) for n, one in enumerate(encoded)],
    )
