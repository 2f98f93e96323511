"""Over files made by chance, damaged ones among them, the list is what the rules say, written down the slow way."""

from __future__ import annotations

import json
import math
import random
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hermes_store.agent import AgentBridge, listing, order
from tests.support.agent.statedb import RawText, insert
from tests.support.examples import examples

pytestmark = pytest.mark.slow

BASE = 1_750_000_000.0
SANE = (631_152_000.0, 7_258_118_400.0)
MARKERS = ("_delegate_from", "_branched_from", "_reset_from")
GROUPS = {
    "webui": {"webui"},
    "cron": {"cron"},
    "tool": {"tool", "kanban", "oneshot"},
    "subagent": {"subagent"},
    "archived": set(),
    "hidden": set(),
    "empty": set(),
}
#: Few, so that they meet; the last are no ids, and nothing can refer to them.
IDS = [*"abcdefghij", "Z", "über", "", "nul\0id"]
NO_IDS: list[Any] = [None, b"bytes", RawText(b"\xff broken")]
TIMES = [BASE, BASE + 1, BASE + 2, BASE + 3, BASE + 40, SANE[0], SANE[1]]
GARBAGE = [None, 0.0, -5.0, 5e246, math.inf, -math.inf, "yesterday", b"x", SANE[0] - 1, SANE[1] + 1]
CONFIGS = [
    *[None] * 5,
    "{}",
    "[1]",
    *(json.dumps({marker: "x"}) for marker in MARKERS),
    '{"_branched_from": null}',
    "{_reset_from",
]
SOURCES = ["cli", "cli", "cli", "telegram", "webui", "tool", "subagent", None]
INDEXES = {
    "agent": [
        "sessions(source, id)",
        "sessions(parent_session_id)",
        "messages(session_id, timestamp)",
        "messages(session_id, active, timestamp)",
    ],
    "old": ["sessions(source)", "sessions(parent_session_id)", "messages(session_id, timestamp)"],
    "no messages": ["sessions(source, id)", "sessions(parent_session_id)"],
    "no times": ["sessions(parent_session_id)", "messages(session_id)"],
    "none": [],
}


@dataclass(frozen=True)
class File:
    """What is in a file, and how it is made."""

    sessions: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    indexes: str = "agent"
    #: Columns that it lacks, and the type of its times.
    lacks: frozenset[str] = frozenset()
    times: str = "REAL"


@dataclass(frozen=True)
class Ask:
    """What is asked of the list; and how small are the numbers that keep its work small."""

    limit: int = 1
    include: frozenset[str] = frozenset()
    source: str | None = None
    spare: int = 0
    samples: tuple[int, ...] = (1,)
    counted: int = 1


def tangle(seed: int, sessions: int, messages: int, garbage: float, strange: bool, **how: Any) -> File:
    """Return sessions and messages by chance: so much of their times is garbage, and some ids may be none."""
    chance = random.Random(seed)
    ids = [*chance.sample(IDS, sessions), *(NO_IDS if strange else [])]

    def time() -> Any:
        return chance.choice(GARBAGE if chance.random() < garbage else TIMES)

    return File(
        [
            {
                "id": one,
                "source": chance.choice(SOURCES),
                "parent_session_id": chance.choice([None, *ids, *ids, "nowhere"]),
                "end_reason": chance.choice(["compression", "compression", "cli_close", "branched", None]),
                "ended_at": chance.choice([None, BASE]),
                "started_at": time(),
                "archived": chance.choice([0, 0, 0, 0, 0, 1, None]),
                "hidden": chance.choice([0, 0, 0, 0, 0, 1]),
                "model_config": chance.choice(CONFIGS),
            }
            for one in ids
        ],
        [
            {
                "session_id": chance.choice([*ids, "nowhere"]),
                "role": chance.choice(["user", "assistant"]),
                "content": chance.choice(["one", "two", None, ""]),
                "timestamp": time(),
                "active": chance.choice([1, 1, None, 0]),
                "compacted": chance.choice([0, 1, None, 2]),
                "display_order": chance.choice([None, None, 1, 2, 50]),
            }
            for _ in range(messages)
        ],
        **how,
    )


files = st.builds(
    tangle,
    st.integers(0, 2**32),
    sessions=st.integers(4, len(IDS)),
    messages=st.integers(5, 40),
    garbage=st.sampled_from([0.0, 0.0, 0.2, 1.0]),
    strange=st.booleans(),
    indexes=st.sampled_from(sorted(INDEXES)),
    lacks=st.sampled_from(
        [*[()] * 4, ("compacted",), ("active", "compacted"), ("source",), ("timestamp",), ("display_order",)]
    ).map(frozenset),
    times=st.sampled_from(["REAL", "REAL", "INTEGER", ""]),
)
asks = st.builds(
    Ask,
    limit=st.integers(1, 4),
    include=st.one_of(st.just(sorted(GROUPS)), st.sets(st.sampled_from(sorted(GROUPS)))).map(frozenset),
    source=st.sampled_from([None, None, "cli", "subagent", "nobody"]),
    spare=st.sampled_from([-2, 0, 50]),
    samples=st.sampled_from([(1,), (3,), (1, 4), (10,), (3, 10, 5000)]),
    counted=st.sampled_from([1, 500]),
)

