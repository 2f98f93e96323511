"""Exceptions of signal handlers that Python drops."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def dropped_in_finalizers(kind: type[BaseException]) -> Iterator[None]:
    """Do not report exceptions of a kind that are raised while an object is finalized.

    Nothing can catch them there: a signal's handler may run at any moment, and Python drops what it raises then.
    """
    before = sys.unraisablehook

    def report(found: Any) -> None:
        if found.exc_type is None or not issubclass(found.exc_type, kind):
            before(found)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = before
