"""Many sessions by one statement, laid out so that a wrong index has to step over most of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from hermes_store import Store
from tests.support.internals import writing

#: A module's databases, by how many sessions they have and whether SQLite gathered statistics on them.
Databases = Callable[[int, bool], Store]

PROJECT: Final = "kept"
#: The sessions' times are consecutive seconds from here on: long ago, so that no blank one is fresh.
EPOCH: Final = 1_000_000_000.0
#: Blank sessions of the last minute, however long the test runs.
FRESH: Final = 20
FAR_FUTURE: Final = 10_000_000_000.0

# One block of neighbours in time for each kind of session and each of archived/not and pinned/not.
# What a list does not show is therefore never sprinkled between its rows, but lies in front of them by
# the thousand.
_FILL: Final = sa.text(
    """
    WITH RECURSIVE
    counter(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counter WHERE i < :count - 1),
    blocks(i, kind, archived, pinned) AS (
        SELECT i, i * 20 / :count / 4, i * 20 / :count / 2 % 2 = 1, i * 20 / :count % 2 = 1 FROM counter
    )
    INSERT INTO sessions (
        session_id, profile, project_id, title, source, deleted_at, archived, pinned, created_at, updated_at
    )
    SELECT
        's' || i,
        CASE WHEN kind IN (0, 1) THEN 'work' ELSE 'default' END,
        CASE WHEN kind = 0 THEN (SELECT id FROM projects WHERE project_id = :project) END,
        CASE WHEN kind = 3 THEN 'Untitled' ELSE 'Session ' || i END,
        CASE WHEN kind IN (0, 4) THEN 'cli' END,
        CASE WHEN kind = 2 THEN :epoch + i END,
        archived,
        pinned,
        :epoch,
        :epoch + i
    FROM blocks ORDER BY i
    """
)


def fill(store: Store, count: int) -> None:
    """Write `count` sessions (a multiple of 20) of five kinds, and a few blank ones that are still fresh."""
    for project_id in (PROJECT, *(f"other{number}" for number in range(40))):
        store.projects.create(name="Project", profile="work", project_id=project_id)
    with writing(store) as connection:
        connection.execute(_FILL, {"count": count, "project": PROJECT, "epoch": EPOCH})
    for number in range(FRESH):
        store.sessions.create(updated_at=FAR_FUTURE + number)


def analyze(store: Store) -> None:
    """Have the database gather statistics about its tables."""
    with writing(store) as connection:
        connection.exec_driver_sql("ANALYZE")


def moment(count: int, fraction: float) -> tuple[float, int]:
    """Return the time and the row id of the session at `fraction` of the way through `count` of them."""
    index = round(count * fraction)
    return EPOCH + index, index + 1


@dataclass(frozen=True)
class Indexed:
    """A combination of filters of `sessions.list`, and the index that serves it."""

    filters: dict[str, Any]
    index: str


INDEXED: Final = {
    "everything": Indexed({}, "ix_sessions_list"),
    "blank ones too": Indexed({"include_empty": True}, "ix_sessions_list"),
    "a profile": Indexed({"profile": "work"}, "ix_sessions_list_profile"),
    "a project": Indexed({"project_id": PROJECT}, "ix_sessions_list_project"),
    "a profile's, without project": Indexed({"profile": "work", "project_id": None}, "ix_sessions_list_project"),
    "a source": Indexed({"source": "cli"}, "ix_sessions_list_source"),
}
