"""Sessions"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

from hermes_store import Store

from ..bench import Bench, copy
from ..contenders.floor import Floor
from ..peers import Peer
from ..results import FLOOR, OURS
from ..timing import Action, call, feed
from ..workload import message, messages, names
from .content import sessions


def run(bench: Bench) -> None:
    source = sessions(bench)
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(copy(source, folder / "ours.db")))
        floor = Floor(copy(source, folder / "floor.db"))
        stack.callback(floor.close)
        peers = bench.peers(stack, folder)
        for peer in peers:
            call(peer.verbs["append"], message(0))
        _reads(bench, store, floor, peers)
        _writes(bench, store, floor, peers, "")
    with bench.scratch() as folder, ExitStack() as stack:
        store = stack.enter_context(Store.open(copy(source, folder / "ours.db"), durability="normal"))
        floor = Floor(copy(source, folder / "floor.db"), "normal")
        stack.callback(floor.close)
        _writes(bench, store, floor, [], ", normal durability")
        _purge(bench, store, floor)
        _forks(bench, store, floor)
        _cuts(bench, store, floor)


def any_session(bench: Bench) -> Iterator[str]:
    """Yield ids of sessions in any order."""
    chance, count = random.Random(1), bench.settings.size(10_000, 60)
    while True:
        yield f"s{chance.randrange(count)}"


def _of_peers(peers: list[Peer], verb: str) -> dict[str, Callable[..., Any]]:
    return {peer.name: peer.verbs[verb] for peer in peers if verb in peer.verbs}


def _reads(bench: Bench, store: Store, floor: Floor, peers: list[Peer]) -> None:
    bench.compare(
        "get a session",
        {
            FLOOR: feed(floor.get, any_session(bench)),
            OURS: feed(store.sessions.get, any_session(bench)),
            **_of_peers(peers, "get"),
        },
        rounds=20,
        inner=25,
        warm=5,
    )
    actions = {FLOOR: feed(floor.exists, any_session(bench)), OURS: feed(store.sessions.exists, any_session(bench))}
    bench.compare("ask whether a session exists", actions, rounds=20, inner=25, warm=5)


def _writes(bench: Bench, store: Store, floor: Floor, peers: list[Peer], said: str) -> None:
    def retitle(target: Callable[[str, str], object]) -> Action:
        # As with the peers, it is always the same one.
        return Action(target, (("s0", title) for title in names("Title ")))

    bench.compare(
        f"change a session's title{said}",
        {
            FLOOR: retitle(floor.rename),
            OURS: retitle(lambda session_id, title: store.sessions.update(session_id, title=title)),
            **{name: feed(verb, names("Title ")) for name, verb in _of_peers(peers, "rename").items()},
        },
        rounds=12,
        inner=12,
        warm=5,
    )

    def create(session_id: str) -> None:
        store.sessions.create(session_id=session_id, title="A title", workspace="/home/someone", model="claude")

    verbs: dict[str, Callable[..., Any]] = {
        FLOOR: lambda session_id: floor.create(session_id, "A title"),
        OURS: create,
        **_of_peers(peers, "create"),
    }
    actions = {name: feed(verb, names("new")) for name, verb in verbs.items()}
    bench.compare(f"create a session{said}", actions, rounds=10, inner=10, warm=2)
    # Those that were created are deleted, and restored.
    verbs = {FLOOR: floor.delete, OURS: store.sessions.delete, **_of_peers(peers, "delete")}
    actions = {name: feed(verb, names("new")) for name, verb in verbs.items()}
    bench.compare(f"delete a session{said}", actions, rounds=10, inner=8)
    actions = {FLOOR: feed(floor.restore, names("new")), OURS: feed(store.sessions.restore, names("new"))}
    bench.compare(f"restore a session{said}", actions, rounds=10, inner=8)


def _purge(bench: Bench, store: Store, floor: Floor) -> None:
    length = bench.settings.size(1000, 10)
    for number in range(bench.settings.rounds(10) + 1):
        store.sessions.create(session_id=f"purge{number}", title="A title")
        store.messages.extend(f"purge{number}", messages(length))
        floor.create(f"purge{number}", "A title")
        floor.append(f"purge{number}", messages(length))
    actions = {FLOOR: feed(floor.purge, names("purge")), OURS: feed(store.sessions.purge, names("purge"))}
    bench.compare(f"purge a session of {length:,} messages, normal durability", actions, rounds=10)


def _forks(bench: Bench, store: Store, floor: Floor) -> None:
    length = bench.settings.size(1000, 10)
    _fill(store, floor, "long", length)
    actions = {
        FLOOR: feed(lambda new_id: floor.fork("long", new_id), names("fork")),
        OURS: feed(lambda new_id: store.sessions.fork("long", new_id=new_id), names("fork")),
    }
    bench.compare(f"fork a session of {length:,} messages, normal durability", actions, rounds=10, warm=1)
    # A tree: each fork has ten forks of its own.
    count = bench.settings.size(100, 5)
    _fill(store, floor, "tree0", 1)
    for number in range(count):
        store.sessions.fork(f"tree{number // 10}", new_id=f"tree{number + 1}")
        floor.fork(f"tree{number // 10}", f"tree{number + 1}")
    actions = {FLOOR: Action(lambda: floor.lineage("tree0")), OURS: Action(lambda: store.sessions.lineage("tree0"))}
    bench.compare(f"the lineage of a session with {count:,} forks", actions, rounds=10, inner=5)


def _cuts(bench: Bench, store: Store, floor: Floor) -> None:
    length, cut = bench.settings.size(1000, 20), 10
    _fill(store, floor, "cut", length)

    def prepare(append: Callable[..., Any]) -> Callable[[], object]:
        return lambda: append("cut", messages(cut))

    def ours(revision: int) -> None:
        store.messages.truncate("cut", keep=length - cut, expected_revision=revision)

    def theirs(revision: int) -> None:
        floor.truncate("cut", length - cut, revision)

    def undone(revision: int) -> None:
        ours(revision)
        store.messages.undo("cut")

    def theirs_undone(revision: int) -> None:
        theirs(revision)
        floor.undo("cut")

    actions = {
        FLOOR: feed(theirs, _revisions(lambda: floor.get("cut")["revision"], prepare(floor.append))),
        OURS: feed(ours, _revisions(lambda: store.sessions.get("cut").revision, prepare(store.messages.extend))),
    }
    bench.compare(f"remove {cut} of {length:,} messages, kept for an undo, normal durability", actions, rounds=10)
    store.messages.extend("cut", messages(cut))
    floor.append("cut", messages(cut))
    actions = {
        FLOOR: feed(theirs_undone, _revisions(lambda: floor.get("cut")["revision"], lambda: None)),
        OURS: feed(undone, _revisions(lambda: store.sessions.get("cut").revision, lambda: None)),
    }
    bench.compare(f"remove {cut} of {length:,} messages and undo it, normal durability", actions, rounds=10)


def _revisions(revision: Callable[[], int], prepare: Callable[[], object]) -> Iterator[int]:
    """Yield the revision at which a transcript can be cut, after it was filled up."""
    while True:
        yield revision()
        prepare()


def _fill(store: Store, floor: Floor, name: str, length: int) -> None:
    store.sessions.create(session_id=name, title="A title")
    store.messages.extend(name, messages(length))
    floor.create(name, "A title")
    floor.append(name, messages(length))
