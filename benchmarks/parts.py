"""Where the time of single verbs goes, by the functions of the library that they call.

    python -m benchmarks.parts [--rounds 30]

Medians of processor time, in microseconds, in normal durability. The time of a part is without that of the other
parts inside it (but the index of words is with its statements), and without what the clock takes. "rest" is what the
verb takes without the clock and no part has: arguments, locks, calls of functions, parts of less than a hundredth.
"""

from __future__ import annotations

import argparse
import gc
import pkgutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from unittest import mock

from hermes_store import Store
from hermes_store.webui import SessionStorage

from . import databases, report
from .bench import copy
from .contenders.floor import Floor
from .contenders.floor_lists import ListFloor
from .workload import endless, names

Act = Callable[[], object]

_UNIT: Final = "storage.dialects.sqlite_unit.SQLiteUnitOfWork"
_INDEX: Final = "storage.dialects.sqlite_words.SQLiteWordIndex"
#: By the name of a part: its functions.
PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "begin": (f"{_UNIT}._begin",),
    "commit": (f"{_UNIT}._commit",),
    "release": (f"{_UNIT}._release",),
    "is the file still there": ("storage.dialects.sqlite_place.Place.require_unmoved",),
    "finding the session": ("storage.session_keys.find",),
    "statements": (f"{_UNIT}.rows", f"{_UNIT}.execute", f"{_UNIT}.execute_many"),
    "types and conversions": ("storage.statement.CompiledStatement.rows", "storage.statement.CompiledStatement.bind"),
    "records": ("storage.session_records.to_records", "storage.session_listing.to_records"),
    "originals of values": ("storage.document_rows.write",),
    "comparing": ("storage.message_differences.compare",),
    "what an undo needs": ("storage.cut_rows.keep_difference",),
    "encoding": ("transcripts.encoding.encode_one",),
    "digests": ("transcripts.json_codec.are_intact", "transcripts.json_codec.digest"),
    "decoding": ("transcripts.json_codec.decode_all", "transcripts.json_codec.decode"),
    "index of words": (f"{_INDEX}.find", f"{_INDEX}.put_title", f"{_INDEX}.add_messages"),
    "texts of messages": ("storage.search_rows.text_of",),
    "words": ("storage.search_rows.words_of",),
    "scores": ("words.matching.Matcher.score",),
    "snippets": ("words.matching.Matcher.snippet",),
    "copies for the next save": ("webui.tokens.Token.of",),
}
#: How many calls a turn has.
INNER: Final = 10
#: Parts with the others inside them.
WHOLE: Final = frozenset({"index of words"})


class Clock:
    """Adds up the microseconds of parts, each without those inside it."""

    def __init__(self) -> None:
        self.taken: defaultdict[str, float] = defaultdict(float)
        self._inside = [0.0]
        self._is_whole = False
        #: What the clock adds to a part, and to what the part is in.
        self._own = self._around = 0.0
        nothing = self.timed("", lambda: None)
        calls = [_microseconds(nothing) for _ in range(2_000)]
        self._own = self.taken.pop("") / len(calls)
        self._around = max(0.0, statistics.median(calls) - self._own)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if self._is_whole:
                return function(*arguments, **named)
            self._is_whole = part in WHOLE
            self._inside.append(0.0)
            started = time.thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                taken = (time.thread_time_ns() - started) / 1e3
                self.taken[part] += taken - self._own - self._inside.pop()
                self._inside[-1] += taken + self._around
                self._is_whole = False

        return call

    def run(self, act: Act) -> list[dict[str, float]]:
        """Call a verb as often as a turn has calls, and return the times of its parts in each of them."""
        with ExitStack() as stack:
            for part, functions in PARTS.items():
                for name in (f"hermes_store.{function}" for function in functions):
                    stack.enter_context(mock.patch(name, self.timed(part, pkgutil.resolve_name(name))))
            found = []
            for _ in range(INNER):
                self.taken.clear()
                act()
                found.append({part: self.taken[part] for part in PARTS})
        return found


def _microseconds(act: Act) -> float:
    started = time.thread_time_ns()
    act()
    return (time.thread_time_ns() - started) / 1e3


def works(folder: Path, stack: ExitStack) -> Iterator[tuple[str, Act, Act | None]]:
    """Yield verbs, and SQL by hand for them, in a store of 1,000 sessions of one message and one of 1,000."""
    content = databases.Content(sessions=1_000, profiles=20, projects=50, long={"t": 1_000})
    source = databases.build(folder / "source.db", content)
    store = stack.enter_context(Store.open(copy(source, folder / "ours.db"), durability="normal"))
    floor = Floor(copy(source, folder / "floor.db"), "normal")
    stack.callback(floor.close)
    lists = ListFloor(source)
    stack.callback(lists.close)
    sessions, messages, storage = store.sessions, store.messages, SessionStorage(store)
    titles, new_messages = names("Title "), endless()
    yield "get a session", lambda: sessions.get("s7"), lambda: floor.get("s7")
    yield "list 50 of 1,000 sessions", sessions.list, lists.page
    yield "last 50 of 1,000 messages", lambda: messages.tail("t"), lambda: floor.tail("t")
    yield "`SessionStorage.load` of 1,000 messages", lambda: storage.load("t"), lambda: floor.read("t")
    yield "search a word of one message", lambda: store.search("message 500"), None
    yield "search a frequent word", lambda: store.search("session"), None
    transcript, of_floor = messages.read("t"), floor.read("t")
    revisions, floor_revisions = [transcript.revision], [transcript.revision]

    def edited(transcript: list[Any]) -> list[Any]:
        transcript[500] = next(new_messages)
        return transcript

    yield (
        "replace 1,000 messages, 1 of them changed",
        lambda: revisions.append(messages.replace("t", edited(transcript), expected_revision=revisions[-1]).revision),
        lambda: floor_revisions.append(floor.replace("t", edited(of_floor), floor_revisions[-1])),
    )
    yield (
        "change a title",
        lambda: sessions.update("s7", title=next(titles)),
        lambda: floor.rename("s7", next(titles)),
    )
    yield (
        "append 1 message",
        lambda: messages.append("t", next(new_messages)),
        lambda: floor.append("t", [next(new_messages)]),
    )


def row(name: str, ours: Act, floor: Act | None, rounds: int) -> list[str]:
    """Return a row of the table: medians in microseconds, the largest part first."""
    clock, found = Clock(), defaultdict[str, list[float]](list)
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        found["floor"] += [0.0 if floor is None else _microseconds(floor) for _ in range(INNER)]
        found["ours"] += [_microseconds(ours) for _ in range(INNER)]
        for times in clock.run(ours):
            for part, taken in times.items():
                found[part].append(taken)
    medians = {part: statistics.median(values) for part, values in found.items()}
    least, whole = medians.pop("floor"), medians.pop("ours")
    parts = {part: value for part, value in medians.items() if value * 100 >= whole}
    parts["rest"] = whole - sum(parts.values())
    listed = ", ".join(f"{part} {parts[part]:,.0f}" for part in sorted(parts, key=lambda part: -parts[part]))
    return [name, f"{least:,.0f}" if least else "", f"{whole:,.0f}", listed]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="how many turns of ten calls (default: 30)")
    rounds = parser.parse_args(arguments).rounds
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        rows = [row(*work, rounds) for work in works(Path(folder), stack)]
    print(report.as_markdown([["work", "floor, µs", "hermes_store, µs", "parts, µs"], *rows]))


if __name__ == "__main__":
    main()
