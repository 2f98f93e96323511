"""How the agent's sessions are related: chains that compression made, branches, subagents.

The agent closes a full session with ``end_reason = 'compression'`` and continues in a child. Other children are
branches, which the user made, and subagents, which work for a session; markers in ``model_config`` tell them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..transcripts import json_codec
from .queries import Query, usable
from .schema import AgentSchema
from .snapshot import Snapshot, chunks, marks
from .times import last_of

#: The columns of the query for links.
_COLUMNS: Final = ("id", "parent", "source", "end_reason", "ended", "archived", "hidden", "config")
_MARKERS: Final = ("_delegate_from", "_branched_from", "_reset_from")


@dataclass(frozen=True)
class Link:
    """What a session's row says about its relations, and whether a list leaves it out."""

    id: str
    parent: str | None
    source: str | None
    end_reason: str | None
    ended: bool
    archived: bool
    hidden: bool
    markers: frozenset[str]


class Lineage:
    """The links of a file's sessions. The rows are wide, so each is read only when it is needed."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        #: The link of each session that was looked up, None where the session does not exist.
        self._links: dict[str, Link | None] = {}
        self._by_parent: defaultdict[str, dict[str, Link]] = defaultdict(dict)
        self._successors: dict[str, str | None] = {}
        self._chains: dict[str, tuple[str, ...]] = {}

    def load(self, session_ids: Iterable[str]) -> None:
        """Read sessions, their ancestors, and all children that may continue one of them."""
        ids = sorted({one for one in session_ids if usable(one)} - self._links.keys())
        for chunk in chunks(ids):
            self.take(self._snapshot.packed({"kin": kin(self._snapshot.schema, marks(chunk), chunk)})["kin"])
            for one in chunk:
                self._links.setdefault(one, None)  # it does not exist

    def take(self, rows: Iterable[Sequence[Any]]) -> None:
        """Note the rows of the query `kin`."""
        links = [_link(row) for row in rows if usable(row[0]) and self._links.get(row[0]) is None]
        self._links.update((link.id, link) for link in links)
        for link in links:
            if link.parent is not None:
                self._by_parent[link.parent][link.id] = link
                self._links.setdefault(link.parent, None)  # no row is that of a parent that does not exist
        self._choose([link.id for link in links if link.end_reason == "compression"])

    def link(self, session_id: str) -> Link | None:
        """Return a session's link, or None if the session does not exist."""
        if session_id not in self._links:
            self.load([session_id])
        return self._links.get(session_id)

    def successor(self, session_id: str) -> str | None:
        """Return the session that continues this one after compression ended it, or None."""
        self.link(session_id)
        return self._successors.get(session_id)

    def _choose(self, parents: list[str]) -> None:
        """Choose the child that continues each: one that compression ended too, an open one, or the last active."""
        able = {
            parent: [
                child
                for child in self._by_parent[parent].values()
                if not child.markers and child.source not in ("tool", "subagent")
            ]
            for parent in parents
        }
        contested = [child.id for children in able.values() if len(children) > 1 for child in children]
        times = last_of(self._snapshot, contested)

        def preference(child: Link) -> tuple[bool, bool, float, str]:
            return child.end_reason == "compression", not child.ended, times.get(child.id) or 0.0, child.id

        self._successors.update((parent, max(found, key=preference).id) for parent, found in able.items() if found)

    def is_continuation(self, session_id: str) -> bool:
        """Whether the session continues another one that compression ended."""
        link = self.link(session_id)
        return link is not None and link.parent is not None and self.successor(link.parent) == session_id

    def is_subagent(self, session_id: str) -> bool:
        """Whether the session works for another: it is no branch, no continuation, and not a root."""
        link = self.link(session_id)
        if link is None or link.parent is None or self.is_continuation(session_id):
            return False
        parent = self.link(link.parent)
        if parent is None:
            return False
        return "_delegate_from" in link.markers or not _stands_alone(link, parent.end_reason)

    def chain(self, session_id: str) -> tuple[str, ...]:
        """Return the chain that a session is part of, oldest first. A cycle begins at its least id."""
        if session_id not in self._chains:
            chain = self._find_chain(session_id)
            self._chains.update(dict.fromkeys(chain, chain))
        return self._chains[session_id]

    def _find_chain(self, session_id: str) -> tuple[str, ...]:
        first = session_id
        seen = {first}
        while (link := self.link(first)) is not None and link.parent is not None and self.is_continuation(first):
            first = link.parent
            if first in seen:
                first = self._least_of_cycle(first)
                break
            seen.add(first)
        chain = {first: None}
        while (following := self.successor(next(reversed(chain)))) is not None and following not in chain:
            chain[following] = None
        return tuple(chain)

    def _least_of_cycle(self, session_id: str) -> str:
        cycle = [session_id]
        while (following := self.successor(cycle[-1])) is not None and following != session_id:
            cycle.append(following)
        return min(cycle)


def kin(schema: AgentSchema, sessions: str, parameters: Sequence[Any] = ()) -> Query:
    """Return the query for sessions, their ancestors, and all children that may continue one of them.

    Args:
        schema: what the file has.
        sessions: SQL for the ids of the sessions: values, or a query for them.
        parameters: those of this SQL.
    """
    config = schema.session("model_config")
    marked = " OR ".join(f"instr({config}, '{marker}')" for marker in _MARKERS)
    values = [
        *map(schema.session, ("id", "parent_session_id", "source", "end_reason")),
        f"{schema.session('ended_at')} IS NOT NULL",
        *map(schema.session, ("archived", "hidden")),
        f"CASE WHEN {marked} THEN {config} END",
    ]
    columns = ", ".join(f"{value} AS {name}" for value, name in zip(values, _COLUMNS, strict=True))
    # Without these indexes, all sessions are read once instead of once for each.
    indexed = schema.session_index("id") and schema.session_index("parent_session_id")
    names = ", ".join(_COLUMNS)
    sql = (
        f"WITH RECURSIVE a AS {'NOT ' if indexed else ''}MATERIALIZED "
        f"(SELECT s.rowid AS place, {columns} FROM main.sessions s), "
        f"k(place, {names}) AS (SELECT * FROM a WHERE a.id IN ({sessions}) "
        "UNION SELECT a.* FROM k JOIN a ON a.id = k.parent "
        "UNION SELECT a.* FROM k JOIN a ON a.parent = k.id WHERE k.end_reason = 'compression') "
        f"SELECT {names} FROM k ORDER BY place"
    )
    return Query(_COLUMNS, sql, parameters)


def _link(row: Sequence[Any]) -> Link:
    session_id, parent, source, end_reason, ended, archived, hidden, config = row
    parent = parent if usable(parent) else None
    return Link(session_id, parent, source, end_reason, bool(ended), bool(archived), bool(hidden), markers(config))


def _stands_alone(child: Link, parent_end: str | None) -> bool:
    """Whether a child with a parent is a conversation of its own."""
    marked = child.markers & {"_branched_from", "_reset_from"}
    return bool(marked) or parent_end in ("branched", "compression")


def markers(config: Any) -> frozenset[str]:
    """Return the markers in a session's ``model_config`` that tell what kind of child it is."""
    if not isinstance(config, str):
        return frozenset()
    try:
        data = json_codec.decode(config.encode("utf-8", "surrogatepass"))
    except ValueError:  # damaged JSON: a marker's name in it counts as the marker
        return frozenset(marker for marker in _MARKERS if marker in config)
    return frozenset(marker for marker in _MARKERS if isinstance(data, dict) and data.get(marker))
