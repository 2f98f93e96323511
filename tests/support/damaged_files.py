"""Databases whose bytes are damaged at random, and what may be read from them."""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from hermes_store import HermesStoreError, Store
from hermes_store.files import export_directory
from hermes_store.maintenance import salvage
from hermes_store.webui import WebUIModels

DOCUMENT = "d" * 5_000


def message(session: int, position: int) -> dict[str, object]:
    return {"role": "user", "content": f"{session}/{position} " + "x" * (300 if position % 7 else 6_000)}


def make(path: Path) -> None:
    """Make a database with a few dozen pages."""
    with Store.open(path, durability="normal") as store:
        store.projects.create(name="Work", project_id="work")
        for session in range(6):
            store.sessions.create(session_id=f"s{session}", title=f"Session {session}", project_id="work")
            store.messages.extend(f"s{session}", [message(session, position) for position in range(20)])
            store.documents.put(f"s{session}", {"large": DOCUMENT, "small": session})


def damage(data: bytes, seed: int) -> bytes:
    """Return the bytes of a database with some flipped, with a page or a part of it zeroed, or with a wrong page."""
    chance = random.Random(seed)
    damaged = bytearray(data)
    kind = chance.randrange(5)
    if kind == 0:
        for _ in range(chance.randint(1, 12)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    elif kind in (3, 4):
        place, other = (chance.randrange(len(damaged) // 4_096) * 4_096 for _ in range(2))
        page = data[other : other + 4_096] if kind == 3 else chance.randbytes(4_096)
        damaged[place : place + 4_096] = page
    else:
        size = 4_096 if kind == 1 else chance.randint(1, 600)
        start = chance.randrange(len(damaged) // 4_096) * 4_096 if kind == 1 else chance.randrange(len(damaged))
        damaged[start : start + size] = bytes(len(damaged[start : start + size]))
    return bytes(damaged)


def problems(folder: Path) -> list[str]:
    """Read everything from the database in a folder, and return what was wrong, or failed otherwise than it may."""
    found: list[str] = []
    unexported: list[int] = []
    try:
        with Store.open(folder / "hermes.db", durability="normal") as store:
            found += _listing(store)
            for session in range(6):
                found += _reading(store, session)
            unexported, more = _exporting(store, folder / "out")
            found += more
    except HermesStoreError:
        pass
    except Exception as error:
        found.append(f"open: {type(error).__name__}: {error}")
    if unexported:
        found += _salvaging(folder, unexported)
    return found


def _listing(store: Store) -> list[str]:
    try:
        WebUIModels(store).all_sessions()
        list(store.sessions.iterate(include_empty=True))
        store.sessions.list_deleted()
        store.projects.list()
        store.stats()
    except HermesStoreError:
        pass
    except Exception as error:
        return [f"list: {type(error).__name__}: {error}"]
    return []


def _reading(store: Store, session: int) -> list[str]:
    found = []
    session_id = f"s{session}"
    expected = [message(session, position) for position in range(20)]
    try:
        if store.messages.read(session_id) != expected:
            found.append(f"read: other messages in {session_id}")
    except HermesStoreError:
        pass
    except Exception as error:
        found.append(f"read: {type(error).__name__}: {error}")
    try:
        page = store.messages.tail(session_id, limit=5)
        if page.items != expected[15:]:
            found.append(f"tail: other messages in {session_id}")
    except HermesStoreError:
        pass
    except Exception as error:
        found.append(f"tail: {type(error).__name__}: {error}")
    try:
        if store.documents.read(session_id, "large").get("large", DOCUMENT) != DOCUMENT:
            found.append(f"documents: another value in {session_id}")
    except HermesStoreError:
        pass
    except Exception as error:
        found.append(f"documents: {type(error).__name__}: {error}")
    return found


def _exporting(store: Store, target: Path) -> tuple[list[int], list[str]]:
    """Return the sessions that can be read and are not exported because the export failed, and what was wrong."""
    try:
        report = export_directory(store, target)
    except HermesStoreError as error:
        readable = [one for one in range(6) if _is_readable(store, f"s{one}", [message(one, n) for n in range(20)])]
        if readable and "hermes-store salvage" not in str(error):
            return readable, [f"export: no way to {readable} is named: {error}"]
        return readable, []
    except Exception as error:
        return [], [f"export: {type(error).__name__}: {error}"]
    reported = {problem.session_id for problem in report.problems}
    # A session is reported under the id in its row. If that is damaged, it may still be found by the right one.
    is_other = bool(reported - {f"s{session}" for session in range(6)})
    found = []
    for session in range(6):
        session_id = f"s{session}"
        path = target / "sessions" / f"{session_id}.json"
        written = json.loads(path.read_text())["messages"] if path.exists() else []
        expected = [message(session, position) for position in range(20)]
        if any(one not in expected for one in written):
            found.append(f"export: other messages in {session_id}")
        is_told = session_id in reported or is_other
        if written != expected and not is_told and _is_readable(store, session_id, expected):
            found.append(f"export: {session_id} is readable, and was left out without a word")
    return [], found


def _salvaging(folder: Path, sessions: list[int]) -> list[str]:
    """Return what was wrong in a salvage of a database from which some sessions can be read, and not exported."""
    try:
        salvage(folder / "hermes.db", folder / "new.db")
        with Store.open(folder / "new.db") as store:
            export_directory(store, folder / "salvaged")
    except Exception as error:
        return [f"salvage: {type(error).__name__}: {error}"]
    found = []
    for session in sessions:
        path = folder / "salvaged" / "sessions" / f"s{session}.json"
        written = json.loads(path.read_text())["messages"] if path.exists() else []
        if written != [message(session, position) for position in range(20)]:
            found.append(f"salvage: s{session} is readable, and is not there")
    return found


def _is_readable(store: Store, session_id: str, expected: list[dict[str, object]]) -> bool:
    try:
        return store.messages.read(session_id) == expected
    except HermesStoreError:
        return False


def fuzz(first: int, count: int) -> dict[int, list[str]]:
    """Damage a database in `count` ways, and return the problems by seed."""
    failures = {}
    with tempfile.TemporaryDirectory() as name:
        make(Path(name) / "whole.db")
        data = (Path(name) / "whole.db").read_bytes()
        for seed in range(first, first + count):
            with tempfile.TemporaryDirectory() as one:
                (Path(one) / "hermes.db").write_bytes(damage(data, seed))
                if found := problems(Path(one)):
                    failures[seed] = found
    return failures


if __name__ == "__main__":  # python -m tests.support.damaged_files FIRST COUNT
    for seed, what in fuzz(int(sys.argv[1]), int(sys.argv[2])).items():
        print(seed, what)