COLUMNS = {
    "sessions": {
        "id": "TEXT PRIMARY KEY",
        **dict.fromkeys(("source", "parent_session_id", "end_reason", "model_config", "title"), "TEXT"),
        "ended_at": "REAL",
        "started_at": "REAL",
        "archived": "INTEGER",
        "hidden": "INTEGER",
    },
    "messages": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        **dict.fromkeys(("session_id", "role", "content"), "TEXT"),
        "timestamp": "REAL",
        **dict.fromkeys(("active", "compacted", "display_order"), "INTEGER"),
    },
}


def write(path: Path, file: File) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for table, columns in COLUMNS.items():
            kinds = {**columns, **{name: file.times for name in ("started_at", "timestamp") if name in columns}}
            made = [f"{name} {kind}" for name, kind in kinds.items() if name not in file.lacks]
            db.execute(f"CREATE TABLE {table} ({', '.join(made)})")
        for number, index in enumerate(INDEXES[file.indexes]):
            if not any(name in index for name in file.lacks):
                db.execute(f"CREATE INDEX i{number} ON {index}")
        for session in file.sessions:
            insert(db, "sessions", session)
        for message in file.messages:
            insert(db, "messages", message)
        db.execute("COMMIT")


@dataclass
class Rules:
    """The rules of the list, over all there is, in plain Python."""

    file: File
    sessions: dict[str, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        known = dict.fromkeys(self.file.lacks)
        self.sessions = {
            session["id"]: {**session, **known} for session in self.file.sessions if isinstance(session["id"], str)
        }

    def messages(self, session_id: str) -> list[tuple[int, dict[str, Any]]]:
        """Return a session's messages with their ids, in order."""
        found = [(number, one) for number, one in enumerate(self.file.messages, 1) if one["session_id"] == session_id]
        if "display_order" not in self.file.lacks:
            found.sort(key=lambda one: (one[0] if one[1]["display_order"] is None else one[1]["display_order"], one[0]))
        return found

    def shown(self, session_id: str) -> list[int]:
        def is_shown(message: dict[str, Any]) -> bool:
            if "active" in self.file.lacks or message["active"] != 0:
                return True
            return "compacted" not in self.file.lacks and message["compacted"] not in (0, None)

        return [number for number, message in self.messages(session_id) if is_shown(message)]

    def last(self, session_id: str) -> float | None:
        if "timestamp" in self.file.lacks:
            return None
        times = [sane(message["timestamp"]) for _, message in self.messages(session_id)]
        return max((time for time in times if time is not None), default=None)

    def marks(self, session: dict[str, Any]) -> set[str]:
        config = session["model_config"] or ""
        try:
            data = json.loads(config or "null")
        except ValueError:
            return {marker for marker in MARKERS if marker in config}
        return {marker for marker in MARKERS if isinstance(data, dict) and data.get(marker)}

    def successor(self, session_id: str) -> str | None:
        if self.sessions[session_id]["end_reason"] != "compression":
            return None
        able = [
            one
            for one in self.sessions.values()
            if one["parent_session_id"] == session_id
            and not self.marks(one)
            and one["source"] not in ("tool", "subagent")
        ]
        able.sort(
            key=lambda one: (
                one["end_reason"] == "compression",
                one["ended_at"] is None,
                self.last(one["id"]) or 0.0,
                one["id"],
            )
        )
        return able[-1]["id"] if able else None

    def chains(self) -> list[tuple[str, ...]]:
        following = {one: self.successor(one) for one in self.sessions}
        chains, left = [], set(self.sessions)
        # Those that nobody goes on with first; what is left over is rings.
        for first in [*sorted(left - set(following.values())), *sorted(left)]:
            chain: list[str] = []
            now: str | None = first
            while now is not None and now in left:
                chain.append(now)
                left.discard(now)
                now = following[now]
            if chain:
                chains.append(tuple(chain))
        return chains

    def is_helper(self, chain: tuple[str, ...]) -> bool:
        root = self.sessions[chain[0]]
        parent = self.sessions.get(root["parent_session_id"]) if isinstance(root["parent_session_id"], str) else None
        if parent is None or self.successor(parent["id"]) == root["id"]:
            return False
        marks = self.marks(root)
        alone = marks & {"_branched_from", "_reset_from"} or parent["end_reason"] in ("branched", "compression")
        return "_delegate_from" in marks or not alone

    def is_listed(self, chain: tuple[str, ...], ask: Ask) -> bool:
        tip = self.sessions[chain[-1]]
        left_out = {name for group in GROUPS.keys() - ask.include for name in GROUPS[group]}
        if tip["source"] != ask.source if ask.source is not None else tip["source"] in left_out:
            return False
        if any(tip[flag] and flag not in ask.include for flag in ("archived", "hidden")):
            return False
        if "subagent" not in ask.include and ask.source != "subagent" and self.is_helper(chain):
            return False
        return "empty" in ask.include or any(self.messages(one) for one in chain)

    def list(self, ask: Ask) -> list[tuple[tuple[str, ...], float, int]]:
        rows = []
        for chain in self.chains():
            if self.is_listed(chain, ask):
                times = [time for one in chain if (time := self.last(one)) is not None]
                began = sane(self.sessions[chain[-1]]["started_at"]) or 0.0
                rows.append((chain, max(times, default=began), sum(len(self.shown(one)) for one in chain)))
        return sorted(rows, key=lambda row: (row[1], row[0][-1]), reverse=True)


def sane(value: Any) -> float | None:
    return float(value) if isinstance(value, float) and SANE[0] <= value <= SANE[1] else None


def pages(bridge: AgentBridge, ask: Ask) -> list[tuple[tuple[str, ...], float, int]]:
    rows: list[tuple[tuple[str, ...], float, int]] = []
    after = None
    while True:
        page = bridge.sessions(limit=ask.limit, after=after, source=ask.source, include=ask.include)
        rows += [(one.chain, one.last_active, one.message_count) for one in page.items]
        after = page.next
        if after is None:
            return rows
        assert len(page.items) == ask.limit


def session(name: str, **columns: Any) -> dict[str, Any]:
    return {"id": name, "source": "cli", "started_at": BASE, **dict.fromkeys(REST), **columns}


def said(name: str, time: Any) -> dict[str, Any]:
    return {"session_id": name, "role": "user", "timestamp": time, "active": 1, "display_order": None}


REST = ("parent_session_id", "end_reason", "ended_at", "archived", "hidden", "model_config")
#: All at the same moment, more than any part of the work takes at once.
TIED = File([session(one) for one in IDS], [said(one, BASE) for one in IDS])
#: A full session without a time, which goes on in one without a message, begun last.
MUTE_TIP = File(
    [
        *(session(one) for one in "cde"),
        session("a", end_reason="compression"),
        session("b", parent_session_id="a", started_at=BASE + 40),
    ],
    [said("a", "yesterday"), *(said(one, BASE + 3 + number) for number, one in enumerate("cde"))],
)
#: A chain that was last active before it came to where it matters.
ELSEWHERE = File(
    [
        *(session(one) for one in "cdef"),
        session("a", end_reason="compression", source="webui"),
        session("b", parent_session_id="a"),
    ],
    [said("a", BASE + 40), said("b", BASE), *(said(one, BASE + 3) for one in "cdef")],
)


def untimed(time: Any) -> File:
    """Return a session whose only message has a time that cannot be, begun after the others spoke; no index."""
    told = [said("a", time), said("b", BASE + 3), said("c", BASE + 2)]
    return File([session("a", started_at=BASE + 40), session("b"), session("c")], told, "none")


@settings(
    max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(file=files, ask=asks)
@example(file=TIED, ask=Ask(limit=2, spare=-2))
@example(file=replace(TIED, indexes="none"), ask=Ask(limit=2))
@example(file=replace(TIED, times="INTEGER"), ask=Ask(limit=2))
@example(file=replace(TIED, indexes="none", times="INTEGER"), ask=Ask(limit=2))
@example(file=MUTE_TIP, ask=Ask())
@example(file=ELSEWHERE, ask=Ask())
@example(file=untimed("yesterday"), ask=Ask(samples=(5000,)))
@example(file=untimed(-5.0), ask=Ask(samples=(5000,)))
def test_pages_of_sessions_follow_the_rules(file: File, ask: Ask) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "state.db"
        write(path, file)
        patch.setattr(listing, "_SPARE", ask.spare)
        patch.setattr(listing, "_COUNTED", ask.counted)
        patch.setattr(order, "_SAMPLES", ask.samples)
        bridge, rules = AgentBridge(path), Rules(file)
        wanted = rules.list(ask)
        assert pages(bridge, ask) == wanted
        for chain, last_active, count in wanted[:3]:
            one = bridge.session(chain[0])
            assert (one.chain, one.last_active, one.message_count) == (chain, last_active, count)


@settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(file=files, limit=st.integers(1, 4), rewound=st.booleans(), lineage=st.booleans())
def test_pages_of_messages_follow_the_rules(file: File, limit: int, rewound: bool, lineage: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.db"
        write(path, file)
        bridge, rules = AgentBridge(path), Rules(file)
        for chain in rules.chains():
            members = chain if lineage else chain[-1:]
            wanted = [
                number
                for one in members
                for number in ([number for number, _ in rules.messages(one)] if rewound else rules.shown(one))
            ]
            found: list[int] = []
            after = None
            while True:
                page = bridge.messages(chain[-1], limit=limit, after=after, include_rewound=rewound, lineage=lineage)
                found += [message["_state_db_row_id"] for message in page.items]
                after = page.next
                if after is None:
                    break
            assert found == wanted
