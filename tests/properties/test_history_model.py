"""Whatever is done to a transcript, each revision that is kept comes back as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hermes_store import RevisionNotKeptError, Store, UndoError
from hermes_store.transcripts import json_codec
from hermes_store.webui import SessionStorage
from tests.support.examples import examples
from tests.support.json_values import json_values
from tests.support.message_columns import users

#: Few different ones, so that many messages are equal; and any JSON value.
messages = st.one_of(st.integers(0, 1), st.sampled_from([{"role": "user"}, {"role": "tool"}]), json_values)
lists = st.lists(messages, max_size=6)
steps: st.SearchStrategy[tuple[str, list[Any], int]] = st.one_of(
    st.tuples(st.just("extend"), lists, st.just(0)),
    st.tuples(st.sampled_from(["replace", "edit", "save", "update", "stream"]), lists, st.integers(0, 9)),
    st.tuples(st.sampled_from(["truncate", "clear", "undo", "rename"]), st.just([]), st.integers(0, 9)),
)


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    with Store.open(":memory:") as store:
        yield store


class History:
    """A session, and its transcript at each of its revisions."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.id = store.sessions.create(title="T").session_id
        self.at: dict[int, bytes] = {}
        self.note()

    def note(self) -> None:
        transcript = self.store.messages.read(self.id)
        self.at[transcript.revision] = json_codec.encode(list(transcript))
        assert self.store.sessions.get(self.id).user_message_count == users(transcript)

    def run(self, step: tuple[str, list[Any], int]) -> None:
        verb, values, number = step
        transcript = self.store.messages.read(self.id)
        place = number % (len(transcript) + 1)
        edited = [*transcript[:place], *values, *transcript[place + number % 3 :]]
        verbs: dict[str, Callable[[], Any]] = {
            "extend": lambda: self.store.messages.extend(self.id, values),
            "replace": lambda: self.replace(values),
            "edit": lambda: self.replace(edited),
            "save": lambda: self.save(edited),
            "update": lambda: self.update(place, [*values, 0][0]),
            "stream": lambda: self.stream(place, values),
            "truncate": lambda: self.store.messages.truncate(
                self.id, keep=place, expected_revision=transcript.revision
            ),
            "clear": lambda: self.store.messages.clear(self.id, expected_revision=transcript.revision),
            "undo": self.undo,
            "rename": lambda: self.store.sessions.update(self.id, title=str(number)),
        }
        verbs[verb]()
        self.note()

    def replace(self, values: list[Any]) -> None:
        self.store.messages.replace(self.id, values, expected_revision=self.store.sessions.get(self.id).revision)

    def save(self, values: list[Any]) -> None:
        storage = SessionStorage(self.store)
        session, token = storage.load(self.id)
        storage.save(self.id, session, values, base=token)

    def update(self, place: int, message: Any) -> None:
        if place < self.store.messages.count(self.id):
            revision = self.store.sessions.get(self.id).revision
            self.store.messages.update(self.id, place, message, expected_revision=revision)

    def stream(self, place: int, values: list[Any]) -> None:
        """Stream an answer, and meanwhile change another message, or the answer's own session."""
        with self.store.messages.stream(self.id, {"role": "assistant"}) as answer:
            self.note()
            answer.checkpoint({"role": "user" if values else "assistant", "n": 1})
            self.note()
            if place < answer.position:
                self.update(place, [*values, 0][0])
                self.note()
            answer.checkpoint({"role": "assistant", "n": 2, "all": values})
            self.note()

    def undo(self) -> None:
        expected = [cut for cut in self.store.messages.history(self.id) if cut.verb not in ("undo", "stream")]
        try:
            result = self.store.messages.undo(self.id)
        except UndoError:
            return
        assert expected
        transcript = self.store.messages.read(self.id)
        assert json_codec.encode(list(transcript)) == self.at[expected[0].revision]
        assert (result.message_count, result.revision) == (len(transcript), transcript.revision)

    def check(self) -> None:
        """Require that each revision that is kept comes back, and that no other revision is wrong."""
        cuts = self.store.messages.history(self.id)
        for revision, expected in self.at.items():
            try:
                fork = self.store.sessions.fork(self.id, revision=revision)
            except RevisionNotKeptError:
                assert revision not in {cut.revision for cut in cuts}
                assert revision < self.store.sessions.get(self.id).transcript_revision
                continue
            found = self.store.messages.read(fork.session_id)
            assert json_codec.encode(list(found)) == expected
            assert (fork.message_count, fork.user_message_count) == (len(found), users(found))
            self.store.sessions.purge(fork.session_id)


@example(run=[("save", [], 0)])
@settings(max_examples=examples(25))
@given(run=st.lists(steps, max_size=12))
def test_each_kept_revision_comes_back(store: Store, run: list[tuple[str, list[Any], int]]) -> None:
    history = History(store)
    try:
        for step in run:
            history.run(step)
        history.check()
    finally:
        for session in list(store.sessions.iterate(include_empty=True)):
            store.sessions.purge(session.session_id)
    # A purge leaves nothing of it.
    assert store.stats().cuts == store.stats().kept_messages == store.stats().kept_bytes == 0
