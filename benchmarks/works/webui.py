"""hermes-webui's functions"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from hermes_store import Store
from hermes_store.files import import_directory
from hermes_store.webui import WebUIModels
from hermes_store.webui_format.session_json import SESSION_KEYS

from ..bench import Bench
from ..contenders.json_files import IndexedFiles, session
from ..results import JSON_FILES, OURS
from ..session_storage import NEWER
from ..workload import message

#: How many messages of each session a search looks at, and the text that it looks for.
DEPTH = 5
UNKNOWN = "not there"
Act = Callable[[], object]


class Work(NamedTuple):
    """What is compared: its name, the JSON files' way, ours, and what happens before each of our calls."""

    name: str
    by_files: Act
    ours: Act
    before: Act | None = None


class Program:
    """A folder of sessions with the keys of 2026-08-22, the same in a store, and what hermes-webui does with them."""

    def __init__(self, bench: Bench, folder: Path, store: Store) -> None:
        size = bench.settings.size
        self.count, self.length, self.long = size(10_000, 20), size(1000, 10), size(5746, 12)
        self.numbers = itertools.count()
        self.data = {length: newer(index, length) for index, length in enumerate((10, self.length, self.long))}
        few = (newer(number, 4) for number in range(len(self.data), self.count))
        (folder / "sessions").mkdir()
        self.files = IndexedFiles(folder / "sessions", itertools.chain(few, self.data.values()))
        import_directory(store, folder)
        self.store = store
        self.models = WebUIModels(store, last_workspace=lambda: str(folder))

    def path(self, session_id: str) -> Path:
        return self.files.folder / f"{session_id}.json"

    def saves(self, length: int) -> Iterator[Work]:
        """Yield saves of a session of some length."""
        data = self.data[length]
        sid = data["session_id"]
        live: Any = self.models.get_session(sid)
        storage = self.models.storage
        values, token = storage.load(sid)
        tokens = [token]
        of = f"{length:,} messages among {self.count:,} sessions"

        def in_file(key: str, value: Callable[[int], Any]) -> Act:
            def save() -> None:
                data[key] = value(next(self.numbers))
                self.files.save(data)

            return save

        def in_live(key: str, value: Callable[[int], Any], **how: Any) -> Act:
            def save() -> None:
                setattr(live, key, value(next(self.numbers)))
                live.save(touch_updated_at=False, **how)

            return save

        def append_to_file() -> None:
            data["messages"].append(long_message(next(self.numbers), length))
            self.files.save(data)

        def append_to_live() -> None:
            live.messages.append(long_message(next(self.numbers), length))
            live.save()

        def save_whole() -> None:
            values["messages"].append(long_message(next(self.numbers), length))
            tokens.append(storage.save(sid, values, base=tokens.pop())[0])

        def again() -> None:  # so that a save by the other object is not merged into each
            nonlocal values
            if storage.revision(sid) != tokens[-1].revision:
                values, tokens[-1] = storage.load(sid)

        yield Work(f"save a live session of {of} after 1 more", append_to_file, append_to_live)
        yield Work("the same with SessionStorage.save of the whole", append_to_file, save_whole, again)
        for name, key, value in (
            ("title", "title", lambda number: f"Title {number}"),
            ("draft", "composer_draft", lambda number: {"text": f"What about {number}"}),
            ("pin", "pinned", lambda number: number % 4 > 1),
        ):
            by_file = in_file(key, value)
            yield Work(f"save its {name}", by_file, in_live(key, value))
            yield Work(f"save its {name} with only={{{key!r}}}", by_file, in_live(key, value, only={key}))

    def loads(self, length: int) -> Iterator[Work]:
        """Yield ways to read a session of some length."""
        sid = self.data[length]["session_id"]
        path, models = self.path(sid), self.models

        def load_file() -> object:
            return json.loads(path.read_text(encoding="utf-8"))

        yield Work(f"load {length:,} messages, live", load_file, lambda: models.Session.load(sid))
        yield Work(f"load {length:,} messages, SessionStorage", load_file, lambda: models.storage.load(sid))
        yield Work(
            f"load the metadata of {length:,} messages (JSON: the whole file)",
            load_file,
            lambda: models.Session.load_metadata_only(sid),
        )

    def lists(self) -> Iterator[Work]:
        """Yield lists of all sessions."""
        models, store = self.models, self.store
        sid = self.data[10]["session_id"]
        yield Work(f"all_sessions of {self.count:,} sessions", self.files.rows, models.all_sessions)
        yield Work(
            "the same when one session was written since",
            self.files.rows,
            models.all_sessions,
            lambda: store.sessions.update(sid, title=f"Title {next(self.numbers)}"),
        )
        yield Work("the same for the first time", self.files.rows, lambda: WebUIModels(store).all_sessions())
        newer_keys = [key for key in {**SESSION_KEYS, **NEWER} if key not in ("messages", "tool_calls")][:55]
        for keys in (newer_keys[:20], newer_keys):
            index = self.files.folder.parent / f"index-{len(keys)}.json"
            index.write_text(json.dumps(models.storage.rows(keys), indent=2), encoding="utf-8")

            def read(index: Path = index) -> object:
                return json.loads(index.read_text(encoding="utf-8"))

            def rows(keys: list[str] = keys) -> object:
                return models.storage.rows(keys)

            yield Work(f"rows of {self.count:,} sessions with {len(keys)} keys (JSON: an index of these)", read, rows)

    def searches(self, count: int) -> Iterator[Work]:
        """Yield searches through the contents of some sessions of 20 messages."""
        made = [newer(number, 20) for number in range(self.count, self.count + count)]
        for data in made:
            self.path(data["session_id"]).write_text(json.dumps(data, ensure_ascii=False, indent=2), encoding="utf-8")
        import_directory(self.store, self.files.folder.parent)
        ids = [data["session_id"] for data in made]

        def by_files(first: int | None) -> list[str]:
            loaded = (json.loads(self.path(sid).read_text(encoding="utf-8")) for sid in ids)
            return [data["session_id"] for data in loaded if is_found(data["messages"][:first])]

        def by_contents(first: int | None) -> list[str]:
            found = self.models.storage.contents(ids, first=first, text=UNKNOWN)
            return [sid for sid, messages in found if is_found(messages)]

        for name, first in ((f"the first {DEPTH} messages", DEPTH), ("all 20 messages", None)):
            yield Work(f"search {name} of {count} sessions", partial(by_files, first), partial(by_contents, first))


