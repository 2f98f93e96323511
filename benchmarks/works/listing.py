"""List sessions"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Final

from hermes_store import Store

from ..bench import Bench
from ..contenders.floor_lists import Filter, ListFloor
from ..contenders.json_files import IndexedFiles, session
from ..databases import Content
from ..results import FLOOR, JSON_FILES, OURS
from ..workload import message, messages
from .content import listings

_SIZES: Final = (100, 10_000, 100_000, 1_000_000)
_FILTERS: Final[dict[str, dict[str, Any]]] = {
    "archived=False": {"archived": False},
    "a profile": {"profile": "default"},
    "a profile, archived=False": {"profile": "default", "archived": False},
    "a project": {"project_id": "p0"},
    "archived=True": {"archived": True},
    "pinned=True": {"pinned": True},
    "pinned=False": {"pinned": False},
}


def run(bench: Bench) -> None:
    for size in _SIZES:
        sessions = bench.settings.size(size, 60)
        path = listings(bench, sessions)
        with bench.scratch() as folder, ExitStack() as stack:
            store = stack.enter_context(Store.open(path))
            floor = ListFloor(path)
            stack.callback(floor.close)
            actions: dict[str, Callable[..., Any]] = {FLOOR: floor.page, OURS: store.sessions.list}
            if size <= 10_000:
                actions[JSON_FILES] = IndexedFiles(folder, (session(n, messages(1)) for n in range(sessions))).rows
            bench.compare(
                f"list 50 of {sessions:,} sessions", actions, rounds=10, inner=5, warm=3, curve=("list", sessions)
            )
            if size == 10_000:
                _all(bench, store, floor, sessions)
            if size == _SIZES[-1]:
                _filters(bench, store, floor, sessions)
                _deep_page(bench, store, floor, sessions)
    _against_all(bench)


def _all(bench: Bench, store: Store, floor: ListFloor, sessions: int) -> None:
    actions = {FLOOR: floor.list_all, OURS: lambda: [*store.sessions.iterate(include_empty=True)]}
    bench.compare(f"list all of {sessions:,} sessions", actions, rounds=8)


def _require_same(store: Store, floor: ListFloor, wanted: dict[str, Any]) -> None:
    ours = [one.session_id for one in store.sessions.list(**wanted).items]
    if ours != [one["session_id"] for one in floor.page(Filter(**wanted))]:
        raise AssertionError(f"the contenders do not list the same: {wanted}")


def _filters(bench: Bench, store: Store, floor: ListFloor, sessions: int) -> None:
    for name, wanted in _FILTERS.items():
        _require_same(store, floor, wanted)
        bench.compare(
            f"list 50 of {sessions:,} sessions, {name}",
            {
                FLOOR: partial(floor.page, Filter(**wanted)),
                OURS: partial(store.sessions.list, **wanted),
            },
            rounds=10,
            inner=5,
            warm=3,
        )


def _deep_page(bench: Bench, store: Store, floor: ListFloor, sessions: int) -> None:
    pages, last = 0, store.sessions.list(limit=50)
    while last.next is not None and pages < sessions // 1000:
        last, pages = store.sessions.list(limit=50, after=last.next), pages + 1
    cursor, key = last.next, floor.key_of(last.items[-1].session_id)
    bench.compare(
        f"list 50 of {sessions:,} sessions, after {pages + 1:,} pages",
        {FLOOR: lambda: floor.page(after=key), OURS: lambda: store.sessions.list(after=cursor)},
        rounds=10,
        inner=5,
    )


def _list_files(folder: Path) -> list[Any]:
    rows = []
    for file in folder.glob("*.json"):
        data = json.loads(file.read_bytes())
        rows.append((data["updated_at"], data["session_id"], data["title"]))
    return sorted(rows, reverse=True)


def _against_all(bench: Bench) -> None:
    sessions = bench.settings.size(1000, 60)
    path = bench.database("few", Content(sessions=sessions))
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(path))
        floor = ListFloor(path)
        stack.callback(floor.close)
        files = folder / "sessions"
        files.mkdir()
        for number in range(sessions):
            data = {"session_id": f"s{number}", "title": "A title", "updated_at": number, "messages": [message(0)]}
            (files / f"s{number}.json").write_text(json.dumps(data), encoding="utf-8")
        peers = bench.peers(stack, folder, sessions=sessions)
        for work, by_floor, ours, verb in (
            (f"list 50 of {sessions:,} sessions, all contenders", floor.page, store.sessions.list, "list"),
            (f"list all of {sessions:,} sessions", floor.list_all, lambda: [*store.sessions.iterate()], "list all"),
        ):
            bench.compare(
                work,
                {
                    FLOOR: by_floor,
                    OURS: ours,
                    JSON_FILES: lambda: _list_files(files),
                    **{peer.name: peer.verbs[verb] for peer in peers},
                },
                rounds=8,
                inner=5,
            )
