"""Read messages"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from hermes_store import Store

from .. import timing
from ..bench import Bench, copy
from ..contenders.floor import Floor
from ..contenders.json_files import JsonFile
from ..results import FLOOR, JSON_FILES, OURS
from ..timing import Action
from ..workload import messages
from .content import transcripts

_VERIFYING = "floor that verifies"


def run(bench: Bench) -> None:
    with bench.scratch() as folder, ExitStack() as stack:
        path = copy(transcripts(bench), folder / "both.db")
        store = stack.enter_context(Store.open(path))
        floor = Floor(path)
        stack.callback(floor.close)
        _whole(bench, store, floor)
        _pages(bench, store, floor)


def _whole(bench: Bench, store: Store, floor: Floor) -> None:
    expected = store.messages.read("l1")
    with bench.scratch() as folder, ExitStack() as stack:
        files = JsonFile(folder, messages(len(expected)))
        peers = bench.peers(stack, folder, messages=len(expected))
        if not floor.read("l1") == floor.read_verified("l1") == files.read() == expected:
            raise AssertionError("the contenders do not read the same")
        taken = timing.compare(
            {
                FLOOR: Action(lambda: floor.read("l1")),
                _VERIFYING: Action(lambda: floor.read_verified("l1")),
                OURS: Action(lambda: store.messages.read("l1")),
                JSON_FILES: Action(files.read),
                **{peer.name: Action(peer.verbs["read"]) for peer in peers if "read" in peer.verbs},
            },
            rounds=bench.settings.rounds(20),
        )
    verifying = taken.pop(_VERIFYING)
    work = f"read {len(expected):,} messages"
    bench.add(work, taken)
    bench.add(f"{work}, the floor compares digests too", {FLOOR: verifying, OURS: taken[OURS]})
    count = store.messages.count("l50")
    actions = {FLOOR: lambda: floor.read_verified("l50"), OURS: lambda: store.messages.read("l50")}
    bench.compare(f"read {count:,} messages, the floor compares digests too", actions, rounds=5)


def _pages(bench: Bench, store: Store, floor: Floor) -> None:
    store.messages.extend("s1", messages(9))
    for session_id in ("s1", "l1", "l50"):
        count = store.messages.count(session_id)
        expected = store.messages.tail(session_id).items
        if not floor.tail(session_id) == floor.read_verified(session_id, 50) == expected:
            raise AssertionError("the contenders do not read the same")
        with bench.scratch() as folder, ExitStack() as stack:
            peers = bench.peers(stack, folder, messages=count) if session_id == "l1" else []
            taken = timing.compare(
                {
                    FLOOR: Action(partial(floor.tail, session_id)),
                    _VERIFYING: Action(partial(floor.read_verified, session_id, 50)),
                    OURS: Action(partial(store.messages.tail, session_id)),
                    **{peer.name: Action(peer.verbs["tail"]) for peer in peers if "tail" in peer.verbs},
                },
                rounds=bench.settings.rounds(20),
                inner=10,
            )
        verifying = taken.pop(_VERIFYING)
        work = f"last 50 of {count:,} messages"
        bench.add(work, taken)
        bench.add(f"{work}, the floor compares digests too", {FLOOR: verifying, OURS: taken[OURS]})
    length = bench.settings.size(5000, 20)
    store.messages.extend("s2", messages(length - 1))

    def backwards() -> None:
        page = store.messages.tail("s2")
        while page.previous is not None:
            page = store.messages.page("s2", before=page.previous)

    def floor_backwards() -> None:
        for stop in range(length, 0, -50):
            floor.tail("s2", stop=stop)

    work = f"page backwards through {length:,} messages, 50 a page"
    bench.compare(work, {FLOOR: floor_backwards, OURS: backwards}, rounds=10)
