"""A session as a program holds it that has objects of its own, and saves them through `SessionStorage`."""

from __future__ import annotations

from typing import Any

from hermes_store.webui import SessionStorage


class HeldSession:
    """Attributes that are a session's values; what a save adopts is copied into them."""

    def __init__(self, storage: SessionStorage, session_id: str) -> None:
        self._storage, self._id = storage, session_id
        values, self._token = storage.load(session_id)
        vars(self).update(values)

    def save(self) -> None:
        held = vars(self)
        values = {key: value for key, value in held.items() if not key.startswith("_")}
        self._token, adopted = self._storage.save(self._id, values, base=self._token)
        held.update(adopted.values)
        for key in adopted.removed:
            del held[key]
        if adopted.messages is not None:
            held["messages"][:] = adopted.messages

    def append(self, *messages: Any) -> None:
        self._token, adopted = self._storage.append(self._id, messages, base=self._token)
        vars(self).update(adopted.values)
        held = vars(self)["messages"]
        held[:] = [*held, *messages] if adopted.messages is None else adopted.messages
