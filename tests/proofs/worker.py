"""A thread that does one operation after the other on its own sessions, and says what it begins and what is done."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hermes_store import DatabaseLockedError, Store
from hermes_store.files import export_directory, import_directory
from hermes_store.maintenance import backup, compact, copy
from hermes_store.message_streams import MessageStream
from tests.proofs.operations import SHARED, Model, Op, apply, document, edited, imported, message, messages
from tests.support.state_dir import StateDir

#: How often each verb is chosen, relative to the others.
WEIGHTS: Final = {
    "share": 8,
    "create": 4,
    "append": 10,
    "extend": 8,
    "replace": 6,
    "truncate": 3,
    "update": 5,
    "undo": 5,
    "fork": 3,
    "use": 4,
    "title": 4,
    "put": 5,
    "delete": 3,
    "restore": 4,
    "purge": 2,
    "rename": 2,
    "transaction": 5,
    "stream": 6,
    "import": 1.2,
    "export": 0.8,
    "backup": 0.8,
    "migrate": 0.4,
    "compact": 0.4,
    "copy": 0.4,
}
#: The verbs that are about no session.
_OF_ALL: Final = frozenset({"export", "backup", "migrate", "compact", "copy"})
#: Where a thread has this many sessions, it purges before it makes more.
_MOST_SESSIONS: Final = 8


class Worker:
    """A thread.

    Args:
        store: an open store.
        folder: where its files are: the database, and what is imported, exported and backed up.
        model: what its sessions are. It goes on from there.
        name: what its ids begin with. No other thread, before or after it, has the same.
        say: tells the outside what it begins and what is done.
        before_saying: called when an operation is done, before that is acknowledged.
    """

    weights = WEIGHTS

    def __init__(  # noqa: PLR0917
        self,
        store: Store,
        folder: Path,
        model: Model,
        name: str,
        say: Callable[[dict[str, Any]], object],
        before_saying: Callable[[], object],
    ) -> None:
        self._store = store
        self._folder = folder
        self._model = model
        self._name = name
        self._chance = random.Random(name)
        self._say = say
        self._before_saying = before_saying
        self._number = 0
        self._stream: MessageStream | None = None
        self._streamed: str | None = None

    def run(self, operations: int) -> None:
        """Do some operations."""
        while operations > 0:
            operations -= 1
            op = self._choose()
            self.prepare(op)
            self._say({"begin": op})
            try:
                self.do(op)
            except DatabaseLockedError:
                if op["verb"] != "compact":
                    raise
                self._say({"refused": op["key"]})
                continue
            self._before_saying()
            self._say({"done": op["key"]})
            self._model = apply(self._model, op)

    def prepare(self, op: Op) -> None:
        """Make what an operation needs."""
        if op["verb"] == "import":
            import_folder(self._folder, op)
        elif op["verb"] == "migrate":
            shutil.copy(self._folder / "first-release.db", self._folder / f"old-{op['key']}.db")

    def do(self, op: Op) -> None:
        """Do an operation."""
        getattr(self, f"do_{op['verb']}")(op)

    # ── Which operation comes next ──

    def _choose(self) -> Op:
        while True:
            verb = self._chance.choices([*self.weights], [*self.weights.values()])[0]
            if self._stream is not None and self._chance.random() < 0.3:
                verb = self._chance.choice(["checkpoint", "checkpoint", "finish"])
            self._number += 1
            size = self._chance.choice([5, 50, 300, 300, 3_000, 3_000, 60_000 if self._chance.random() < 0.3 else 900])
            op: Op = {"verb": verb, "key": f"{self._name}-{self._number}", "size": size}
            if self._complete(op):
                return op

    def _complete(self, op: Op) -> bool:
        """Add the arguments of an operation; return whether it can be done now."""
        chance, sessions = self._chance, self._model.sessions
        verb = op["verb"]
        op["count"] = 1 if verb == "append" else chance.choice([0, 1, 2, 3, 3, 20] if verb == "replace" else [2, 3, 20])
        op["title"] = f"Title {op['key']}"
        if verb in ("create", "import", "fork") and len(sessions) >= _MOST_SESSIONS:
            return False
        if verb == "create":
            op["session"] = f"s{op['key']}"
        elif verb == "import":
            op["size"] = min(op["size"], 900)
            op["counts"] = [chance.choice([1, 2, 5, 2_300 if chance.random() < 0.2 else 9]) for _ in range(3)]
        elif verb == "share":
            op["thread"] = self._name.split("_")[-1]
        elif verb in ("checkpoint", "finish"):
            op["session"] = self._streamed
        elif verb not in _OF_ALL:
            wanted = verb == "restore"
            found = [one for one, session in sessions.items() if session.is_deleted is wanted or verb == "purge"]
            found = [one for one in found if one != self._streamed]
            if not found:
                return False
            return self._complete_change(op, chance.choice(found), found)
        return True

    def _complete_change(self, op: Op, session_id: str, live: list[str]) -> bool:
        verb, chance = op["verb"], self._chance
        op["session"] = session_id
        length = len(self._model.sessions[session_id].messages)
        if verb in ("replace", "truncate", "update"):
            if not length:
                return False
            op["position"] = chance.randrange(length)
            op["keep"] = op["position"]
        elif verb == "transaction":
            op["other"] = chance.choice(live)
            return bool(op["other"] != session_id)
        elif verb == "undo":
            return self._model.sessions[session_id].undone is not None
        elif verb == "fork":
            op["new"], op["at"] = f"f{op['key']}", chance.randint(0, length)
        elif verb == "use":
            op["tokens"] = chance.randint(0, 1_000)
        elif verb == "rename":
            op["new"] = f"r{op['key']}"
        elif verb == "put":
            op["name"] = chance.choice(["draft", "notes", "tool_calls"])
        elif verb == "stream":
            return self._stream is None
        elif verb == "purge":  # large ones, and those that are deleted, first
            is_deleted = self._model.sessions[session_id].is_deleted
            return length > 500 or is_deleted or len(self._model.sessions) >= _MOST_SESSIONS
        return not (verb in ("append", "extend") and length > 80)

    # ── How each is done ──

    def _revision(self, op: Op) -> int:
        return self._store.sessions.get(op["session"]).revision

    def do_share(self, op: Op) -> None:
        self._store.messages.extend(SHARED, [{**one, "by": op["thread"]} for one in messages(op)])

    def do_create(self, op: Op) -> None:
        self._store.sessions.create(session_id=op["session"], title=op["title"])

    def do_append(self, op: Op) -> None:
        self._store.messages.append(op["session"], message(op))

    def do_extend(self, op: Op) -> None:
        self._store.messages.extend(op["session"], messages(op))

    def do_replace(self, op: Op) -> None:
        before = self._store.messages.read(op["session"])
        self._store.messages.replace(op["session"], edited(list(before), op), expected_revision=before.revision)

    def do_truncate(self, op: Op) -> None:
        self._store.messages.truncate(op["session"], keep=op["keep"], expected_revision=self._revision(op))

    def do_update(self, op: Op) -> None:
        revision = self._revision(op)
        self._store.messages.update(op["session"], op["position"], message(op), expected_revision=revision)

    def do_undo(self, op: Op) -> None:
        self._store.messages.undo(op["session"])

    def do_fork(self, op: Op) -> None:
        self._store.sessions.fork(op["session"], at=op["at"], title=op["title"], new_id=op["new"])

    def do_use(self, op: Op) -> None:
        self._store.usage.record(op["session"], model="m", input_tokens=op["tokens"], cost=0.5)

    def do_title(self, op: Op) -> None:
        self._store.sessions.update(op["session"], title=op["title"])

    def do_put(self, op: Op) -> None:
        self._store.documents.put(op["session"], document(op))

    def do_delete(self, op: Op) -> None:
        self._store.sessions.delete(op["session"])

    def do_restore(self, op: Op) -> None:
        self._store.sessions.restore(op["session"])

    def do_purge(self, op: Op) -> None:
        self._store.sessions.purge(op["session"])

    def do_rename(self, op: Op) -> None:
        self._store.sessions.change_id(op["session"], op["new"])

    def do_transaction(self, op: Op) -> None:
        with self._store.transaction() as tx:
            tx.messages.extend(op["session"], messages(op))
            tx.sessions.update(op["session"], title=op["title"])
            tx.messages.extend(op["other"], messages(op))

    def do_stream(self, op: Op) -> None:
        self._stream = self._store.messages.stream(op["session"], message(op))
        self._stream.__enter__()
        self._streamed = op["session"]

    def do_checkpoint(self, op: Op) -> None:
        assert self._stream is not None
        self._stream.checkpoint(message(op))

    def do_finish(self, op: Op) -> None:
        assert self._stream is not None
        self._stream.finish(message(op))
        self._stream = self._streamed = None

    def do_import(self, op: Op) -> None:
        report = import_directory(self._store, import_folder(self._folder, op))
        assert not report.failed, report

    def do_export(self, op: Op) -> None:
        export_directory(self._store, self._folder / f"export-{op['key']}")

    def do_backup(self, op: Op) -> None:
        backup(self._store, self._folder / f"backup-{op['key']}.db")

    def do_migrate(self, op: Op) -> None:
        Store.open(self._folder / f"old-{op['key']}.db").close()

    def do_copy(self, op: Op) -> None:
        copy(self._folder / "hermes.db", self._folder / f"copy-{op['key']}.db")

    def do_compact(self, op: Op) -> None:
        compact(self._store)


def import_folder(folder: Path, op: Op) -> Path:
    """Return the folder that an operation imports, and write it if it is not there."""
    root = folder / f"import-{op['key']}"
    if not root.exists():
        state = StateDir(root)
        for session_id, content in imported(op).items():
            state.session(session_id, *content)
    return root


def say_to(descriptor: int, thread: str) -> Callable[[dict[str, Any]], object]:
    """Return a function that writes lines to a pipe, each as a whole: it has fewer bytes than a pipe takes at once."""

    def say(line: dict[str, Any]) -> None:
        data = json.dumps({"thread": thread, **line}).encode() + b"\n"
        assert len(data) < 4_096
        os.write(descriptor, data)

    return say
