"""Two server processes on one PostgreSQL database: each notices what the other wrote, in lists and live sessions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hermes_store import Change, Store
from hermes_store.webui import WebUIModels
from tests.support.other_process import PATIENCE, Remote

pytestmark = pytest.mark.slow


class Server:
    """What a server process has: a store, hermes-webui's functions, and live sessions that it keeps."""

    def open(self, url: str) -> None:
        self._store = Store.open(url, durability="normal", busy_timeout=PATIENCE)
        self._models = WebUIModels(self._store)

    def watch(self) -> None:
        self._watch = self._store.watch(timeout=PATIENCE)

    def create(self, session_id: str, title: str) -> None:
        session = self._models.Session(session_id=session_id, title=title)
        session.messages.append({"role": "user", "content": "first"})
        session.save()

    def append(self, session_id: str, *texts: str) -> None:
        session = self._models.get_session(session_id)
        for text in texts:
            session.messages.append({"role": "user", "content": text})
            session.save()

    def rename(self, session_id: str, title: str) -> None:
        session = self._models.get_session(session_id)
        session.title = title
        session.save()

    def delete(self, session_id: str) -> None:
        self._models.delete_session(session_id)

    def listed(self) -> list[tuple[str, int]]:
        return [(row["title"], row["message_count"]) for row in self._models.all_sessions()]

    def seen(self, session_id: str) -> tuple[str, list[str]] | None:
        """Return the title and the texts of a live session; None if it is gone."""
        with contextlib.suppress(KeyError):
            session = self._models.get_session(session_id)
            return session.title, [message["content"] for message in session.messages]
        return None

    def next_change(self) -> Change:
        return next(self._watch)

    def close(self) -> None:
        self._store.close()


@pytest.fixture(scope="module")
def servers(make_postgres_database: Callable[[], str]) -> Iterator[tuple[Any, Any]]:
    pair, url = (Remote(Server), Remote(Server)), make_postgres_database()
    for server in pair:
        server.open(url)
    yield pair
    for server in pair:
        server.close()
        server.end()


def test_a_server_notices_what_the_other_wrote(servers: tuple[Any, Any]) -> None:
    one, other = servers
    assert other.listed() == []
    other.watch()
    other.begin("next_change")  # it waits until it is told
    one.create("s", "Trip")
    assert other.finish().id == "s"
    assert other.listed() == [("Trip", 1)]
    assert other.seen("s") == ("Trip", ["first"])
    one.append("s", "second")
    assert other.next_change().id == "s"
    assert other.seen("s") == ("Trip", ["first", "second"])
    assert other.listed() == [("Trip", 2)]
    other.rename("s", "Voyage")
    assert one.listed() == [("Voyage", 2)]
    assert one.seen("s") == ("Voyage", ["first", "second"])
    one.delete("s")
    assert other.next_change().id == "s"
    assert other.listed() == []
    assert other.seen("s") is None


def test_two_servers_append_at_once_to_one_session(servers: tuple[Any, Any]) -> None:
    one, other = servers
    one.create("t", "Trip")
    assert other.seen("t") is not None
    own = [[f"{name} {number}" for number in range(10)] for name in ("one", "other")]
    for server, texts in zip(servers, own, strict=True):
        server.begin("append", "t", *texts)
    for server in servers:
        server.finish()
    seen = one.seen("t")
    assert other.seen("t") == seen
    first, *found = seen[1]
    assert first == "first"
    for texts in own:
        assert [text for text in found if text in texts] == texts
    assert len(found) == 20
    one.delete("t")
