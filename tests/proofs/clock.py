"""Proof: a clock that jumps back and forth changes neither revisions nor positions, and nothing stays first for ever.

The clock is `time.time`, the only one that the library stores. Here it jumps by seconds, days and centuries.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

from hermes_store import Store
from hermes_store.maintenance import verify
from hermes_store.records import SessionOrder
from hermes_store.transcripts.encoding import LATEST
from tests.proofs.result import Result

NOW: Final = 1.8e9
_JUMPS: Final = (0.0, 0.001, 1.0, 3_600.0, 86_400.0, 3e7, 3e8, 3e9, 1e11)


def prove(*, operations: int, seed: int = 0, target: str | None = None) -> Result:
    """Do operations, each at another time.

    Args:
        operations: how many.
        seed: of the jumps.
        target: an empty database; a new SQLite file when None.
    """
    with (
        tempfile.TemporaryDirectory(prefix="clock-") as name,
        _Clock() as clock,
        Store.open(target or Path(name) / "hermes.db", durability="normal") as store,
    ):
        return _Proof(store, clock, random.Random(seed)).run(operations)


class _Clock:
    """What `time.time` returns."""

    def __init__(self) -> None:
        self.now = NOW
        self._patch = mock.patch.object(time, "time", self._read)

    def _read(self) -> float:
        return self.now

    def __enter__(self) -> _Clock:
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    @contextmanager
    def right(self) -> Iterator[None]:
        """Let the clock be right for a while."""
        before, self.now = self.now, NOW
        yield
        self.now = before


class _Proof:
    def __init__(self, store: Store, clock: _Clock, chance: random.Random) -> None:
        self._result = Result()
        self._store = store
        self._clock = clock
        self._chance = chance
        self._ids = [store.sessions.create(title=f"Session {number}").session_id for number in range(8)]
        self._messages: dict[str, list[str]] = {session_id: [] for session_id in self._ids}
        self._revisions = dict.fromkeys(self._ids, 1)

    def run(self, operations: int) -> Result:
        for number in range(operations):
            self._jump()
            self._write(number)
            self._result.count("operations, each at another time")
            if number % 20 == 0:
                self._check_lists()
        for session_id in self._ids:
            if list(self._store.messages.read(session_id)) != self._messages[session_id]:
                self._result.problems.append("messages are in another order")
        self._check_that_nothing_stays_first()
        findings = verify(self._store).findings
        self._result.problems += [f"verify: {one.session_id} {one.kind} {one.problem}" for one in findings]
        return self._result

    def _jump(self) -> None:
        size = self._chance.choice(_JUMPS) * self._chance.random()
        self._clock.now = max(0.0, NOW + self._chance.choice([-1, 1]) * size)
        if self._clock.now != NOW:
            self._result.count("jumps back" if self._clock.now < NOW else "jumps into the future")

    def _write(self, number: int) -> None:
        session_id = self._chance.choice(self._ids)
        before = self._store.sessions.get(session_id)
        verb = self._chance.choice(["append", "update", "put", "stream", "delete", "replace"])
        if verb == "append":
            self._store.messages.append(session_id, str(number))
            self._messages[session_id].append(str(number))
        elif verb == "update":
            self._store.sessions.update(session_id, title=str(number))
        elif verb == "put":
            self._store.documents.put(session_id, {"draft": number})
        elif verb == "stream":
            self._store.messages.extend(session_id, [f"{number} a", f"{number} b"])
            self._messages[session_id] += [f"{number} a", f"{number} b"]
        elif verb == "delete":
            self._store.sessions.delete(session_id)
            self._store.sessions.restore(session_id)
        else:
            self._messages[session_id] = [*self._messages[session_id][-5:], str(number)]
            self._store.messages.replace(session_id, self._messages[session_id], expected_revision=before.revision)
        after = self._store.sessions.get(session_id)
        if after.revision <= before.revision:
            self._result.problems.append(f"{verb}: the revision did not grow")
        if after.updated_at < before.updated_at <= LATEST:
            self._result.problems.append(f"{verb}: updated_at went back from {before.updated_at} to {after.updated_at}")

    def _check_lists(self) -> None:
        """Every session is on exactly one page, whatever its time."""
        orders: tuple[SessionOrder, ...] = ("updated", "activity")
        for order in orders:
            found: list[str] = []
            after = None
            while True:
                page = self._store.sessions.list(order=order, limit=3, after=after, include_empty=True)
                found += [record.session_id for record in page.items]
                after = page.next
                if after is None or len(found) > 100:
                    break
            if sorted(found) != sorted(self._ids):
                self._result.problems.append(f"the pages by {order} have {len(found)} of {len(self._ids)} sessions")

    def _check_that_nothing_stays_first(self) -> None:
        """Once the clock is right, a write to each session with a time after 2100 brings it to its place."""
        with self._clock.right():
            ahead = 0
            for session_id in self._ids:
                ahead += self._store.sessions.get(session_id).updated_at > NOW
                self._store.sessions.update(session_id, title="now")
            late = [one for one in self._ids if self._store.sessions.get(one).updated_at > LATEST]
            if late:
                self._result.problems.append(f"{len(late)} sessions stay first for ever")
            # A time between now and 2100 is kept until it has come, or is set by hand: see decision 0016.
            for session_id in self._ids:
                self._store.sessions.update(session_id, updated_at=NOW)
            new = self._store.sessions.create(title="New").session_id
            self._clock.now = NOW + 1
            self._store.messages.append(new, "last")
            first = self._store.sessions.list(limit=1).items[0].session_id
            if first != new:
                self._result.problems.append("what was written last is not first")
            self._result.figures["sessions whose time was ahead at the end"] = ahead
