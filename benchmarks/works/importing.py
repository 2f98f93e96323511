"""Import"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from hermes_store import AgentBridge, Store
from hermes_store.files import import_directory

from .. import import_agent
from ..bench import Bench
from ..contenders.floor import Floor
from ..contenders.json_files import session
from ..results import FLOOR, OURS
from ..timing import Action, Figures, figures, timed
from ..workload import digest, encode, messages, users

#: hermes_store reads a file again that is younger than this, as it may change unnoticed.
_SETTLED_SECONDS = 2.5
_PARSING = "json.load of the files"
_WITH_WORDS = "by hand, with words"
_WORDLESS = "a store without an index"
#: An index of words in which FTS5 finds the words itself: of languages with spaces, and without parts of identifiers.
_WORDS_BY_HAND = "CREATE VIRTUAL TABLE words_by_hand USING fts5(text, content='', columnsize=0)"


def run(bench: Bench) -> None:
    _directory(bench)
    _state_db(bench)


def write_directory(home: Path, count: int, most: int) -> list[Path]:
    """Write the JSON files of sessions, and return them.

    Args:
        home: the folder that has them, in "sessions".
        count: how many.
        most: the largest number of messages; the smallest is a fifth of it.
    """
    chance = random.Random(3)
    folder = home / "sessions"
    folder.mkdir(parents=True)
    paths = []
    for number in range(count):
        data = session(number, messages(chance.randint(most // 5, most), first=number))
        path = folder / f"{data['session_id']}.json"
        path.write_text(json.dumps(data, ensure_ascii=False, indent=2), encoding="utf-8")
        paths.append(path)
    return paths


def _parse(paths: Sequence[Path]) -> None:
    for path in paths:
        with path.open(encoding="utf-8") as file:
            json.load(file)


def _insert_by_hand(paths: Sequence[Path], floor: Floor, index: Callable[[Floor, list[Any]], object]) -> None:
    """Parse the files, and insert their sessions and messages, 100 files in a transaction.

    Args:
        paths: the files.
        floor: where to.
        index: called with the messages of each session when they were inserted.
    """
    execute = floor.connection.execute
    for start in range(0, len(paths), 100):
        execute("BEGIN IMMEDIATE")
        for path in paths[start : start + 100]:
            raw = path.read_bytes()
            digest(raw)
            data: dict[str, Any] = json.loads(raw)
            encoded = [encode(one) for one in data["messages"]]
            key = execute(
                "INSERT INTO sessions (session_id, title, workspace, model, created_at, updated_at, activity_at, "
                "last_message_at, last_activity_at, message_count, user_message_count) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                (
                    *(data[name] for name in ("session_id", "title", "workspace", "model", "created_at", "updated_at")),
                    *[encoded[-1].timestamp] * 3,
                    len(encoded),
                    users(encoded),
                ),
            ).lastrowid
            floor.insert(key or 0, 0, encoded)
            index(floor, data["messages"])
        execute("COMMIT")


def _without_words(_floor: Floor, _messages: list[Any]) -> None:
    """Leave the index out."""


def _add_words(floor: Floor, messages: list[Any]) -> None:
    """Add the texts of the messages that were inserted last to a table that has words as FTS5 finds them."""
    (last,) = floor.connection.execute("SELECT max(id) FROM messages").fetchone()
    rows = [(row_id, message["content"]) for row_id, message in enumerate(messages, last - len(messages) + 1)]
    floor.connection.executemany("INSERT INTO words_by_hand (rowid, text) VALUES (?, ?)", rows)


def _directory(bench: Bench) -> None:
    taken: dict[str, list[tuple[float, float]]] = {}

    def time_it(name: str, action: Any) -> None:
        taken.setdefault(name, []).append(timed(Action(action)))

    with bench.scratch() as home:
        paths = write_directory(home, bench.settings.size(1000, 5), 100)
        time.sleep(_SETTLED_SECONDS)
        for _ in range(bench.settings.rounds(3)):
            with bench.scratch() as folder:
                time_it(_PARSING, lambda: _parse(paths))
                with closing(Floor(bench.empty(folder / "floor.db"))) as floor:
                    time_it(FLOOR, lambda floor=floor: _insert_by_hand(paths, floor, _without_words))
                with closing(Floor(bench.empty(folder / "words.db"))) as floor:
                    floor.connection.execute(_WORDS_BY_HAND)
                    time_it(_WITH_WORDS, lambda floor=floor: _insert_by_hand(paths, floor, _add_words))
                with Store.open(bench.empty(folder / "ours.db")) as store:
                    time_it(OURS, lambda store=store: import_directory(store, home))
                    if store.stats().sessions != len(paths):
                        raise AssertionError("not every file was imported")
                    time_it("again", lambda store=store: import_directory(store, home))
                with Store.open(folder / "wordless.db", search=False) as store:
                    time_it(_WORDLESS, lambda store=store: import_directory(store, home))
    found = {name: figures(times) for name, times in taken.items()}
    files = f"import {len(paths):,} JSON files"
    bench.add(f"{files}, the floor: json.load of them", {FLOOR: found[_PARSING], OURS: found[OURS]})
    bench.add(f"{files}, the floor: parse and insert them", {FLOOR: found[FLOOR], OURS: found[OURS]})
    wordless = f"{files} into a store without an index"
    bench.add(f"{wordless}, the floor: json.load of them", {FLOOR: found[_PARSING], OURS: found[_WORDLESS]})
    bench.add(f"{wordless}, the floor: parse and insert them", {FLOOR: found[FLOOR], OURS: found[_WORDLESS]})
    with_words = {FLOOR: found[_WITH_WORDS], OURS: found[OURS]}
    bench.add(f"{files}, the floor: the same, and index their words with FTS5 alone", with_words)
    unchanged: dict[str, Figures] = {FLOOR: found[_PARSING], OURS: found["again"]}
    bench.add(f"{files} that did not change, the floor: json.load of them", unchanged)


def _state_db(bench: Bench) -> None:
    size = bench.settings.size
    sessions, count = size(1000, 5), size(50_000, 50)
    floors, ours, wordless = [], [], []
    with bench.scratch() as home:
        state_db = home / "state.db"
        import_agent.write(state_db, sessions, count)
        for _ in range(bench.settings.rounds(3)):
            floors.append(timed(Action(lambda: import_agent.read(state_db))))
            with bench.scratch() as folder, Store.open(bench.empty(folder / "ours.db")) as store:
                bridge = AgentBridge(state_db, store=store)
                ours.append(timed(Action(bridge.import_sessions)))
            with bench.scratch() as folder, Store.open(folder / "ours.db", search=False) as store:
                bridge = AgentBridge(state_db, store=store)
                wordless.append(timed(Action(bridge.import_sessions)))
    work = f"import a state.db of {count:,} messages"
    bench.add(f"{work}, the floor: read them", {FLOOR: figures(floors), OURS: figures(ours)})
    into = f"{work} into a store without an index, the floor: read them"
    bench.add(into, {FLOOR: figures(floors), OURS: figures(wordless)})
