"""Databases in whose schema one byte is damaged, and the way that leads to everything in them."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hermes_store import DatabaseCorruptError, HermesStoreError, Store
from hermes_store.files import export_directory
from hermes_store.maintenance import repair, salvage
from hermes_store.storage.dialects.sqlite_pages import PageFile
from hermes_store.storage.dialects.sqlite_trees import Trees
from tests.support.salvaged_files import contents

Everything = tuple[list[str], dict[str, Any], dict[str, Any]]


def make(path: Path) -> None:
    """Make a small database with rows in most tables."""
    with Store.open(path, durability="normal") as store:
        store.projects.create(name="Work", project_id="work")
        for number in range(3):
            name = f"s{number}"
            store.sessions.create(session_id=name, title=f"Session {number}", project_id="work")
            store.messages.extend(name, [{"role": "user", "content": f"{name} {one}"} for one in range(4)])
            store.documents.put(name, {"small": number, "large": "d" * 3_000})
        store.sessions.create(session_id="child", title="Fork", parent_id="s0", forked_at=1)
        store.sessions.change_id("child", "renamed")
        store.sessions.create(session_id="gone", title="Gone")
        store.sessions.delete("gone")


def schema_bytes(path: Path) -> list[int]:
    """Return the places in a file of the bytes of its schema's pages: names and statements, and what leads to them."""
    with PageFile(path) as file:
        trees = Trees(file, lambda _: None)
        assert trees.schema()
        return [
            (number - 1) * file.page_size + place
            for number, was_read in enumerate(trees._was_read)
            if was_read
            for place in range(file.page_size)
        ]


def flipped(data: bytes, place: int, seed: int) -> bytes:
    """Return the bytes of a database with one bit of one byte flipped."""
    damaged = bytearray(data)
    damaged[place] ^= 1 << random.Random(seed * 1_000_003 + place).randrange(8)
    return bytes(damaged)


def everything(path: Path, target: Path) -> Everything:
    """Return what a database lists, reads and exports."""
    with Store.open(path, migrate=False, read_only=True) as store:
        listed = [record.session_id for record in store.sessions.list().items]
        read = dict(contents(store))
        for problem in export_directory(store, target).problems:
            raise DatabaseCorruptError(problem.reason)
    exported = {one.name: json.loads(one.read_text()) for one in sorted((target / "sessions").iterdir())}
    return listed, read, exported


def way(data: bytes, expected: Everything, folder: Path) -> str:
    """Return which way leads to everything in a damaged database: reading it, a repair, or a salvage.

    Raises:
        AssertionError: none does, or something else is read, or an error does not name the way.
    """
    path, new = folder / "hermes.db", folder / "new.db"
    path.write_bytes(data)
    found = attempt(lambda: everything(path, folder / "first"))
    if isinstance(found, str):
        assert "hermes-store repair" in found or "hermes-store salvage" in found, found
    else:
        assert found == expected, "other contents, without a repair"
        assert path.read_bytes() == data, "reading it changed it"
        return "read"
    found = attempt(lambda: repair(path).ok and everything(path, folder / "second"))
    if isinstance(found, str):
        assert "hermes-store salvage" in found, found
    else:
        assert found == expected, "other contents, after a repair"
        return "repair"
    salvage(path, new)
    assert everything(new, folder / "third") == expected, "other contents, after a salvage"
    return "salvage"


def attempt(callback: Callable[[], Any]) -> Any:
    """Return what a function returns, or the message of an error of this library."""
    try:
        return callback()
    except HermesStoreError as error:
        return str(error)


def fuzz(places: list[int], data: bytes, expected: Everything, seed: int) -> tuple[Counter[str], dict[int, str]]:
    """Damage each of some bytes alone; return how often each way led to everything, and the problems by place."""
    ways: Counter[str] = Counter()
    failures = {}
    for place in places:
        with tempfile.TemporaryDirectory() as one:
            try:
                ways[way(flipped(data, place, seed), expected, Path(one))] += 1
            except Exception as error:
                failures[place] = f"{type(error).__name__}: {error!s:.400}"
    return ways, failures


def example(folder: Path) -> tuple[bytes, Everything, list[int]]:
    """Return a whole database, everything in it, and the places of its schema."""
    path = folder / "whole.db"
    make(path)
    return path.read_bytes(), everything(path, folder / "out"), schema_bytes(path)


if __name__ == "__main__":  # python -m tests.support.damaged_schema FIRST STEP
    with tempfile.TemporaryDirectory() as name:
        content, whole, all_places = example(Path(name))
        counted, found = fuzz(all_places[int(sys.argv[1]) :: int(sys.argv[2])], content, whole, seed=1)
    print(dict(counted), f"of {len(all_places)} bytes")
    for number, what in found.items():
        print(number, what)
