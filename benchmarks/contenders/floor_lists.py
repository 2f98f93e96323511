"""The floor's lists: the library's rules in one statement, which merges ranges of the same indexes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from .floor import COLUMNS, FIELDS, JOINS, Floor

_ORDER: Final = "pinned DESC, updated_at DESC, id DESC"


class Filter(NamedTuple):
    """What a list shows; None does not filter."""

    profile: str | None = None
    project_id: str | None = None
    archived: bool | None = None
    pinned: bool | None = None


class Key(NamedTuple):
    """The place of a row in the list."""

    pinned: int
    updated_at: float
    id: int


class ListFloor(Floor):
    """A floor that also lists sessions."""

    def __init__(self, path: Path, durability: str = "full") -> None:
        super().__init__(path, durability)
        # A query uses a partial index only if its text implies the index's. Those of a profile are several.
        found = dict(self.connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'"))
        conditions = {name: (sql or "").partition(" WHERE ")[2] for name, sql in sorted(found.items())}
        self._visible, self._blank = conditions["ix_sessions_list"], conditions["ix_sessions_blank"]
        self._of_profile = [text for name, text in conditions.items() if name.startswith("ix_sessions_list_profile")]
        self._statements: dict[tuple[Filter, bool], str] = {}

    def page(self, wanted: Filter = Filter(), limit: int = 50, after: Key | None = None) -> list[dict[str, Any]]:  # noqa: B008
        """Return a page of the sidebar's list: pinned sessions first, then the last written, no old blank ones."""
        values: dict[str, Any] = {"n": limit + 1, "fresh": time.time() - 60, "profile": wanted.profile}
        if wanted.project_id is not None:
            query = "SELECT profile, id FROM projects WHERE project_id = ?"
            values["profile"], values["project"] = self.connection.execute(query, (wanted.project_id,)).fetchone()
        if after is not None:
            values |= {"pinned": after.pinned, "updated": after.updated_at, "id": after.id}
        shape = wanted, after is not None
        if shape not in self._statements:
            self._statements[shape] = self._statement(*shape)
        rows = self.connection.execute(self._statements[shape], values).fetchall()
        return [dict(zip(FIELDS, row, strict=True)) for row in rows[:limit]]

    def _statement(self, wanted: Filter, follows: bool) -> str:
        where = "" if wanted.profile is wanted.project_id is None else " AND profile = :profile"
        if wanted.project_id is not None:
            where += " AND project_id = :project"
        if wanted.pinned is not None:
            where += f" AND pinned = {wanted.pinned:d}"
        if follows:
            where += " AND (pinned, updated_at, id) < (:pinned, :updated, :id)"
        order = _ORDER if wanted.pinned is None else "updated_at DESC, id DESC"
        parts: list[str] = []
        for archived in (1, 0) if wanted.archived is None else (int(wanted.archived),):
            by_profile = wanted.profile is not None and wanted.project_id is None
            parts += [
                f"{visible} AND archived = {archived}{where} ORDER BY {order}"
                for visible in (self._of_profile if by_profile else [self._visible])
            ]
            parts += [
                f"{self._blank} AND archived = {archived}{where} AND pinned = {pinned} AND updated_at > :fresh "
                "ORDER BY updated_at DESC, id DESC"
                for pinned in ((1, 0) if wanted.pinned is None else (int(wanted.pinned),))
            ]
        ranges = " UNION ALL ".join(
            f"SELECT * FROM (SELECT id, pinned, updated_at FROM sessions WHERE {part} LIMIT :n)" for part in parts
        )
        return (
            f"SELECT {COLUMNS} FROM ({ranges} ORDER BY {_ORDER} LIMIT :n) page "
            f"JOIN sessions s ON s.id = page.id {JOINS} "
            "ORDER BY page.pinned DESC, page.updated_at DESC, page.id DESC"
        )

    def list_all(self) -> list[dict[str, Any]]:
        """Return all sessions in the list's order, by one statement."""
        rows = self.connection.execute(
            f"SELECT {COLUMNS} FROM sessions s {JOINS} WHERE s.deleted_at IS NULL "
            "ORDER BY s.pinned DESC, s.updated_at DESC, s.id DESC"
        )
        return [dict(zip(FIELDS, row, strict=True)) for row in rows]

    def key_of(self, session_id: str) -> Key:
        """Return a session's place in the list."""
        query = "SELECT pinned, updated_at, id FROM sessions WHERE session_id = ?"
        return Key(*self.connection.execute(query, (session_id,)).fetchone())
