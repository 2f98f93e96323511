"""Usage"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from hermes_store import Store

from ..bench import Bench, copy
from ..contenders.floor import Floor
from ..results import FLOOR, OURS
from ..timing import Action, feed
from ..workload import BEGINNING
from .content import sessions
from .session import any_session


def run(bench: Bench) -> None:
    source = sessions(bench)
    for durability in ("full", "normal"):
        with bench.scratch() as folder, ExitStack() as stack:
            _record(bench, stack, source, folder, durability)
    with bench.scratch() as folder:
        _totals(bench, copy(source, folder / "both.db"))


def _record(bench: Bench, stack: ExitStack, source: Path, folder: Path, durability: Any) -> None:
    store = stack.enter_context(Store.open(copy(source, folder / "ours.db"), durability=durability))
    floor = Floor(copy(source, folder / "floor.db"), durability)
    stack.callback(floor.close)
    said = "" if durability == "full" else f", {durability} durability"
    actions = {
        FLOOR: Action(floor.use, ((name, use()) for name in any_session(bench))),
        OURS: feed(lambda name: store.usage.record(name, **use()), any_session(bench)),
    }
    bench.compare(f"record what a session used{said}", actions, rounds=12, inner=12, warm=5)


def use() -> dict[str, Any]:
    """Return what one call of a model used."""
    tokens = {"input_tokens": 2_000, "output_tokens": 300, "cache_read_tokens": 1_500}
    return {"model": "anthropic/claude-sonnet-4.5", "provider": "anthropic", **tokens, "cost": 0.01}


def _totals(bench: Bench, path: Path) -> None:
    """The floor has days in UTC alone."""
    count, days = bench.settings.size(100_000, 60), 365
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM usage")
        connection.executemany(
            "INSERT INTO usage (session_id, profile, model, provider, kind, at, input_tokens, output_tokens, cost) "
            "VALUES (?, 'default', ?, 'anthropic', 'record', ?, 2000, 300, 10000000)",
            _rows(count, bench.settings.size(10_000, 60), days),
        )
    with Store.open(path) as store, closing(Floor(path)) as floor:
        for by in (["day"], ["day", "model"]):
            actions = {
                FLOOR: Action(lambda by=by: floor.usage_totals(by)),
                OURS: Action(lambda by=by: store.usage.totals(by)),
            }
            said = f"the totals by {' and '.join(by)} of {count:,} records in {days} days"
            bench.compare(said, actions, rounds=6, inner=2)


def _rows(count: int, of_sessions: int, days: int) -> Iterator[tuple[int, str, float]]:
    for number in range(count):
        yield number % of_sessions + 1, f"model-{number % 3}", BEGINNING + days * 86_400 * number / count
