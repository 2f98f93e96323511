"""Three writers of one session at once: nothing that was acknowledged is lost, whoever else writes or is killed.

`HERMES_STORE_TEST_SECONDS=600` lets each test run for ten minutes, with a new session every few seconds.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.other_process import Child
from tests.support.threads import all_well, together
from tests.support.webui.three_writers import WRITERS, require_all_landed, write

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("HERMES_STORE_TEST_SECONDS", "1"))
#: The most seconds for one session.
ROUND = 5.0


def run(database: Path, writers: Callable[[str, float, str], list[Path]]) -> None:
    """Let writers write to one session after the other, and check each.

    Args:
        writers: lets them write to a session until a time of the monotonic clock, from a seed, and returns the files
            of what they wrote down.
    """
    over = time.monotonic() + SECONDS
    rounds = 0
    while rounds == 0 or time.monotonic() < over:
        seed, session_id = str(random.randrange(10**9)), f"s{rounds}"
        print(f"seed {seed}")
        with Store.open(database, durability="normal", busy_timeout=60) as store:
            WebUIModels(store).Session(session_id=session_id, cache_read_tokens=0).save()
        paths = writers(session_id, time.monotonic() + min(ROUND, SECONDS), seed)
        with Store.open(database, durability="normal") as store:
            assert require_all_landed(store, session_id, paths) > 10
            store.sessions.purge(session_id)
        for path in paths:
            path.unlink()
        rounds += 1


@pytest.fixture(params=["live", "held"])
def is_live(request: pytest.FixtureRequest) -> bool:
    """Whether the writers have live sessions, or their own, which they save through `SessionStorage`."""
    return bool(request.param == "live")


def test_no_append_of_three_threads_is_lost(sqlite_path: Path, tmp_path: Path, is_live: bool) -> None:
    def writers(session_id: str, until: float, seed: str) -> list[Path]:
        paths = {name: tmp_path / f"{session_id}-{name}" for name in WRITERS}
        with Store.open(sqlite_path, durability="normal", busy_timeout=60) as store:
            all_well(
                together(
                    *(
                        partial(write, store, (name, session_id, paths[name], seed), until, is_live=is_live)
                        for name in WRITERS
                    )
                )
            )
        return list(paths.values())

    run(sqlite_path, writers)


def test_killing_some_of_three_writers_loses_no_append(sqlite_path: Path, tmp_path: Path, is_live: bool) -> None:
    def writers(session_id: str, until: float, seed: str) -> list[Path]:
        paths: list[Path] = []
        chance = random.Random(seed)

        def start(name: str) -> Child:
            path = tmp_path / f"{session_id}-{len(paths)}"
            path.touch()
            paths.append(path)
            who = (name, session_id, path, f"{seed}-{len(paths)}")
            return Child(lambda _: write(str(sqlite_path), who, until, is_live=is_live))

        children = {name: start(name) for name in WRITERS}
        while (left := until - time.monotonic()) > 0.3:
            time.sleep(min(left, 0.3 + chance.random() * 0.3))
            name = chance.choice(list(WRITERS))
            children[name].kill()
            children[name].connection.close()
            children[name] = start(name)
        for child in children.values():
            assert child.said() is None
            child.end()
        return paths

    run(sqlite_path, writers)
