"""How long an import from the agent takes, and how much memory: python benchmarks/import_agent.py [SESSIONS] [MESSAGES]

Makes a state.db as the agent's release 0.19 does, of so many sessions (10,000) with so many messages (1,000,000) of
about 500 bytes, one of the sessions with a fifth of them, a tenth of them continuations of others. Imports it, all of
it listed, into a fresh database: once in one go, then again; and into another database with a process that is killed
half-way, then by a second one. Prints the times beside that of merely reading every message, the peak of memory above
that of an open store, and whether both databases hold the same. Only for Linux, which tells the peak in /proc.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

TABLES = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT NOT NULL, model TEXT, model_config TEXT, system_prompt TEXT,
    parent_session_id TEXT REFERENCES sessions(id), started_at REAL NOT NULL, ended_at REAL, end_reason TEXT,
    message_count INTEGER DEFAULT 0, input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, cwd TEXT,
    estimated_cost_usd REAL, title TEXT, archived INTEGER NOT NULL DEFAULT 0);
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL REFERENCES sessions(id),
    role TEXT NOT NULL, content TEXT, tool_call_id TEXT, tool_calls TEXT, tool_name TEXT, timestamp REAL NOT NULL,
    token_count INTEGER, finish_reason TEXT, reasoning TEXT, reasoning_content TEXT, reasoning_details TEXT,
    codex_reasoning_items TEXT, codex_message_items TEXT, platform_message_id TEXT, observed INTEGER DEFAULT 0,
    active INTEGER NOT NULL DEFAULT 1, compacted INTEGER NOT NULL DEFAULT 0, effect_disposition TEXT, api_content TEXT);
"""
INDEXES = """
CREATE INDEX idx_sessions_source_id ON sessions(source, id);
CREATE INDEX idx_sessions_parent ON sessions(parent_session_id);
CREATE INDEX idx_messages_session ON messages(session_id, timestamp);
CREATE INDEX idx_messages_session_active ON messages(session_id, active, timestamp);
CREATE INDEX idx_messages_active_null ON messages(active) WHERE active IS NULL;
"""
WORDS = ["deploy", "failed", "naïve", "测试", "🚀", "retry", "the", "query", "plan", "line", "error", "build", "cache"]


def name(number: int) -> str:
    return f"20260101_000000_{number:06x}"


def sessions(count: int, chance: random.Random) -> Iterator[tuple[Any, ...]]:
    full = False
    for number in range(count):
        parent = name(number - 1) if full else None
        full = chance.random() < 0.1
        end = "compression" if full and number + 1 < count else "cli_close"
        began = 1.75e9 + 100 * number
        yield name(number), "cli", "m/1", "You are Hermes. " * 180, parent, began, began + 90, end, f"Session {number}"


def messages(count: int, sessions: int, chance: random.Random) -> Iterator[tuple[Any, ...]]:
    texts = [" ".join(chance.choices(WORDS, k=70)) for _ in range(100)]
    for number in range(count):
        session = 0 if number % 5 == 0 else chance.randrange(sessions)
        role = "assistant" if number % 2 else "user"
        yield name(session), role, f"{number} {texts[number % 100]}", 1.75e9 + number


def write(path: Path, session_count: int, message_count: int) -> None:
    chance = random.Random(1)
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(TABLES)
        columns = "id, source, model, system_prompt, parent_session_id, started_at, ended_at, end_reason, title"
        db.executemany(
            f"INSERT INTO sessions ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", sessions(session_count, chance)
        )
        db.executemany(
            "INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, ?, ?, ?)",
            messages(message_count, session_count, chance),
        )
        db.executescript(INDEXES)


def read(path: Path) -> float:
    """The floor: every message read, and nothing else."""
    started = time.perf_counter()
    with closing(sqlite3.connect(path)) as db:
        for _ in db.execute("SELECT * FROM messages"):
            pass
    return time.perf_counter() - started


IMPORT = """
import os, signal, sys, time
from hermes_store import AgentBridge, Store

def status(key):
    return next(int(line.split()[1]) / 1024 for line in open("/proc/self/status") if line.startswith(key))

def on_progress(now):
    if now.done / now.total > float(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

with Store.open(sys.argv[1]) as store:
    before = status("VmRSS")
    started = time.perf_counter()
    report = AgentBridge(sys.argv[2], store=store).import_sessions(on_progress=on_progress)
    counts = ", ".join(f"{number:,} {outcome}" for outcome, number in report.counts.items())
    print(time.perf_counter() - started, status("VmHWM") - before, counts, sep="\\t")
"""


def run(database: Path, state_db: Path, kill_at: float = 1) -> str:
    command = [sys.executable, "-c", IMPORT, str(database), str(state_db), str(kill_at)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=kill_at == 1)
    return done.stdout


def tell(what: str, said: str, count: int, floor: float) -> None:
    seconds, peak, counts = said.strip().split("\t")
    print(
        f"{what}: {float(seconds):.0f} s, {count / float(seconds):,.0f} messages/s, {float(seconds) / floor:.1f} times "
        f"the time of reading them, {float(peak):.0f} MiB of memory; {counts}"
    )


def content(database: Path) -> str:
    """Return a digest of every session and message, in the order of their names and positions."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(database)) as db:
        for row in db.execute(
            "SELECT s.session_id, s.title, s.message_count, p.session_id, m.position, m.digest, b.payload "
            "FROM sessions s LEFT JOIN sessions p ON p.id = s.parent_id LEFT JOIN messages m ON m.session_id = s.id "
            "LEFT JOIN message_blobs b ON b.message_id = m.id ORDER BY s.session_id, m.position"
        ):
            digest.update(repr(row).encode())
    return digest.hexdigest()


def main() -> None:
    session_count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    message_count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="hermes-import-") as folder:
        state_db, whole, resumed = (Path(folder) / one for one in ("state.db", "whole.db", "resumed.db"))
        write(state_db, session_count, message_count)
        print(f"{session_count:,} sessions, {message_count:,} messages, {state_db.stat().st_size / 1e6:,.0f} MB")
        floor = read(state_db)
        tell("first run", run(whole, state_db), message_count, floor)
        tell("second run", run(whole, state_db), message_count, floor)
        run(resumed, state_db, kill_at=0.5)
        tell("killed half-way, then run again", run(resumed, state_db), message_count, floor)
        print("both databases hold the same" if content(whole) == content(resumed) else "THE DATABASES DIFFER")


if __name__ == "__main__":
    main()
