"""Run the proofs of docs/reliability.md in their long form: all, or the one that is named."""

from __future__ import annotations

import argparse
import datetime
import importlib
import inspect
import platform
import resource
import sqlite3
import sys
import time
from collections.abc import Callable
from typing import Final

from tests.proofs.result import Result

#: By name: what the long form passes to `prove` of the module of this name.
LONG: Final[dict[str, dict[str, int]]] = {
    "kill": {"kills": 1_000},
    "writers": {"seconds": 60},
    "disk": {"points": 3},
    "damage": {"trials": 2_000},
    "salvage": {"trials": 1_000},
    "interrupts": {"rounds": 1_000},
    "soak": {"operations": 1_000_000},
    "versions": {"rounds": 200},
    "clock": {"operations": 20_000},
    "races": {"seconds": 60},
    "upgrade": {"megabytes": 2_000},
    "server-kill": {"kills": 300},
}


def main(arguments: list[str]) -> int:
    """Run some proofs, and return 0 if none failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs", description=__doc__)
    parser.add_argument("proof", nargs="?", choices=LONG, help="all, one after the other, if none is named")
    parser.add_argument("--seed", type=int, default=0, help="of the random choices (default: 0)")
    for name in sorted({name for options in LONG.values() for name in options}):
        used = [f"{proof} {options[name]}" for proof, options in LONG.items() if name in options]
        parser.add_argument(f"--{name}", type=int, help=f"(default: {', '.join(used)})")
    given = parser.parse_args(arguments)
    failed = []
    for proof in [given.proof] if given.proof else LONG:
        options = {name: getattr(given, name) or value for name, value in LONG[proof].items()}
        if not _run(proof, options, given.seed).problems:
            continue
        failed.append(proof)
    print(f"failed: {', '.join(failed)}" if failed else "no proof failed", flush=True)
    return bool(failed)


def _run(proof: str, options: dict[str, int], seed: int) -> Result:
    prove: Callable[..., Result] = importlib.import_module(f"tests.proofs.{proof.replace('-', '_')}").prove
    if "seed" in inspect.signature(prove).parameters:
        options = {**options, "seed": seed}
    shown = " ".join(f"--{name} {value}" for name, value in options.items())
    print(f"── {proof} {shown}\n{_place()}", flush=True)
    started, processor = time.monotonic(), _processor_seconds()
    result = prove(**options)
    print(result.text())
    print(f"seconds: {time.monotonic() - started:.0f} ({_processor_seconds() - processor:.0f} of processor time)\n")
    return result


def _place() -> str:
    today = datetime.datetime.now(datetime.UTC).date()
    return f"{today}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}"


def _processor_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
