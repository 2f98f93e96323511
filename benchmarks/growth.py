"""What appends leave on a PostgreSQL server: python -m benchmarks.growth [APPENDS] [SESSIONS] [SERVER]

Appends so many messages (100,000) of 300 bytes to so many sessions (1,000), chosen at random, with the indexes as they
are and without those of lists and changes, on the server of this URL, or one that it starts. Says how many updates of
`sessions` changed no index (HOT), how large tables and indexes are, and how long the log of writes became. Autovacuum
runs as the server has it.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from hermes_store import Store

from .servers import databases

_STEPS = 4
_SIZES = """
SELECT pg_table_size('sessions'), pg_indexes_size('sessions'),
    (SELECT sum(pg_table_size(oid)) FROM pg_class WHERE relname IN ('messages', 'message_blobs')),
    (SELECT sum(pg_indexes_size(oid)) FROM pg_class WHERE relname IN ('messages', 'message_blobs')),
    (SELECT pg_total_relation_size('message_search')),
    pg_current_wal_insert_lsn() - '0/0'::pg_lsn
"""
_UPDATES = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'sessions'"
_UNNEEDED = """
SELECT string_agg(indexrelid::regclass::text, ', ') FROM pg_index
WHERE indrelid = 'sessions'::regclass AND NOT indisunique
"""


_WRITERS = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'hermes_store' AND datname = current_database()"
_WORDS = [f"word{number:03}" for number in range(500)]


def fill(url: str, appends: int, sessions: int, *, without_indexes: bool) -> None:
    chance = random.Random(1)
    names = [f"s{number}" for number in range(sessions)]
    with psycopg.connect(url, autocommit=True) as admin:
        with Store.open(url, durability="normal") as store:
            for name in names:
                store.sessions.create(session_id=name, title=f"Title of {name}")
                store.messages.append(name, {"role": "user", "content": "begin"})
        if without_indexes:
            dropped: Any = admin.execute(_UNNEEDED).fetchone()
            admin.execute(f"DROP INDEX {dropped[0]}")
        admin.execute("VACUUM ANALYZE")
        before = _state(admin)
        _say(0, before, before)
        each = appends // _STEPS
        for step in range(1, _STEPS + 1):
            with Store.open(url, durability="normal") as store:
                for _ in range(each):
                    text = " ".join(chance.choices(_WORDS, k=38))
                    store.messages.append(chance.choice(names), {"role": "user", "content": text})
            _say(step * each, _state(admin), before)


def _state(admin: psycopg.Connection[Any]) -> list[int]:
    while admin.execute(_WRITERS).fetchone():  # a connection says what it did when it ends
        time.sleep(0.05)
    sizes, updates = admin.execute(_SIZES).fetchone(), admin.execute(_UPDATES).fetchone()
    assert sizes is not None
    assert updates is not None
    return [int(value or 0) for value in (*sizes, *updates)]


def _say(appends: int, now: Sequence[int], before: Sequence[int]) -> None:
    table, indexes, messages, their_indexes, words, log, updates, hot = now
    megabytes = [f"{size / 1e6:.1f} MB" for size in (table, indexes, messages, their_indexes, words)]
    each = (log - before[5]) / appends if appends else 0.0
    print(
        f"{appends:,} appends: sessions {megabytes[0]}, their indexes {megabytes[1]}; messages {megabytes[2]}, their "
        f"indexes {megabytes[3]}; index of words {megabytes[4]}; {hot - before[7]:,} of {updates - before[6]:,} "
        f"updates of sessions were HOT; log {each:,.0f} bytes an append",
        flush=True,
    )


def main(arguments: Sequence[str]) -> None:
    appends, sessions, server = [*arguments, *("100000", "1000", "")[len(arguments) :]]
    with tempfile.TemporaryDirectory(prefix="hermes-growth-") as name, databases(Path(name), server or None, 2) as urls:
        for url, without in zip(urls, (False, True), strict=True):
            print("without the indexes of lists and changes:" if without else "with all indexes:", flush=True)
            fill(url, int(appends), int(sessions), without_indexes=without)


if __name__ == "__main__":
    main(sys.argv[1:])
