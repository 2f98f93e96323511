"""A process whose memory is measured: `python -m benchmarks.probe WORK DATABASE [SOURCE]`.

Opens the database, does the work, and prints as JSON the largest memory that it had resident above that of the open
store, in MiB, and the seconds that it took. Only for Linux, which tells the peak in /proc.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hermes_store import Store

STATUS: Final = Path("/proc/self/status")


def _list_pages(store: Store, source: str) -> None:
    after = None
    while True:
        page = store.sessions.list(limit=1000, after=after)
        after = page.next
        if after is None:
            return


def _read(store: Store, source: str) -> None:
    store.messages.read(source)


def _import(store: Store, source: str) -> None:
    from hermes_store.files import import_directory

    import_directory(store, source)


WORKS: Final[dict[str, Callable[[Store, str], None]]] = {
    "list": _list_pages,
    "read": _read,
    "import": _import,
}


def _resident(key: str) -> float:
    line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def main(work: str, database: str, source: str = "") -> None:
    with Store.open(database) as store:
        store.sessions.list(limit=1)
        before, started = _resident("VmRSS"), time.perf_counter()
        WORKS[work](store, source)
        seconds = time.perf_counter() - started
        print(json.dumps({"MiB": _resident("VmHWM") - before, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
