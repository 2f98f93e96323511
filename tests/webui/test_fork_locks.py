"""A process forks while another of its threads holds a lock of this package: the child works as if none were held."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels, base_values, folder_import, shared_store
from tests.support.other_process import forked
from tests.support.state_dir import StateDir
from tests.support.webui.sessions import contents, said

#: Seconds in which a child has to be done; one that waits for a lock of its parent never is.
LIMIT = 20
HOLDER = "holds a lock"
HOLDING = (HOLDER, "hermes-store-import")


class Pause:
    """Called by the thread that is to hold a lock, it waits there until it is released; for others it does nothing.

    An import is in a thread of its own, which a child has, too.
    """

    def __init__(self) -> None:
        self._process = os.getpid()
        self.is_armed = False
        self.reached, self._released = threading.Event(), threading.Event()

    def __call__(self) -> None:
        if self.is_armed and os.getpid() == self._process and threading.current_thread().name in HOLDING:
            self.reached.set()
            assert self._released.wait(60)

    def release(self) -> None:
        self._released.set()


class Program:
    """A process of the WebUI, with a thread that can be stopped inside each lock."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.state = StateDir(folder / "webui")
        self.state.session("filed", *said("from a file"))
        self.store = shared_store(folder / "hermes.db", durability="normal")
        self.pauses = {name: Pause() for name in HOLDERS}
        self.models = WebUIModels(
            self.current_store,
            cache_size=self.cache_size,
            hermes_home=lambda: folder / "no-agent",
            session_dir=self.state.sessions,
            import_wait=60.0,
        )
        self.session = self.models.new_session()
        self.session.messages = said("hello")
        self.session.save()
        self._pause_inside(monkeypatch, Store, "open", "shared_store")
        self._pause_inside(monkeypatch, folder_import, "import_state_directory", "folder import")
        self._pause_inside(monkeypatch, base_values, "digests_of", "token")

    def _pause_inside(self, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, pause: str) -> None:
        original = getattr(owner, name)

        def slow(*arguments: Any, **named: Any) -> Any:
            self.pauses[pause]()
            return original(*arguments, **named)

        monkeypatch.setattr(owner, name, slow)

    def current_store(self) -> Store:
        """Return the store; a save asks for it inside the session's lock."""
        self.pauses["save"]()
        return self.store

    def cache_size(self) -> int:
        """Return the size of the cache, which asks for it inside its lock."""
        self.pauses["cache"]()
        return 100

    def save(self) -> None:
        self.session.messages += said("of the parent")
        self.session.save()

    def import_folder(self) -> None:
        self.state.session("filed later", *said("from a file"))
        self.models._files._imports.run(self.store, self.state.sessions, 60.0)

    def open_another(self) -> None:
        shared_store(self.folder / "another.db", durability="normal")

    def cache_another(self) -> None:
        self.models._cache.put(self.models.Session(session_id="cached"))

    def save_by_token(self) -> None:
        storage = self.models.storage
        values, token = storage.load(self.session.session_id)
        storage.save(self.session.session_id, {**values, "title": "Renamed"}, base=token)

    def work(self, _connection: Any) -> dict[str, Any]:
        """Do in a child what a request may do."""
        (self.folder / "no-agent").mkdir()
        (self.folder / "no-agent" / "state.db").write_text("no database")
        session = self.models.get_session(self.session.session_id)
        session.messages += said("of the child")
        session.save()
        new = self.models.new_session()
        new.title = "New"
        new.save()
        values, token = self.models.storage.load(new.session_id)
        self.models.storage.save(new.session_id, {**values, "title": "Newer"}, base=token)
        return {
            "same object": session is self.session,
            "listed": {row["session_id"] for row in self.models.all_sessions()} >= {new.session_id, "filed"},
            "agent": self.models.get_cli_sessions(),
            "another": shared_store(self.folder / "another.db", durability="normal").sessions.count(),
            "shared": shared_store(self.folder / "hermes.db") is self.store,
        }


HOLDERS: dict[str, Callable[[Program], None]] = {
    "save": Program.save,
    "shared_store": Program.open_another,
    "folder import": Program.import_folder,
    "cache": Program.cache_another,
    "token": Program.save_by_token,
}


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Program]:
    program = Program(tmp_path, monkeypatch)
    yield program
    program.store.close()


@pytest.mark.parametrize("lock", HOLDERS)
def test_a_child_works_whatever_lock_its_parent_held(program: Program, lock: str) -> None:
    pause, errors = program.pauses[lock], []
    pause.is_armed = True

    def hold() -> None:
        try:
            HOLDERS[lock](program)
        except Exception as error:  # whatever it is, the test judges it
            errors.append(error)

    thread = threading.Thread(target=hold, name=HOLDER)
    thread.start()
    try:
        assert pause.reached.wait(60)
        with forked(program.work) as child:
            assert child.said(LIMIT) == {
                "same object": True,
                "listed": True,
                "agent": [],
                "another": 0,
                "shared": True,
            }
    finally:
        pause.release()
        thread.join(60)
    assert not errors
    found = contents(program.models, program.session.session_id)
    # (The child inherits the parent's unsaved message, and saves it, too.)
    assert set(found) == {"hello", "of the child", *(["of the parent"] if lock == "save" else [])}
    assert found.count("of the child") == 1


def test_children_of_a_constantly_saving_process_can_save(program: Program) -> None:
    stop = threading.Event()
    saved = 0

    def save() -> None:
        nonlocal saved
        while not stop.is_set():
            program.save()
            saved += 1

    def append(number: int) -> Callable[[Any], None]:
        def work(_connection: Any) -> None:
            program.session.messages += said(f"of child {number}")
            program.session.save()

        return work

    thread = threading.Thread(target=save)
    thread.start()
    try:
        for number in range(6):
            with forked(append(number)) as child:
                assert child.said(LIMIT) is None
    finally:
        stop.set()
        thread.join(60)
    found = contents(program.models, program.session.session_id)
    assert [text for text in found if "child" in text] == [f"of child {number}" for number in range(6)]
    assert found.count("of the parent") >= saved


def test_forked_children_open_stores_while_the_parent_does(tmp_path: Path) -> None:
    stop = threading.Event()

    def open_stores() -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            shared_store(tmp_path / f"{number % 20}.db", durability="normal").close()

    def open_one(number: int) -> Callable[[Any], int]:
        return lambda _connection: shared_store(tmp_path / f"child{number}.db").sessions.count()

    thread = threading.Thread(target=open_stores)
    thread.start()
    try:
        for number in range(6):
            with forked(open_one(number)) as child:
                assert child.said(LIMIT) == 0
    finally:
        stop.set()
        thread.join(60)
