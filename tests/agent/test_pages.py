"""On files of some hundred sessions, tangled at random, small pages give the one big page, and that is exact."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store.agent import AgentBridge
from tests.support.agent.conversations import BASE
from tests.support.agent.statedb import Row, Shape, add, create

ALL = ("webui", "cron", "tool", "subagent", "archived", "hidden", "empty")
SANE = "timestamp BETWEEN 631152000 AND 7258118400"


def tangle(seed: int) -> list[tuple[Row, list[Row]]]:
    """Return sessions with parents, ends, sources and times by chance."""
    chance = random.Random(seed)
    made: list[tuple[Row, list[Row]]] = []
    for number in range(300):
        session: Row = {
            "id": f"{chance.randrange(16**6):06x}-{number}",
            "source": chance.choice(["cli"] * 4 + ["telegram", "webui", "cron", "subagent", "tool"]),
            "started_at": BASE + chance.randrange(200),
            "title": f"T{number}" if chance.random() < 0.5 else None,
            "archived": int(chance.random() < 0.1),
            "hidden": int(chance.random() < 0.1),
            "system_prompt": "brief",
        }
        if made and chance.random() < 0.4:
            session["parent_session_id"] = chance.choice(made)[0]["id"]
            marker = chance.choice(["", "", "", "_delegate_from", "_branched_from"])
            session["model_config"] = f'{{"{marker}": "x"}}' if marker else None
        if chance.random() < 0.5:
            session["ended_at"] = BASE
            session["end_reason"] = chance.choice(["compression", "compression", "cli_close", "branched"])
        messages = [
            {
                "role": chance.choice(["user", "assistant"]),
                "content": f"words {number}",
                # Few different times, so that many are the same; now and then none that can be.
                "timestamp": 5e246 if chance.random() < 0.03 else BASE + chance.randrange(100),
                "active": int(chance.random() < 0.9),
            }
            for _ in range(chance.choice([0, 1, 2, 5]))
        ]
        made.append((session, messages))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("shape", [Shape(22), Shape(30, index=False), Shape(4)], ids=str)
@pytest.mark.parametrize("seed", range(2))
def test_small_pages_join_into_one_exact_list(tmp_path: Path, shape: Shape, seed: int) -> None:
    path = tmp_path / "state.db"
    made = tangle(seed)
    create(path, shape, [])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        order = list(range(len(made)))
        random.Random(seed).shuffle(order)  # the order of the rows is not that of the times
        for number in order:
            add(db, shape, *made[number])
        db.execute("COMMIT")
        bridge = AgentBridge(path)
        hows: list[dict[str, Any]] = [{}, {"include": ALL}, {"source": "telegram"}, {"include": ["empty"]}]
        for how in hows:
            whole = bridge.sessions(limit=1000, **how).items
            keys = [(one.last_active, one.session_id) for one in whole]
            assert keys == sorted(set(keys), reverse=True)
            limit = 9 if len(whole) > 20 else 2
            items, after = [], None
            while True:
                page = bridge.sessions(limit=limit, after=after, **how)
                items += page.items
                after = page.next
                if after is None:
                    break
            assert items == whole
        whole = bridge.sessions(limit=1000, include=ALL).items
        shown = [session_id for one in whole for session_id in one.chain]
        assert sorted(shown) == sorted(session["id"] for session, _ in made)
        live = "active IS NOT 0" if shape.version >= 14 else "1"
        for one in whole:
            marks = ",".join("?" * len(one.chain))
            where = f"FROM messages WHERE session_id IN ({marks})"
            assert one.message_count == db.execute(f"SELECT count(*) {where} AND {live}", one.chain).fetchone()[0]
            (last,) = db.execute(f"SELECT max(timestamp) {where} AND {SANE}", one.chain).fetchone()
            (began,) = db.execute("SELECT started_at FROM sessions WHERE id = ?", one.chain[-1:]).fetchone()
            assert one.last_active == (last or began)
