"""Salvage of databases whose bytes are damaged at random: every whole session comes back, and nothing wrong does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hermes_store import HermesStoreError, Store
from hermes_store.maintenance import salvage
from tests.support import damaged_files
from tests.support.whole_pages import changed_pages, pages_of_sessions


class Example(NamedTuple):
    """A whole database."""

    data: bytes
    #: By session: its JSON, and the pages that have something of it.
    sessions: dict[str, Any]
    pages: dict[str, set[int]]
    #: By session: its former messages, by revision.
    former: dict[str, dict[int, list[Any]]]


def make(path: Path, sessions: int = 60) -> Example:
    """Make a database in which each table has several pages, a deleted session and a purged one."""
    former = {}
    with Store.open(path, durability="normal") as store:
        store.projects.create(name="Work", project_id="work")
        for number in range(sessions):
            name = f"s{number}"
            link = "work" if number % 2 else None
            store.sessions.create(session_id=name, title=f"Session {number}", project_id=link, workspace="/w" * 30)
            length = number * 7 % 12
            store.messages.extend(name, [damaged_files.message(number, position) for position in range(length)])
            store.documents.put(name, {"small": [number, "y" * 200]})
            if number % 5 == 0:
                store.documents.put(name, {"large": damaged_files.DOCUMENT + str(number)})
            if number % 4 == 0:
                former[name] = cut(store, name)
        store.sessions.create(session_id="purged")
        store.messages.extend("purged", ["secret " * 1_000, "secret"])
        store.sessions.purge("purged")
        found = dict(contents(store))
    return Example(path.read_bytes(), found, pages_of_sessions(path), former)


def cut(store: Store, session_id: str) -> dict[int, list[Any]]:
    """Overwrite and remove messages of a session, and append others; return what it had before, by revision."""
    found = {}
    for number in range(3):
        messages = store.messages.read(session_id)
        before = [*messages, *(damaged_files.message(90 + number, position) for position in range(3))]
        revision = store.messages.replace(session_id, before, expected_revision=messages.revision).revision
        store.messages.truncate(session_id, keep=len(before) - 2, expected_revision=revision)
        found[revision] = before
    return found


def contents(store: Store) -> Iterator[tuple[str, Any]]:
    """Yield each session and its JSON, but for its project, which is another row."""
    for record in store.sessions.iterate(include_empty=True):
        values = store.sessions.as_json(record.session_id)
        del values["project_id"]
        yield record.session_id, values


def problems(example: Example, damaged: bytes, folder: Path) -> list[str]:
    """Salvage a damaged database, and return what is missing or wrong."""
    path = folder / "hermes.db"
    path.write_bytes(damaged)
    changed = changed_pages(example.data, damaged)
    whole = {name for name, pages in example.pages.items() if not pages & changed}
    try:
        report = salvage(path, folder / "new.db")
        with Store.open(folder / "new.db", migrate=False) as store:
            found = dict(contents(store))
            result = [f"wrong former messages in {name}" for name in example.former if _is_wrong(example, store, name)]
    except HermesStoreError as error:
        return [f"{len(whole)} sessions are whole: {error}"] if whole else []
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    # A cut is left out where one that is newer may be lost, also of another session.
    said = {
        item.session_id: "whole"
        if item.problems and all("former" in one for one in item.problems)
        else item.state.value
        for item in report.sessions
    }
    lacking = {name for name in whole if found.get(name) != example.sessions[name]}
    result += [f"not as it was: {sorted(lacking)}"] if lacking else []
    result += [f"{name} is whole, and said to be {said[name]}" for name in whole - lacking if said[name] != "whole"]
    messages = {str(one) for values in example.sessions.values() for one in values["messages"]}
    for name, values in found.items():
        own = {str(one) for one in example.sessions[name]["messages"]} if name in example.sessions else messages
        if wrong := [one for one in values["messages"] if str(one) not in own]:
            result.append(f"other messages in {name}: {len(wrong)}")
    if path.read_bytes() != damaged or {one.name for one in folder.iterdir()} - {"hermes.db", "new.db"}:
        result.append(f"left {sorted(one.name for one in folder.iterdir())}")
    return result


def _is_wrong(example: Example, store: Store, session_id: str) -> bool:
    """Whether a session has a former transcript that it never had."""
    if not store.sessions.exists(session_id):
        return False
    for one in store.messages.history(session_id):
        fork = store.sessions.fork(session_id, revision=one.revision).session_id
        if store.messages.read(fork) != example.former[session_id].get(one.revision):
            return True
    return False


def fuzz(first: int, count: int) -> dict[int, list[str]]:
    """Damage a database in `count` ways, salvage each, and return the problems by seed."""
    failures = {}
    with tempfile.TemporaryDirectory() as name:
        example = make(Path(name) / "whole.db")
        for seed in range(first, first + count):
            with tempfile.TemporaryDirectory() as one:
                if found := problems(example, damaged_files.damage(example.data, seed), Path(one)):
                    failures[seed] = found
    return failures
