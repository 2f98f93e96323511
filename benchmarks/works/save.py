"""Save an edited transcript"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hermes_store import Store

from ..bench import Bench, copy
from ..contenders.floor import Floor
from ..contenders.json_files import JsonFile
from ..results import FLOOR, JSON_FILES, OURS
from ..workload import message, messages
from .content import transcripts


def run(bench: Bench) -> None:
    for durability, said in (("full", ""), ("normal", ", normal durability")):
        source = transcripts(bench)
        with bench.scratch() as folder, ExitStack() as stack:
            store = stack.enter_context(Store.open(copy(source, folder / "ours.db"), durability=durability))  # type: ignore[arg-type]
            floor = Floor(copy(source, folder / "floor.db"), durability)
            stack.callback(floor.close)
            actions: dict[str, Callable[[], object]] = {FLOOR: _by_floor(floor), OURS: _by_store(store)}
            count = len(floor.read("l1"))
            if durability == "full":
                actions[JSON_FILES] = _by_file(JsonFile(folder, messages(count)))
            bench.compare(f"replace {count:,} messages, 1 changed and 1 added{said}", actions, rounds=30, warm=2)


def _edit(transcript: list[Any], number: int) -> None:
    transcript[len(transcript) // 2] = {"role": "user", "content": f"Edited {number}"}
    transcript.append(message(number))


def _by_floor(floor: Floor) -> Callable[[], object]:
    transcript, numbers = floor.read("l1"), itertools.count()
    revision = floor.get("l1")["revision"]

    def save() -> None:
        nonlocal revision
        _edit(transcript, next(numbers))
        revision = floor.replace("l1", transcript, revision)

    return save


def _by_store(store: Store) -> Callable[[], object]:
    transcript, numbers = store.messages.read("l1"), itertools.count()
    revision = transcript.revision

    def save() -> None:
        nonlocal revision
        _edit(transcript, next(numbers))
        revision = store.messages.replace("l1", transcript, expected_revision=revision).revision

    return save


def _by_file(files: JsonFile) -> Callable[[], object]:
    numbers = itertools.count()

    def save() -> None:
        _edit(files.data["messages"], next(numbers))
        files.save()

    return save
