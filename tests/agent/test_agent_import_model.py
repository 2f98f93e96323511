"""Imports against a simple model: whatever the agent and the user do in between, nobody's words are lost."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hermes_store import SessionNotFoundError, Store
from hermes_store.agent import AgentBridge
from hermes_store.outcomes import Outcome
from tests.support.agent.agentdb import AgentDb
from tests.support.agent.statedb import Shape, create

pytestmark = pytest.mark.slow

Messages = list[dict[str, Any]]


class ImportMachine(RuleBasedStateMachine):
    """One conversation of the agent's, its copy in a store in memory, and what the copy should be."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.agent = AgentDb(Path(self.folder.name) / "state.db")
        create(self.agent.path, Shape(journal="delete"), [])
        self.agent.begin("s0", "hello", "hi", title="Talk")
        self.chain = ["s0"]
        #: The agent's sessions that an import has met.
        self.met: set[str] = set()
        self.words = 0
        self.copies = 0
        self.store = Store.open(":memory:")
        self.bridge = AgentBridge(self.agent.path)
        #: The copy's id, None before the first import; and whether it is there, deleted or purged.
        self.copy: Any = None
        self.state = "absent"
        #: What the copy should say, and what the agent said when it was last written from there.
        self.ours: Messages = []
        self.taken: Messages = []
        self.fields: dict[str, Any] = {}
        #: The title that the copy got from the agent last.
        self.title_taken = ""

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def new_words(self, number: int) -> list[str]:
        self.words += number
        return [f"words {self.words - index}" for index in range(number)]

    # What the agent does.

    @rule(number=st.integers(1, 3))
    def say(self, number: int) -> None:
        self.agent.say(self.chain[-1], *self.new_words(number))

    @rule(number=st.integers(1, 3))
    def rewind(self, number: int) -> None:
        live = self.agent.sql("SELECT id FROM messages WHERE session_id = ? AND active = 1 ORDER BY id", self.chain[-1])
        self.agent.mark([row[0] for row in live[-number:]], active=0)

    @rule()
    def bring_back(self) -> None:
        self.agent.mark(self.agent.ids(self.chain[-1]), active=1)

    @rule(number=st.integers(1, 2))
    def summarise(self, number: int) -> None:
        self.agent.mark(self.agent.ids(self.chain[-1])[:number], active=0, compacted=1)

    @rule()
    def compress(self) -> None:
        following = f"s{len(self.chain)}-{self.words}-{self.copies}"
        self.agent.compress(self.chain[-1], following, "[summary]", *self.new_words(1))
        self.chain.append(following)
        self.words += 1

    @rule()
    def entitle(self) -> None:
        self.agent.sql("UPDATE sessions SET title = ? WHERE id = ?", *self.new_words(1), self.chain[-1])

    @rule(number=st.integers(1, 2))
    def prune(self, number: int) -> None:
        for message_id in self.agent.ids(self.chain[-1])[:number]:
            self.agent.sql("DELETE FROM messages WHERE id = ?", message_id)

    @precondition(lambda self: self.state == "absent" or self.met & set(self.chain[1:]))
    @precondition(lambda self: len(self.chain) > 1)
    @rule()
    def cut_off_the_beginning(self) -> None:
        """Of a chain the rest of which was met; else nothing at all says what it was a part of."""
        assert self.bridge.delete_session(self.chain[0], force=True).sessions == (self.chain[0],)
        del self.chain[0]

    @rule()
    def keep_a_backup(self) -> None:
        shutil.copy(self.agent.path, self.agent.path.with_name("backup.db"))
        self.backup = list(self.chain)

    @precondition(lambda self: self.state == "absent" or self.met & set(self.backup))
    @precondition(lambda self: hasattr(self, "backup"))
    @rule(number=st.integers(0, 3))
    def restore_the_backup_and_go_on(self, number: int) -> None:
        """Other words get the ids that words after the backup had, at another time. Of the chain, some was met."""
        self.agent.replace_by(self.agent.path.with_name("backup.db"))
        self.chain = list(self.backup)
        self.copies += 1
        before = set(self.agent.ids(self.chain[-1]))
        self.agent.say(self.chain[-1], *self.new_words(number))
        for message_id in set(self.agent.ids(self.chain[-1])) - before:
            self.agent.sql("UPDATE messages SET timestamp = timestamp + ? WHERE id = ?", self.copies / 7, message_id)

    # What the user does in the store.

    @precondition(lambda self: self.state == "live")
    @rule()
    def append(self) -> None:
        message = {"role": "user", "content": "mine"}
        self.store.messages.append(self.copy, message)
        self.ours = [*self.ours, message]

    @precondition(lambda self: self.state == "live" and self.ours)
    @rule(at=st.integers(0, 9))
    def edit(self, at: int) -> None:
        at %= len(self.ours)
        message = {**self.ours[at], "content": "edited"}
        revision = self.store.sessions.get(self.copy).revision
        self.store.messages.update(self.copy, at, message, expected_revision=revision)
        self.ours = [*self.ours[:at], message, *self.ours[at + 1 :]]

    @precondition(lambda self: self.state == "live" and self.ours)
    @rule(less=st.integers(1, 3))
    def truncate(self, less: int) -> None:
        keep = max(0, len(self.ours) - less)
        revision = self.store.sessions.get(self.copy).revision
        self.store.messages.truncate(self.copy, keep=keep, expected_revision=revision)
        self.ours = self.ours[:keep]

    @precondition(lambda self: self.state == "live")
    @rule()
    def undo_own_changes(self) -> None:
        revision = self.store.sessions.get(self.copy).revision
        self.store.messages.replace(self.copy, self.taken, expected_revision=revision)
        self.ours = list(self.taken)

    @precondition(lambda self: self.state == "live")
    @rule(change=st.sampled_from([{"title": "Mine"}, {"archived": True}, {"pinned": True}, {"workspace": "/mine"}]))
    def change_a_field(self, change: dict[str, Any]) -> None:
        self.store.sessions.update(self.copy, **change)
        self.fields |= change

    @precondition(lambda self: self.state == "live")
    @rule()
    def put_into_a_project(self) -> None:
        project = self.store.projects.create(name="Work").project_id
        self.store.sessions.update(self.copy, project_id=project)
        self.fields["project_id"] = project

    @precondition(lambda self: self.state == "live")
    @rule()
    def give_another_id(self) -> None:
        self.copies += 1
        self.copy = self.store.sessions.change_id(self.copy, f"copy-{self.copies}").session_id

    @precondition(lambda self: self.state == "live")
    @rule()
    def delete(self) -> None:
        self.store.sessions.delete(self.copy)
        self.state = "deleted"

    @precondition(lambda self: self.state == "deleted")
    @rule()
    def restore(self) -> None:
        self.store.sessions.restore(self.copy)
        self.state = "live"

    @precondition(lambda self: self.state == "deleted")
    @rule(sure=st.sampled_from([False, False, False, True]))
    def purge(self, sure: bool) -> None:
        if sure:
            self.store.sessions.purge(self.copy)
            self.state = "purged"

    # The import.

    @rule()
    def take_in(self) -> None:
        theirs = self.bridge.messages(self.chain[-1]).items
        title = self.bridge.session(self.chain[-1]).title
        bytes_before = self.agent.path.read_bytes()
        item = AgentBridge(self.agent.path, store=self.store).import_session(self.chain[-1])
        assert self.agent.path.read_bytes() == bytes_before
        assert item.outcome is self.expected(theirs, title)
        self.met.update(self.chain)
        if item.outcome is Outcome.IMPORTED:
            self.copy, self.state = item.id, "live"
            self.fields = {"archived": False, "pinned": False, "workspace": None, "project_id": None}
        if item.outcome in (Outcome.IMPORTED, Outcome.UPDATED, Outcome.UNCHANGED):
            assert item.id == self.copy
            if theirs != self.taken:
                self.ours = self.taken = theirs
            if self.fields.get("title", self.title_taken) == self.title_taken:
                self.fields["title"] = self.title_taken = title

    def expected(self, theirs: Messages, title: str) -> Outcome:
        """How an import must end."""
        if self.state != "live":
            return Outcome.IMPORTED if self.state == "absent" else Outcome.SKIPPED
        if theirs in (self.taken, self.ours):
            followed = self.fields["title"] == self.title_taken != title
            return Outcome.UPDATED if followed else Outcome.UNCHANGED
        there = {
            message["_state_db_row_id"]: message
            for message in self.bridge.messages(self.chain[-1], include_rewound=True).items
        }
        for message in self.taken:
            now = there.get(message["_state_db_row_id"])
            if now is None or (now["role"], now["timestamp"]) != (message["role"], message["timestamp"]):
                return Outcome.CONFLICT  # gone, or another message has its id
        return Outcome.UPDATED if self.ours == self.taken else Outcome.CONFLICT

    @invariant()
    def the_store_says_what_it_should(self) -> None:
        if not hasattr(self, "store"):
            return
        if self.state != "live":
            assert self.store.sessions.list(limit=1000).items == []
            if self.state == "purged":
                with pytest.raises(SessionNotFoundError):
                    self.store.sessions.get(self.copy)
            return
        (session,) = self.store.sessions.list(limit=1000).items
        assert session.session_id == self.copy
        assert self.store.messages.read(self.copy) == self.ours
        assert session.message_count == len(self.ours)
        assert {name: getattr(session, name) for name in self.fields} == self.fields


ImportMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
TestImportsAgainstModel = ImportMachine.TestCase
