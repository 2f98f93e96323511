"""Databases that several works use."""

from __future__ import annotations

from pathlib import Path

from ..bench import Bench
from ..databases import Content


def sessions(bench: Bench) -> Path:
    """Return a database of 10,000 sessions with one message each."""
    return bench.database("sessions", Content(sessions=bench.settings.size(10_000, 60)))


def transcripts(bench: Bench) -> Path:
    """Return a database of 10,000 sessions, and "l1" with 1,000 messages and "l50" with 50,000."""
    size = bench.settings.size
    long = {"l1": size(1000, 10), "l50": size(50_000, 20)}
    return bench.database("transcripts", Content(sessions=size(10_000, 60), long=long))


def listings(bench: Bench, count: int) -> Path:
    """Return a database of sessions in many profiles and projects, some of them archived or pinned."""
    content = Content(sessions=count, profiles=200, projects=500, archived=0.1, pinned=20)
    return bench.database(f"listings-{count}", content)
