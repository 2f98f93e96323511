"""Many who append to one session at once: every message is there, once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.statements import before_each
from tests.support.threads import all_well, in_a_thread, together
from tests.support.webui.second_writer import Elsewhere, Writer
from tests.support.webui.sessions import said
from tests.support.webui.standin import WebUI

Moment = Literal["begin", "commit"]
FOUR = said("a", "b", "c", "d")
E, F, G = said("e", "f", "g")


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("sqlite_path" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def store(target: str) -> Iterator[Store]:
    with Store.open(target, durability="normal", busy_timeout=60) as store:
        yield store


@pytest.fixture
def webui(store: Store, tmp_path: Path) -> WebUI:
    return WebUI(store, home=tmp_path / "hermes-home")


@pytest.fixture
def busy(models: WebUIModels) -> str:
    """The id of a session without messages."""
    session = models.Session(title="Busy")
    session.save()
    return session.session_id


@pytest.mark.slow
def test_threads_and_processes_append_each_message_once(store: Store, target: str, busy: str) -> None:
    processes = [Elsewhere(), Elsewhere()]
    threads, each = 6, 8
    for number, process in enumerate(processes):
        process.open(target)
        process.begin("append_each", busy, f"process {number}", each)
    names = [f"thread {number}" for number in range(threads)]
    all_well(together(*(partial(Writer(target, store).append_each, busy, name, each) for name in names)))
    for process in processes:
        process.finish()
        process.close()
        process.end()
    found = [message["content"] for message in store.messages.read(busy)]
    names += ["process 0", "process 1"]
    assert sorted(found) == sorted(f"{name}/{number}" for name in names for number in range(each))
    for name in names:  # each one's own in the order that he said them
        assert [text for text in found if text.startswith(f"{name}/")] == [f"{name}/{n}" for n in range(each)]
    assert store.sessions.get(busy).message_count == len(found)


def test_threads_append_each_message_once_through_one_object(models: WebUIModels, store: Store, busy: str) -> None:
    session = models.get_session(busy)

    def append(name: int) -> None:
        for number in range(8):
            session.messages.append({"content": f"{name}/{number}"})
            session.save()

    all_well(together(*(partial(append, name) for name in range(8))))
    found = store.messages.read(busy)
    assert sorted(message["content"] for message in found) == sorted(f"{n}/{k}" for n in range(8) for k in range(8))
    assert session.messages == found


# The moments of a save at which another thread goes on: before anything is read, and when all is written.
MOMENTS: tuple[Moment, ...] = ("begin", "commit")


@pytest.mark.parametrize("merging", [False, True], ids=["alone", "while it merges"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_thread_appends_during_a_save_stays(
    models: WebUIModels, store: Store, moment: Moment, merging: bool
) -> None:
    mine = models.Session(title="Trip", messages=copy.deepcopy(FOUR))
    mine.save()
    if merging:
        store.messages.append(mine.session_id, E)
    late: list[Any] = []

    def append_late() -> None:
        if not late:
            late.append(in_a_thread(partial(mine.messages.append, G)))

    mine.messages.append(F)
    with before_each(store, moment, append_late):
        mine.save()
    assert late == [None]
    saved = [*FOUR, *([E] if merging else []), F]
    assert store.messages.read(mine.session_id) == saved
    assert mine.messages == [*saved, G]
    assert mine.is_dirty()
    mine.save()
    assert mine.messages == store.messages.read(mine.session_id) == [*saved, G]
