"""Search"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

from hermes_store import Store
from hermes_store.webui import SessionStorage

from ..bench import Bench, copy
from ..contenders.json_files import session
from ..databases import Content
from ..results import FLOOR, JSON_FILES, OURS
from ..timing import feed
from ..workload import endless, message, messages

#: A word that is in most messages.
FREQUENT = "session"


def run(bench: Bench) -> None:
    _append(bench)
    _find(bench)
    _against_files(bench)


def _append(bench: Bench) -> None:
    """The floor is a store without an index."""
    with bench.scratch() as folder, ExitStack() as stack:
        stores = {}
        for name, search in ((FLOOR, False), (OURS, True)):
            stores[name] = stack.enter_context(Store.open(folder / f"{search}.db", search=search))
            stores[name].sessions.create(session_id="s", title="A title")
            stores[name].messages.extend("s", messages(bench.settings.size(1000, 10)))
        bench.compare(
            "append 1 message (floor: a store without an index)",
            {name: feed(lambda one, s=store: s.messages.append("s", one), endless()) for name, store in stores.items()},
            rounds=20,
            inner=20,
        )
        bench.compare(
            "rename a session (floor: a store without an index)",
            {
                name: feed(lambda one, s=store: s.sessions.update("s", title=one), _titles())
                for name, store in stores.items()
            },
            rounds=10,
            inner=10,
        )


def _titles() -> Iterator[str]:
    return (f"Title {number}" for number in itertools.count())


def _find(bench: Bench) -> None:
    """The floor is a look-up of a session by its id."""
    count = bench.settings.size(100_000, 60)
    path = _compare(bench, count, peers=False)
    with closing(sqlite3.connect(path)) as connection:
        [[text]] = connection.execute("SELECT sum(length(payload)) FROM message_blobs").fetchall()
        [[index]] = connection.execute("SELECT sum(length(block)) FROM message_search_data").fetchall()
    values = {"MB of JSON text": text / 1e6, "MB of the index": index / 1e6}
    bench.measure(f"the index of {count:,} messages", values)
    if bench.settings.peers:
        _compare(bench, bench.settings.size(1000, 10), peers=True)


def _compare(bench: Bench, count: int, *, peers: bool) -> Path:
    """Compare searches among some messages, and return the database."""
    source = bench.database(f"searched-{count}", Content(long={"t": count}))
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(copy(source, folder / "ours.db")))
        searches: dict[str, Callable[[str], object]] = {OURS: store.search}
        for peer in bench.peers(stack, folder, messages=count) if peers else ():
            if "search" in peer.verbs:
                searches[peer.name] = peer.verbs["search"]
        said = ", all contenders" if peers else " (floor: look a session up)"
        for noun, words in {
            "a word of one message": f"message {count // 2}",
            "the first page of a word that is in most": FREQUENT,
        }.items():
            actions: dict[str, Callable[[], object]] = {} if peers else {FLOOR: partial(store.sessions.get, "t")}
            actions |= {name: partial(search, words) for name, search in searches.items()}
            bench.compare(f"find {noun}, among {count:,} messages{said}", actions, rounds=10, inner=5)
    return source


def _against_files(bench: Bench) -> None:
    """As hermes-webui searches contents: each session's file is read, until one has the word."""
    count = bench.settings.size(1000, 5)
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(bench.empty(folder / "ours.db"), durability="normal"))
        paths = []
        for number in range(count):
            talk = [message(number * 20 + place) for place in range(20)]
            path = folder / f"s{number}.json"
            path.write_text(json.dumps(session(number, talk), ensure_ascii=False, indent=2), encoding="utf-8")
            paths.append(path)
            store.sessions.create(session_id=f"s{number}", title=f"Session {number}")
            store.messages.extend(f"s{number}", talk)
        storage = SessionStorage(store)
        word = f"{count * 10}."
        bench.compare(
            f"search the contents of {count:,} sessions of 20 messages",
            {
                JSON_FILES: lambda: _in_files(paths, f"message {word}"),
                OURS: lambda: storage.search(f'"message {word}"'),
            },
            rounds=4,
        )


def _in_files(paths: list[Path], words: str) -> list[Path]:
    return [path for path in paths if _is_in(json.loads(path.read_text(encoding="utf-8")), words)]


def _is_in(data: dict[str, Any], words: str) -> bool:
    return any(words in str(one.get("content") or "").lower() for one in data["messages"])
