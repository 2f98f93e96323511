"""Somebody else who has the same session open: with an object of his own, in this process or in another one."""

from __future__ import annotations

import copy
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

from hermes_store import Store
from hermes_store.webui import WebUIModels

PATIENCE = 60


class Writer:
    """Changes and saves a live session of his own, and calls the verbs of the store."""

    def __init__(self, target: str, store: Store | None = None) -> None:
        self.store = store or Store.open(target, durability="normal", busy_timeout=PATIENCE)
        self.models = WebUIModels(self.store)
        self._owns = store is None

    def load(self, session_id: str, whole: bool = True) -> None:
        session = self.models.Session
        self.session: Any = (session.load if whole else session.load_metadata_only)(session_id)

    def assign(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.session, name, copy.deepcopy(value))

    def remove(self, name: str) -> None:
        delattr(self.session, name)

    def append(self, *messages: Any) -> None:
        self.session.messages.extend(messages)

    def splice(self, first: int, last: int | None, *messages: Any) -> None:
        self.session.messages[first:last] = messages

    def save(self, touch_updated_at: bool = True) -> None:
        self.session.save(touch_updated_at=touch_updated_at)

    def delete(self, session_id: str) -> None:
        self.models.delete_session(session_id)

    def discard(self, session_id: str) -> None:
        self.models.discard_session(session_id)

    def rotate(self, old: str, new: str) -> None:
        assert self.models.rotate_session_id(old, new)

    def append_each(self, session_id: str, name: str, count: int) -> None:
        """Append messages one by one, each with a save, through an object that is kept."""
        self.load(session_id)
        for number in range(count):
            self.append({"role": "user", "content": f"{name}/{number}"})
            self.save()

    def close(self) -> None:
        if self._owns:
            self.store.close()


def _serve(connection: Connection) -> None:
    """Do what the test asks for, in a process of its own, until it hangs up."""
    writer: Any = None
    while True:
        try:
            verb, arguments, named = connection.recv()
        except EOFError:
            return
        try:
            if verb == "open":
                writer = Writer(*arguments)
            else:
                getattr(writer, verb)(*arguments, **named)
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}")
        else:
            connection.send(None)


class Elsewhere:
    """A `Writer` in another process, which has nothing of this one but the database's place."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, far_end = context.Pipe()
        self._process = context.Process(target=_serve, args=(far_end,), daemon=True)
        self._process.start()
        far_end.close()

    def begin(self, verb: str, *arguments: Any, **named: Any) -> None:
        """Let it do a verb of `Writer`, and do not wait."""
        self._connection.send((verb, arguments, named))

    def finish(self) -> None:
        """Wait until it has done it; what went wrong there is raised here."""
        assert self._connection.poll(PATIENCE), "the other process hangs"
        trouble = self._connection.recv()
        assert trouble is None, trouble

    def __getattr__(self, verb: str) -> Any:
        def call(*arguments: Any, **named: Any) -> None:
            self.begin(verb, *arguments, **named)
            self.finish()

        return call

    def end(self) -> None:
        self._connection.close()
        self._process.join(PATIENCE)
        assert self._process.exitcode == 0
