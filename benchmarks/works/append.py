"""Append"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from hermes_store import Store

from ..bench import Bench, copy
from ..contenders.floor import Floor
from ..contenders.json_files import JsonFile
from ..results import FLOOR, JSON_FILES, OURS
from ..timing import feed
from ..workload import batches, endless, messages
from .content import sessions, transcripts


def run(bench: Bench) -> None:
    _against_all(bench)
    _by_length(bench)


def _against_all(bench: Bench) -> None:
    """To a session of 1,000 messages, each contender with its own default settings, and with less durability."""
    source, length = transcripts(bench), bench.settings.size(1000, 10)
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(copy(source, folder / "ours.db")))
        floor = Floor(copy(source, folder / "floor.db"))
        stack.callback(floor.close)
        files = JsonFile(folder, messages(length))
        peers = bench.peers(stack, folder, messages=length)
        bench.compare(
            f"append 1 message to {length:,}",
            {
                FLOOR: feed(lambda one: floor.append("l1", [one]), endless()),
                OURS: feed(lambda one: store.messages.append("l1", one), endless()),
                JSON_FILES: feed(lambda one: files.append([one]), endless()),
                **{peer.name: feed(peer.verbs["append"], endless()) for peer in peers},
            },
            rounds=10,
            inner=10,
        )
        bench.compare(
            "append 100 messages in one call",
            {
                FLOOR: feed(lambda many: floor.append("l1", many), batches(100)),
                OURS: feed(lambda many: store.messages.extend("l1", many), batches(100)),
                JSON_FILES: feed(files.append, batches(100)),
                **{
                    peer.name: feed(peer.verbs["append many"], batches(100))
                    for peer in peers
                    if "append many" in peer.verbs
                },
            },
            rounds=12,
        )
    work = "append 100 messages in one call, normal durability"
    _many(bench, work, source)
    with bench.scratch() as folder:
        # The floor has no index of words.
        with Store.open(folder / "wordless.db", search=False) as made:
            made.sessions.create(session_id="s1")
        _many(bench, f"{work}, a store without an index", folder / "wordless.db")


def _many(bench: Bench, work: str, source: Path) -> None:
    """To a session without messages, with normal durability, in copies of a database."""
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(copy(source, folder / "ours.db"), durability="normal"))
        floor = Floor(copy(source, folder / "floor.db"), "normal")
        stack.callback(floor.close)
        bench.compare(
            work,
            {
                FLOOR: feed(lambda many: floor.append("s1", many), batches(100)),
                OURS: feed(lambda many: store.messages.extend("s1", many), batches(100)),
            },
            rounds=30,
            warm=2,
        )


def _by_length(bench: Bench) -> None:
    """To sessions of several lengths, with normal durability."""
    for length in dict.fromkeys(bench.settings.size(length, 2) for length in (10, 100, 1000, 10_000, 50_000)):
        with bench.scratch() as folder, ExitStack() as stack:
            source = sessions(bench)
            store = stack.enter_context(Store.open(copy(source, folder / "ours.db"), durability="normal"))
            floor = Floor(copy(source, folder / "floor.db"), "normal")
            stack.callback(floor.close)
            for target in (store.messages.extend, floor.append):
                target("s1", messages(length - 1))
            actions = {
                FLOOR: feed(lambda one, floor=floor: floor.append("s1", [one]), endless()),
                OURS: feed(lambda one, store=store: store.messages.append("s1", one), endless()),
            }
            if length <= 10_000:
                files = JsonFile(folder, messages(length))
                actions[JSON_FILES] = feed(lambda one, files=files: files.append([one]), endless())
            bench.compare(
                f"append 1 message to {length:,}, normal durability",
                actions,
                rounds=12,
                inner=4 if length == 10_000 else 20,
                warm=4,
                curve=("append", length),
            )
