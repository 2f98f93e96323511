"""How the agent's sessions hang together: chains that compression made, branches, subagents.

The agent closes a full session with ``end_reason = 'compression'`` and goes on in a child. Other children are
branches (the user's) and subagents (the agent's own helpers); markers in ``model_config`` tell them apart.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Final

from .attach import Snapshot

_LONGEST_CHAIN: Final = 100
_MARKERS: Final = ("_delegate_from", "_branched_from", "_reset_from")


@dataclass(frozen=True)
class Child:
    """A session that has a parent."""

    id: str
    parent: str
    source: str | None
    end_reason: str | None
    ended: bool
    markers: frozenset[str]


@dataclass(frozen=True)
class Lineage:
    """The links of a file's sessions."""

    children: dict[str, Child]
    #: The end reasons of the sessions that are parents; a parent that is not there is not in it.
    parents: dict[str, str | None]
    #: The chain of each session that is part of one, oldest first.
    chains: dict[str, tuple[str, ...]]

    @classmethod
    def read(cls, snapshot: Snapshot) -> Lineage:
        """Read the links of all sessions, touching the rows of children and parents only."""
        children = {child.id: child for child in _children(snapshot)}
        parents = dict(
            tuple(row)
            for row in snapshot.in_chunks(
                f"SELECT s.id, {snapshot.schema.session('end_reason')} FROM agent.sessions s WHERE s.id IN ({{}})",
                sorted({child.parent for child in children.values()}),
            )
        )
        return cls(children, parents, _chains(_successors(snapshot, children, parents)))

    def chain(self, session_id: str) -> tuple[str, ...]:
        """Return the chain that a session is part of, oldest first."""
        return self.chains.get(session_id, (session_id,))

    def is_subagent(self, session_id: str) -> bool:
        """Whether the conversation is a helper's of another: begun by it, and neither a branch nor on its own."""
        child = self.children.get(self.chain(session_id)[0])
        if child is None or child.parent not in self.parents:
            return False
        return "_delegate_from" in child.markers or not _stands_alone(child, self.parents[child.parent])


def _chains(successor: dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the chains that successors make; a circle is opened, and a chain beyond reason is cut."""
    starts = sorted(successor.keys() - set(successor.values()))
    chains: dict[str, tuple[str, ...]] = {}
    for start in [*starts, *sorted(successor)]:  # those that are left after the first are in circles
        following: str | None = start
        while following is not None and following not in chains:
            chain: dict[str, None] = {}
            while following is not None and following not in chain and following not in chains:
                if len(chain) == _LONGEST_CHAIN:
                    break
                chain[following] = None
                following = successor.get(following)
            chains |= dict.fromkeys(chain, tuple(chain))
    return chains


def _stands_alone(child: Child, parent_end: str | None) -> bool:
    """Whether a child with a parent is a conversation of its own."""
    marked = child.markers & {"_branched_from", "_reset_from"}
    return bool(marked) or parent_end in ("branched", "compression")


def _successors(snapshot: Snapshot, children: dict[str, Child], parents: dict[str, str | None]) -> dict[str, str]:
    """Choose, for each session that compression ended, the one that goes on: itself ended so, else open, else last."""
    candidates: defaultdict[str, list[Child]] = defaultdict(list)
    for child in children.values():
        goes_on = parents.get(child.parent) == "compression" and not child.markers
        if goes_on and child.source not in ("tool", "subagent"):
            candidates[child.parent].append(child)

    rivals = [child.id for found in candidates.values() if len(found) > 1 for child in found]
    last_active = dict(
        tuple(row)
        for row in snapshot.in_chunks(
            f"SELECT m.session_id, max({snapshot.schema.message('timestamp')}) FROM agent.messages m "
            "WHERE m.session_id IN ({}) GROUP BY m.session_id",
            rivals,
        )
    )

    def preference(child: Child) -> tuple[bool, bool, float, str]:
        return child.end_reason == "compression", not child.ended, _number(last_active.get(child.id)), child.id

    return {parent: max(found, key=preference).id for parent, found in candidates.items()}


def _children(snapshot: Snapshot) -> list[Child]:
    schema = snapshot.schema
    if "parent_session_id" not in schema.sessions:
        return []
    # In two steps, so that the wide rows of sessions without a parent are not read: the first is of an index.
    rowids = [
        row[0] for row in snapshot.rows("SELECT rowid FROM agent.sessions s WHERE s.parent_session_id IS NOT NULL")
    ]
    config = schema.session("model_config")
    marked = " OR ".join(f"instr({config}, '{marker}')" for marker in _MARKERS)
    rows = snapshot.in_chunks(
        f"SELECT s.id, s.parent_session_id, {schema.session('source')}, {schema.session('end_reason')}, "
        f"{schema.session('ended_at')} IS NOT NULL, CASE WHEN {marked} THEN {config} END "
        "FROM agent.sessions s WHERE s.rowid IN ({})",
        rowids,
    )
    return [Child(row[0], row[1], row[2], row[3], bool(row[4]), markers(row[5])) for row in rows]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def markers(config: Any) -> frozenset[str]:
    """Return the markers in a session's ``model_config`` that tell what kind of child it is."""
    if not isinstance(config, str):
        return frozenset()
    try:
        data = json.loads(config)
    except ValueError:  # the words are there, in text that is no JSON: take them as said
        return frozenset(marker for marker in _MARKERS if marker in config)
    return frozenset(marker for marker in _MARKERS if isinstance(data, dict) and data.get(marker))