def newer(number: int, length: int) -> dict[str, Any]:
    """Return a session with the keys of 2026-08-22."""
    return {**NEWER, **session(number, [long_message(index, length) for index in range(length)])}


def long_message(number: int, length: int) -> dict[str, Any]:
    """Return a message for a session of a length; of about 6 KB where there are thousands of them."""
    value = message(number)
    return value if length <= 1000 else {**value, "content": value["content"] * 7}


def is_found(found: list[Any]) -> bool:
    """Whether one of some messages has a text that none has."""
    return any(UNKNOWN in str(each.get("content") or "").lower() for each in found)


def run(bench: Bench) -> None:
    with bench.scratch() as folder, Store.open(bench.empty(folder / "ours.db")) as store:
        program = Program(bench, folder, store)
        for works, rounds in (
            (program.saves(program.length), 10),
            (program.lists(), 10),
            (program.searches(bench.settings.size(300, 3)), 6),
            *((program.loads(length), 10) for length in program.data),
            (program.saves(program.long), 4),
        ):
            for work in works:
                actions = {JSON_FILES: work.by_files, OURS: work.ours}
                bench.compare(work.name, actions, rounds=rounds, before=partial(_before, work.before))


def _before(act: Act | None, contender: str) -> None:
    if act is not None and contender == OURS:
        act()
