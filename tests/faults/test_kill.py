"""Killed at any moment, a writer leaves whole sessions, and all that it was told is done."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from hermes_store import Store

_fork = multiprocessing.get_context("fork")
BATCH = 3


def _write_until_killed(path: Path, number: int, session_ids: list[str], to_parent: Connection) -> None:
    """Append, edit and keep a document, in one transaction each; tell the parent when each is done."""
    with Store.open(path) as store:
        for count in range(10**6):
            session_id = session_ids[count % len(session_ids)]
            with store.transaction() as tx:
                batch = [{"life": number, "count": count, "part": part, "text": "x" * 3000} for part in range(BATCH)]
                first = tx.messages.extend(session_id, batch).first_position
                tx.documents.put(session_id, {"last": [number, count], "length": first + BATCH})
            to_parent.send((session_id, first, number, count))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_killed_writer_leaves_every_acknowledged_append_and_whole_sessions(
    sqlite_path: Path, require_sound: Callable[[Path], None], seed: int
) -> None:
    chance = random.Random(seed)
    with Store.open(sqlite_path, durability="normal") as store:
        session_ids = [store.sessions.create().session_id for _ in range(2)]
    acknowledged = []
    for number in range(4):
        receiver, sender = _fork.Pipe(duplex=False)
        writer = _fork.Process(target=_write_until_killed, args=(sqlite_path, number, session_ids, sender))
        writer.start()
        sender.close()
        for _ in range(chance.randrange(1, 15)):
            acknowledged.append(receiver.recv())
        time.sleep(chance.random() * 0.005)
        writer.kill()
        writer.join()
        while receiver.poll():  # what it still said before it died
            try:
                acknowledged.append(receiver.recv())
            except EOFError:
                break
        receiver.close()
        assert writer.exitcode == -9
        with Store.open(sqlite_path) as store:
            transcripts = {session_id: store.messages.read(session_id) for session_id in session_ids}
            for session_id, first, life, count in acknowledged:
                batch = transcripts[session_id][first : first + BATCH]
                assert [(m["life"], m["count"], m["part"]) for m in batch] == [(life, count, p) for p in range(BATCH)]
            for session_id, transcript in transcripts.items():
                assert [message["part"] for message in transcript] == [*range(BATCH)] * (len(transcript) // BATCH)
                documents = store.documents.read(session_id)
                last = transcript[-1] if transcript else None
                assert documents == ({"last": [last["life"], last["count"]], "length": len(transcript)} if last else {})
                store.messages.extend(session_id, [{"life": -1, "count": -1, "part": p} for p in range(BATCH)])
                store.documents.put(session_id, {"last": [-1, -1], "length": len(transcript) + BATCH})
        require_sound(sqlite_path)


def test_a_writer_killed_inside_a_transaction_leaves_nothing_of_it(
    sqlite_path: Path, session_id: str, require_sound: Callable[[Path], None]
) -> None:
    def write_and_wait(to_parent: Connection) -> None:
        with Store.open(sqlite_path) as store, store.transaction() as tx:
            # More than SQLite's page cache holds, so that a part of it is in the log already.
            tx.messages.extend(session_id, [{"n": n, "text": "x" * 100_000} for n in range(60)])
            tx.sessions.update(session_id, title="After")
            to_parent.send("written")
            time.sleep(60)

    receiver, sender = _fork.Pipe(duplex=False)
    writer = _fork.Process(target=write_and_wait, args=(sender,))
    writer.start()
    assert receiver.recv() == "written"
    assert sqlite_path.with_name(f"{sqlite_path.name}-wal").stat().st_size > 1_000_000
    writer.kill()
    writer.join()
    with Store.open(sqlite_path) as store:
        assert store.messages.read(session_id) == ["one", "two", "three"]
        assert store.sessions.get(session_id).title == "Before"
        store.messages.append(session_id, "four")
    require_sound(sqlite_path)


def test_a_process_killed_while_it_makes_the_database_leaves_one_that_opens(
    tmp_path: Path, require_sound: Callable[[Path], None]
) -> None:
    chance = random.Random(7)
    for number in range(6):
        path = tmp_path / f"{number}.db"
        maker = _fork.Process(target=Store.open, args=(path,))
        maker.start()
        while not path.exists():
            time.sleep(0.001)
        time.sleep(chance.random() * 0.1)
        maker.kill()
        maker.join()
        with Store.open(path) as store:
            session_id = store.sessions.create().session_id
            store.messages.append(session_id, "one")
            assert store.messages.read(session_id) == ["one"]
        require_sound(path)


def _stream_until_killed(path: Path, to_parent: Connection) -> None:
    """Write checkpoints of one message; tell the parent the length of each that is done."""
    with Store.open(path) as store, store.messages.stream("s", {"text": ""}) as stream:
        for length in range(1, 10**6):
            stream.checkpoint({"text": "x" * length})
            to_parent.send(length)


@pytest.mark.slow
def test_a_killed_stream_leaves_its_last_checkpoint(sqlite_path: Path, require_sound: Callable[[Path], None]) -> None:
    with Store.open(sqlite_path, durability="normal") as store:
        store.sessions.create(session_id="s")
    receiver, sender = _fork.Pipe(duplex=False)
    writer = _fork.Process(target=_stream_until_killed, args=(sqlite_path, sender))
    writer.start()
    sender.close()
    for _ in range(20):
        length = receiver.recv()
    writer.kill()
    writer.join()
    while receiver.poll():
        try:
            length = receiver.recv()
        except EOFError:
            break
    require_sound(sqlite_path)
    with Store.open(sqlite_path) as store:
        [message] = store.messages.read("s")
    # (Of the one after that it was not told.)
    assert message in [{"text": "x" * length, "_partial": True}, {"text": "x" * (length + 1), "_partial": True}]
