"""Proof: many processes with several threads each change the same sessions, and nobody fails or waits for ever.

Each change that is acknowledged names the session's revision after it. At the end these are all revisions that the
session ever had, each once: nothing was lost and nothing was done twice.
"""

from __future__ import annotations

import collections
import multiprocessing
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from hermes_store import (
    HermesStoreError,
    MessageNotFoundError,
    RevisionNotKeptError,
    StaleSessionError,
    Store,
    UndoError,
)
from hermes_store.maintenance import verify
from tests.proofs.result import Result

APPENDED: Final = ["appended-0", "appended-1"]
EDITED: Final = ["edited-0", "edited-1", "edited-2"]
#: Edited sessions are cut when they have more messages than this.
_LONG: Final = 60
#: Operations of a thread, of which another one has to do a tenth.
_ENOUGH: Final = 200


def prove(
    *, seconds: int, processes: int = 8, threads: int = 4, target: str | None = None, busy_timeout: float = 5.0
) -> Result:
    """Let processes write for some seconds.

    Args:
        seconds: how long.
        processes, threads: how many, and how many in each.
        target: an empty database; a new SQLite file when None.
        busy_timeout: seconds that each waits for others at most.
    """
    if target is None:
        with tempfile.TemporaryDirectory(prefix="writers-") as folder:
            return prove(
                seconds=seconds,
                processes=processes,
                threads=threads,
                target=f"{folder}/hermes.db",
                busy_timeout=busy_timeout,
            )
    with Store.open(target) as store:
        for session_id in APPENDED + EDITED:
            store.sessions.create(session_id=session_id)
    context = multiprocessing.get_context("fork")
    begin = context.Barrier(processes)
    with ProcessPoolExecutor(processes, context, _begin_process, (begin,)) as pool:
        futures = [pool.submit(_write, target, number, threads, seconds, busy_timeout) for number in range(processes)]
        notes = [note for future in futures for note in future.result()]
    with Store.open(target) as store:
        return _judge(store, notes)


@dataclass
class Notes:
    """What one thread did and saw."""

    done: collections.Counter[str] = field(default_factory=collections.Counter)
    #: Seconds that the slowest call of each verb took.
    worst: dict[str, float] = field(default_factory=dict)
    #: The revisions of each session that its changes made.
    revisions: dict[str, list[int]] = field(default_factory=lambda: collections.defaultdict(list))
    #: What was written where, in sessions that are only appended to.
    appended: dict[tuple[str, int], Any] = field(default_factory=dict)
    #: What was written at all.
    written: set[str] = field(default_factory=set)
    #: How many tokens were recorded.
    tokens: int = 0
    problems: list[str] = field(default_factory=list)


class _Process:
    barrier: Any


def _begin_process(barrier: Any) -> None:
    _Process.barrier = barrier


def _write(target: str, number: int, threads: int, seconds: float, busy_timeout: float) -> list[Notes]:
    with Store.open(target, durability="normal", busy_timeout=busy_timeout) as store:
        writers = [_Writer(store, f"{number}/{thread}") for thread in range(threads)]
        _Process.barrier.wait(120)
        until = time.monotonic() + seconds
        running = [threading.Thread(target=writer.run, args=(until,)) for writer in writers]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    for writer in writers:
        writer.notes.revisions = dict(writer.notes.revisions)
    return [writer.notes for writer in writers]


