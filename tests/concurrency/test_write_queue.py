"""The queue of writers: whoever came first is admitted first, also before the thread that wrote last."""

from __future__ import annotations

import threading
import time

from hermes_store.storage.write_queue import WriteQueue


class Owner:
    """Who holds the queue, or waits in it."""


def test_writers_are_admitted_in_their_order() -> None:
    queue, admitted, threads = WriteQueue(), list[str](), list[threading.Thread]()

    def write(name: str) -> None:
        owner = Owner()
        assert queue.acquire(owner, 60)
        admitted.append(name)
        queue.release(owner)

    first = Owner()
    assert queue.acquire(first, 60)
    for number, name in enumerate("abc", 1):
        threads.append(threading.Thread(target=write, args=(name,)))
        threads[-1].start()
        while len(queue._waiting) < number:
            time.sleep(0.001)
    queue.release(first)
    write("the first again")
    for thread in threads:
        thread.join()
    assert admitted == ["a", "b", "c", "the first again"]


def test_who_gives_up_is_not_waited_for() -> None:
    queue, first, impatient, last = WriteQueue(), Owner(), Owner(), Owner()
    assert queue.acquire(first, 0)
    assert not queue.acquire(impatient, 0)
    queue.release(first)
    assert queue.acquire(last, 0)


def test_a_dropped_holder_holds_it_no_more() -> None:
    queue, dropped, last = WriteQueue(), Owner(), Owner()
    assert queue.acquire(dropped, 0)
    del dropped
    assert queue.acquire(last, 0)
