"""Somebody else who has the same session open: with an object of his own, in this process or in another one."""

from __future__ import annotations

import copy
from typing import Any

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.other_process import PATIENCE, Remote


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


class _LateWriter(Writer):
    """A `Writer` whose database is told when it is there."""

    def __init__(self) -> None:
        pass

    def open(self, target: str) -> None:
        super().__init__(target)


class Elsewhere(Remote):
    """A `Writer` in another process, which has nothing of this one but the database's place; `open` comes first."""

    def __init__(self) -> None:
        super().__init__(_LateWriter)
