"""Other processes of the WebUI, and what they can do to the sessions.

``elsewhere(VERB, STORE, …)`` does a verb in one that stays; `OtherProcess` is one of its own.
"""

from __future__ import annotations

import atexit
import functools
import os
from pathlib import Path
from typing import Any

from hermes_store import HermesStoreError, Store
from hermes_store.webui import WebUIModels
from tests.support.internals import path_of
from tests.support.other_process import Remote

# ── What they can do; `models` are the functions of that process ──


def change(models: WebUIModels, sid: str, values: dict[str, Any]) -> None:
    """Assign to a session's attributes, and save it."""
    session = models.get_session(sid)
    for name, value in values.items():
        setattr(session, name, value)
    session.save()


def append(models: WebUIModels, sid: str, *texts: str) -> None:
    session = models.get_session(sid)
    session.messages += [{"role": "user", "content": text} for text in texts]
    session.save()


_held: dict[str, Any] = {}


def hold(models: WebUIModels, sid: str) -> str:
    """Get a session, and keep the object for `save_held`."""
    _held[sid] = models.get_session(sid)
    return str(_held[sid].title)


def save_held(models: WebUIModels, sid: str, title: str) -> None:
    """Save the object that `hold` got, whatever became of the session."""
    session = _held[sid]
    session.title = title
    session.save()


def delete(models: WebUIModels, sid: str) -> bool:
    return models.delete_session(sid)


def discard(models: WebUIModels, sid: str) -> bool:
    return models.discard_session(sid)


def rotate(models: WebUIModels, old: str, new: str) -> bool:
    return models.rotate_session_id(old, new)


def rows(models: WebUIModels) -> list[dict[str, Any]]:
    return models.all_sessions()


def title(models: WebUIModels, sid: str) -> str | None:
    """Return a session's title; None when there is none."""
    try:
        return str(models.get_session(sid).title)
    except KeyError:
        return None


def add_project(models: WebUIModels, project: dict[str, Any]) -> None:
    models.save_projects([*models.load_projects(), project])


def add_projects_together(models: WebUIModels, folder: str, me: int, processes: int, each: int) -> None:
    """Wait until all processes are there, then add projects with them, one by one."""
    Path(folder, f"ready-{me}").touch()
    while len(list(Path(folder).glob("ready-*"))) < processes:
        os.sched_yield()
    for number in range(each):
        add_project(models, {"project_id": f"p{me}x{number}", "name": f"{me}/{number}", "created_at": 1.0})


def write_file(models: WebUIModels, path: str, text: str) -> None:
    """Put a file somewhere, whole at once, as the WebUI does."""
    unfinished = Path(path).with_suffix(f".tmp.{os.getpid()}.1")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


class _Functions:
    """A process's functions over one database; between two calls, no store is open."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._store: Store | None = None
        self.models = WebUIModels(self._current)

    def _current(self) -> Store:
        assert self._store is not None
        return self._store

    def do(self, verb: str, *arguments: Any) -> Any:
        with Store.open(self._database, durability="normal", busy_timeout=60) as self._store:
            try:
                return globals()[verb](self.models, *arguments)
            except HermesStoreError as error:
                return type(error).__name__


class _Process:
    """What another process has: its functions over each database that it was asked about."""

    def __init__(self) -> None:
        self._of: dict[str, _Functions] = {}

    def do(self, verb: str, database: str, *arguments: Any) -> Any:
        if database not in self._of:
            self._of[database] = _Functions(database)
        return self._of[database].do(verb, *arguments)


class OtherProcess:
    """A process that has the same databases, and nothing else of this one."""

    def __init__(self) -> None:
        self._remote = Remote(_Process)

    def ask(self, verb: str, store: Store, *arguments: Any) -> None:
        """Let it do a verb of this module on a store's database, and do not wait."""
        self._remote.begin("do", verb, str(path_of(store)), *arguments)

    def answer(self) -> Any:
        """Return what the verb returned; of an error of the library's, its name."""
        return self._remote.finish()

    def close(self) -> None:
        """End it."""
        self._remote.end()


@functools.cache
def _lasting_process() -> OtherProcess:
    process = OtherProcess()
    atexit.register(process.close)
    return process


def elsewhere(verb: str, store: Store, *arguments: Any) -> Any:
    """Do a verb of this module in another process, the same one each time, and return what it returned."""
    _lasting_process().ask(verb, store, *arguments)
    return _lasting_process().answer()