class _Writer:
    def __init__(self, store: Store, name: str) -> None:
        self.notes = Notes()
        self._store = store
        self._name = name
        self._chance = random.Random(name)
        self._number = 0
        self._seen: dict[str, int] = {}
        self._cursor: str | None = None
        self._verbs: dict[str, tuple[int, Callable[[], object]]] = {
            "append": (20, self._append),
            "extend": (8, self._extend),
            "update a message": (8, self._update),
            "replace": (6, self._replace),
            "truncate": (6, self._truncate),
            "update a session": (8, self._title),
            "put a document": (6, self._put),
            "stream": (4, self._stream),
            "transaction": (6, self._transaction),
            "create and purge": (3, self._come_and_go),
            "fork": (2, self._fork),
            "undo": (3, self._undo),
            "record usage": (6, self._use),
            "follow changes": (4, self._follow),
            "read": (12, self._read),
            "page": (12, self._page),
            "list": (6, self._list),
        }

    def run(self, until: float) -> None:
        names, weights = [*self._verbs], [weight for weight, _ in self._verbs.values()]
        while time.monotonic() < until:
            (name,) = self._chance.choices(names, weights)
            began = time.monotonic()
            try:
                self._verbs[name][1]()
                self.notes.done[name] += 1
            except (StaleSessionError, MessageNotFoundError, UndoError, RevisionNotKeptError):  # others were faster
                self.notes.done["refused as stale"] += 1
            except HermesStoreError as error:
                self.notes.problems.append(f"{name}: {type(error).__name__}: {error}"[:300])
            except Exception as error:  # whatever it is, it is a problem
                self.notes.problems.append(f"{name}: bare {type(error).__name__}: {error}"[:300])
            self.notes.worst[name] = max(self.notes.worst.get(name, 0.0), time.monotonic() - began)

    # ── What is noted ──

    def _message(self) -> dict[str, Any]:
        self._number += 1
        text = f"{self._name}/{self._number}"
        self.notes.written.add(text)
        return {"role": "user", "of": text, "content": "x" * self._chance.choice([10, 300, 3_000])}

    def _changed(self, session_id: str, revision: int) -> None:
        self.notes.revisions[session_id].append(revision)
        self._saw(session_id, revision)

    def _saw(self, session_id: str, revision: int) -> None:
        if revision < self._seen.get(session_id, 0):
            self.notes.problems.append(f"the revision of {session_id} went back")
        self._seen[session_id] = revision

    def _appended(self, session_id: str, messages: list[Any], result: Any) -> None:
        self._changed(session_id, result.revision)
        if session_id in APPENDED:
            for position, message in enumerate(messages, result.first_position):
                self.notes.appended[session_id, position] = message["of"]

    # ── Verbs ──

    def _any(self) -> str:
        return self._chance.choice(APPENDED + EDITED)

    def _append(self) -> None:
        session_id, message = self._any(), self._message()
        self._appended(session_id, [message], self._store.messages.append(session_id, message))

    def _extend(self) -> None:
        session_id, messages = self._any(), [self._message() for _ in range(3)]
        self._appended(session_id, messages, self._store.messages.extend(session_id, messages))

    def _update(self) -> None:
        session_id = self._chance.choice(EDITED)
        page = self._store.messages.tail(session_id, limit=5)
        if page.items:
            result = self._store.messages.update(
                session_id, page.first_position, self._message(), expected_revision=page.revision
            )
            self._changed(session_id, result.revision)

    def _replace(self) -> None:
        session_id = self._chance.choice(EDITED)
        messages = self._store.messages.read(session_id)
        changed = [*messages[1:4], self._message(), *messages[4:]]
        result = self._store.messages.replace(session_id, changed, expected_revision=messages.revision)
        self._changed(session_id, result.revision)

    def _truncate(self) -> None:
        session_id = self._chance.choice(EDITED)
        record = self._store.sessions.get(session_id)
        if record.message_count > _LONG:
            result = self._store.messages.truncate(session_id, keep=10, expected_revision=record.revision)
            self._changed(session_id, result.revision)

    def _title(self) -> None:
        session_id = self._any()
        self._changed(session_id, self._store.sessions.update(session_id, title=self._name).revision)

    def _put(self) -> None:
        session_id = self._any()
        self._number += 1
        size = self._chance.choice([10, 5_000])
        result = self._store.documents.put(session_id, {"draft": [self._name, self._number, "d" * size]})
        self._changed(session_id, result.revision)

    def _stream(self) -> None:
        session_id, message = self._chance.choice(APPENDED), self._message()
        with self._store.messages.stream(session_id, message) as stream:
            self._changed(session_id, stream.revision)
            self.notes.appended[session_id, stream.position] = message["of"]
            for length in (1, 2):
                result = stream.checkpoint({**message, "length": length})
                self._changed(session_id, result.revision)
            self._changed(session_id, stream.finish({**message, "length": 3}).revision)

    def _transaction(self) -> None:
        pair = sorted(self._chance.sample(APPENDED + EDITED, 2))  # in one order: others wait, and nobody for each other
        messages = [self._message() for _ in pair]
        with self._store.transaction() as tx:
            results = [tx.messages.append(one, message) for one, message in zip(pair, messages, strict=True)]
        for session_id, message, result in zip(pair, messages, results, strict=True):
            self._appended(session_id, [message], result)

    def _come_and_go(self) -> None:
        session_id = self._store.sessions.create(title=self._name).session_id
        self._store.messages.append(session_id, self._message())
        self._store.sessions.delete(session_id)
        if self._chance.random() < 0.5:
            self._store.sessions.restore(session_id)
        self._store.sessions.purge(session_id)

    def _fork(self) -> None:
        session_id = self._chance.choice(EDITED)
        history = self._store.messages.history(session_id)
        cut = self._chance.choice(history) if history else None
        fork = self._store.sessions.fork(session_id, revision=None if cut is None else cut.revision)
        if len(self._store.messages.read(fork.session_id)) != (cut or fork).message_count:
            self.notes.problems.append("a fork has other messages")
        self._store.sessions.purge(fork.session_id)

    def _undo(self) -> None:
        session_id = self._chance.choice(EDITED)
        self._changed(session_id, self._store.messages.undo(session_id).revision)

    def _use(self) -> None:
        session_id = self._any()
        result = self._store.usage.record(session_id, model="m", input_tokens=3)
        self._changed(session_id, result.revision)
        self.notes.tokens += 3

    def _follow(self) -> None:
        page = self._store.changes(after=self._cursor, limit=1_000)
        for change in page.items:
            if change.session is not None:
                self._saw(change.id, change.session.revision)
        self._cursor = page.cursor

    def _read(self) -> None:
        with self._store.snapshot() as view:
            session_id = self._chance.choice(EDITED)
            record, messages = view.sessions.get(session_id), view.messages.read(session_id)
        if (record.message_count, record.revision) != (len(messages), messages.revision):
            self.notes.problems.append("a snapshot shows two states")
        self._saw(session_id, record.revision)

    def _page(self) -> None:
        session_id = self._any()
        page = self._store.messages.tail(session_id, limit=20)
        if page.first_position + len(page.items) != page.message_count:
            self.notes.problems.append("a page does not end where the session ends")
        self._saw(session_id, page.revision)

    def _list(self) -> None:
        found = {record.session_id for record in self._store.sessions.list(limit=1000, include_empty=True).items}
        if not found.issuperset(APPENDED + EDITED):
            self.notes.problems.append("a list lacks sessions")


