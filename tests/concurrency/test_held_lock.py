"""The lock for work that may take long: waits end, a thread may take it twice, an interrupt never leaves it held."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hermes_store.storage.held_lock import HeldLock
from tests.support.interrupts import interrupted_at


@contextmanager
def held_by_another_thread(lock: HeldLock) -> Iterator[None]:
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock.hold(10):
            taken.set()
            over.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    yield
    over.set()
    thread.join()


def test_a_wait_ends_after_its_timeout() -> None:
    lock = HeldLock()
    with held_by_another_thread(lock):
        begin = time.monotonic()
        with lock.hold(0.1) as is_held:
            assert not is_held
        assert 0.1 <= time.monotonic() - begin < 5
    with lock.hold(0.1) as is_held:
        assert is_held


def test_a_thread_may_hold_it_twice() -> None:
    lock = HeldLock()
    with lock.hold(0.1), lock.hold(0.1) as is_held:
        assert is_held
    with held_by_another_thread(lock):
        pass


def test_a_failed_wait_does_not_release_another_s() -> None:
    lock = HeldLock()
    with held_by_another_thread(lock):
        for _ in range(2):
            with lock.hold(0) as is_held:
                assert not is_held


def test_an_interrupt_at_any_point_leaves_it_free() -> None:
    lock = HeldLock()
    inside = 0

    def work() -> None:
        nonlocal inside
        with lock.hold(1) as is_held:
            inside += is_held

    point = 0
    while interrupted_at(point, work):
        with held_by_another_thread(lock):
            point += 1
    assert point > 10
    assert inside
