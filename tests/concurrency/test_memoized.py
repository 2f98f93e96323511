"""Values that are computed once for each object are computed without a lock."""

from __future__ import annotations

import dataclasses
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import hermes_store
from hermes_store.memoized import memoized
from tests.support.other_process import forked

#: Seconds in which a child has to be done; one that waits for a lock of its parent never is.
LIMIT = 20


@dataclasses.dataclass(frozen=True)
class Slow:
    """An object whose value one thread is computing until it may go on."""

    number: int
    begun: threading.Event = dataclasses.field(default_factory=threading.Event, compare=False)
    goes_on: threading.Event = dataclasses.field(default_factory=threading.Event, compare=False)
    calls: list[int] = dataclasses.field(default_factory=list, compare=False)

    @memoized
    def value(self) -> int:
        """Twice the number."""
        self.calls.append(self.number)
        if threading.current_thread().name == "slow":
            self.begun.set()
            assert self.goes_on.wait(LIMIT)
        return 2 * self.number


def test_a_value_is_computed_once_for_each_object() -> None:
    one, two = Slow(1), Slow(2)
    assert [one.value, two.value, one.value, two.value] == [2, 4, 2, 4]
    assert (one.calls, two.calls) == ([1], [2])
    assert one == Slow(1), "what was computed is not compared"
    assert Slow.value.__doc__ == "Twice the number."


def test_an_error_is_raised_and_not_kept() -> None:
    class Fails:
        calls = 0

        @memoized
        def value(self) -> int:
            self.calls += 1
            if self.calls == 1:
                raise ValueError("not yet")
            return self.calls

    fails = Fails()
    with pytest.raises(ValueError, match="not yet"):
        _ = fails.value
    assert fails.value == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_threads_and_children_do_not_wait_for_it() -> None:
    slow, other = Slow(1), Slow(2)
    thread = threading.Thread(target=lambda: slow.value, name="slow")
    thread.start()
    try:
        assert slow.begun.wait(LIMIT)
        assert (slow.value, other.value) == (2, 4), "another thread goes on"

        def values(_connection: Any) -> list[int]:
            return [Slow(3).value, slow.value]

        with forked(values) as child:
            assert child.said(LIMIT) == [6, 2]
    finally:
        slow.goes_on.set()
        thread.join()


def test_no_module_has_properties_with_a_lock() -> None:
    folder = Path(hermes_store.__file__).parent
    found = [path.name for path in folder.rglob("*.py") if "import cached_property" in path.read_text()]
    found += [path.name for path in folder.rglob("*.py") if "functools.cached_property\n" in path.read_text()]
    assert found == []
