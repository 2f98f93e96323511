"""Two live objects of one session."""

from __future__ import annotations

from typing import Any, NamedTuple

from hermes_store.webui import WebUIModels
from tests.support.webui.sessions import said


class Pair(NamedTuple):
    """Two live objects of one session; the first one is saved first."""

    first: Any
    second: Any

    @classmethod
    def of(cls, models: WebUIModels, *, whole: bool = True, **values: Any) -> Pair:
        """Store a session with two messages, and load it twice."""
        session = models.Session(**{"title": "Trip", "messages": said("a", "b"), **values})
        session.save()
        load = models.Session.load if whole else models.Session.load_metadata_only
        return cls(*(load(session.session_id) for _ in range(2)))

    def save(self) -> None:
        for session in self:
            session.save()