def _judge(store: Store, notes: list[Notes]) -> Result:
    result = Result(problems=[problem for note in notes for problem in note.problems])
    for session_id in APPENDED + EDITED:
        record, messages = store.sessions.get(session_id), store.messages.read(session_id)
        revisions = sorted(revision for note in notes for revision in note.revisions.get(session_id, []))
        if revisions != list(range(2, record.revision + 1)):
            result.problems.append(
                f"{session_id} has {record.revision} revisions, and {len(revisions)} changes were acknowledged"
            )
        if record.message_count != len(messages):
            result.problems.append(f"{session_id} counts {record.message_count} messages and has {len(messages)}")
        if session_id in APPENDED:
            expected = {key[1]: text for note in notes for key, text in note.appended.items() if key[0] == session_id}
            if [one["of"] for one in messages] != [expected.get(position) for position in range(len(expected))]:
                result.problems.append(f"{session_id} has other messages than those that were acknowledged")
    written = set().union(*(note.written for note in notes))
    if any(one["of"] not in written for session_id in EDITED for one in store.messages.read(session_id)):
        result.problems.append("a message that nobody wrote")
    tokens, (used,) = sum(note.tokens for note in notes), store.usage.totals()
    if not tokens == used.input_tokens == sum(store.sessions.get(one).input_tokens for one in APPENDED + EDITED):
        result.problems.append(f"{tokens} tokens were recorded, and there are {used.input_tokens}")
    result.problems += [f"verify: {one.session_id} {one.kind} {one.problem}" for one in verify(store).findings]
    totals = [note.done.total() for note in notes]
    if statistics.median(totals) >= _ENOUGH > 10 * min(totals):
        result.problems.append(f"a thread was starved: it did {min(totals)} operations, and others {max(totals)}")
    result.figures = {
        "threads": len(notes),
        "operations": sum(totals),
        **{
            name: sum(note.done[name] for note in notes)
            for name in sorted({name for one in notes for name in one.done})
        },
        "changes, each with a revision of its own": sum(
            len(each) for note in notes for each in note.revisions.values()
        ),
        "operations of the thread that did fewest, and most": f"{min(totals)}, {max(totals)}",
        "worst wait in seconds": max(
            (f"{seconds:.2f} ({name})" for note in notes for name, seconds in note.worst.items()),
            key=lambda text: float(text.split()[0]),
        ),
    }
    return result
