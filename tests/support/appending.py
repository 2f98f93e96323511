"""Appends by many threads and processes, and what must be true when they are done."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from hermes_store import Store


class Acknowledged(NamedTuple):
    """An append that was reported as done."""

    session_id: str
    position: int
    message: Any


class _Worker:
    """What a worker process has from its start."""

    store: Store
    barrier: Any


def begin_worker(target: str | Store, barrier: Any) -> None:
    """Set a worker process up: open the store, or go on with the one that was inherited by a fork."""
    _Worker.store = target if isinstance(target, Store) else Store.open(target, durability="normal", busy_timeout=60)
    _Worker.barrier = barrier


def append_in_worker(worker: int, session_ids: list[str], rounds: int) -> list[Acknowledged]:
    """Wait until all workers are there, then append with them."""
    _Worker.barrier.wait(60)
    return append_rounds(_Worker.store, worker, session_ids, rounds)


def append_rounds(store: Store, worker: int, session_ids: list[str], rounds: int) -> list[Acknowledged]:
    """Append to the sessions, alternately alone and in transactions that read first and write then."""
    done = []
    for number in range(rounds):
        for session_id in random.sample(session_ids, len(session_ids)):
            message = {"worker": worker, "round": number}
            if number % 2:
                result = store.messages.append(session_id, message)
            else:
                with store.transaction() as tx:
                    tx.messages.tail(session_id, limit=1)
                    result = tx.messages.append(session_id, message)
            assert result.first_position is not None
            done.append(Acknowledged(session_id, result.first_position, message))
    return done


def require_all_there(store: Store, acknowledged: Iterable[Acknowledged]) -> None:
    """Every acknowledged message is at its position, nothing else is there, and the counters agree."""
    expected: dict[str, dict[int, Any]] = {}
    for session_id, position, message in acknowledged:
        assert position not in expected.setdefault(session_id, {}), "two messages were given one position"
        expected[session_id][position] = message
    for session_id, messages in expected.items():
        transcript = store.messages.read(session_id)
        assert sorted(messages) == list(range(len(transcript)))
        assert transcript == [messages[position] for position in range(len(transcript))]
        record = store.sessions.get(session_id)
        assert record.message_count == len(transcript) == store.messages.count(session_id)
        assert record.revision == 1 + len(transcript), "each append was one revision"
