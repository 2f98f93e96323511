"""Many sessions by one statement, laid out so that a wrong index has to step over most of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from hermes_store import WITHOUT, Store
from hermes_store.maintenance import reindex
from tests.support.hostile_values import EVERYWHERE
from tests.support.internals import writing

#: A module's databases, by how many sessions they have and whether SQLite gathered statistics on them.
Databases = Callable[[int, bool], Store]

PROJECT: Final = "kept"
#: The sessions' times are consecutive seconds from here on: long ago, so that no blank one is fresh.
EPOCH: Final = 1_000_000_000.0
#: Blank sessions of the last minute, however long the test runs.
FRESH: Final = 20
FAR_FUTURE: Final = 10_000_000_000.0

#: The kinds of sessions, the oldest first: profile, project, source, title, deleted. What a filter shows is older than
#: something that it does not show, in each wider index.
_KINDS: Final[list[tuple[str, str | None, str | None, str, bool]]] = [
    ("work", PROJECT, "cli", "Trip", False),
    ("work", None, None, "Trip", False),
    ("work", "other1", "telegram", "Trip", False),
    ("work", PROJECT, "cli", "Untitled", False),
    ("work", None, None, "Untitled", False),
    ("work", "other1", "telegram", "Untitled", False),
    ("work", PROJECT, "cli", "Trip", True),
    ("default", None, None, "Trip", True),
    ("default", None, "cli", "Trip", False),
    ("default", None, None, "Trip", False),
    ("default", None, "telegram", "Untitled", False),
    ("default", None, "telegram", "Trip", False),
]
#: The number of sessions is a multiple of this.
BLOCKS: Final = 4 * len(_KINDS)

# One block of neighbours in time for each kind of session and each of archived/not and pinned/not.
# What a list does not show is therefore never sprinkled between its rows, but lies in front of them by
# the thousand.
_FILL: Final = sa.text(
    f"""
    WITH RECURSIVE
    counter(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM counter WHERE i < :count - 1),
    blocks(i, kind, archived, pinned) AS (
        SELECT i, i * {BLOCKS} / :count / 4, i * {BLOCKS} / :count / 2 % 2 = 1, i * {BLOCKS} / :count % 2 = 1
        FROM counter
    )
    INSERT INTO sessions (
        session_id, profile, project_id, title, source, deleted_at, archived, pinned, created_at, updated_at,
        activity_at
    )
    SELECT
        's' || i,
        profile,
        project,
        title,
        source,
        CASE WHEN deleted = 1 THEN :epoch + i END,
        archived,
        pinned,
        :epoch,
        :epoch + i,
        :epoch + i
    FROM blocks JOIN kinds ON kinds.number = kind ORDER BY i
    """
)
_MAKE_KINDS: Final = """
    CREATE TEMPORARY TABLE kinds (
        number INTEGER PRIMARY KEY, profile TEXT, project BIGINT, source TEXT, title TEXT, deleted INTEGER
    )
"""
_FILL_KINDS: Final = sa.text(
    """
    INSERT INTO kinds SELECT
        :number, :profile, (SELECT id FROM projects WHERE project_id = CAST(:project AS TEXT)), CAST(:source AS TEXT),
        :title, :deleted
    """
)


def fill(store: Store, count: int) -> None:
    """Write `count` sessions (a multiple of `BLOCKS`) of all kinds, and a few blank ones that are still fresh."""
    for project_id in (PROJECT, *(f"other{number}" for number in range(40))):
        store.projects.create(name="Project", profile="work", project_id=project_id)
    names = ("profile", "project", "source", "title", "deleted")
    with writing(store) as connection:
        connection.exec_driver_sql(_MAKE_KINDS)
        for number, kind in enumerate(_KINDS):
            values = dict(zip(names, kind, strict=True))
            connection.execute(_FILL_KINDS, {**values, "number": number, "deleted": int(kind[-1])})
        connection.execute(_FILL, {"count": count, "epoch": EPOCH})
        connection.exec_driver_sql("DROP TABLE kinds")
    for number in range(FRESH):
        store.sessions.create(updated_at=FAR_FUTURE + number)
    reindex(store)  # nothing is pending, whatever `count` is


def analyze(store: Store) -> None:
    """Have the database gather statistics about its tables."""
    with writing(store) as connection:
        connection.exec_driver_sql("ANALYZE")


def moment(count: int, fraction: float) -> tuple[float, str]:
    """Return the time and the id of the session at `fraction` of the way through `count` of them."""
    index = round(count * fraction)
    return EPOCH + index, f"s{index}"


@dataclass(frozen=True)
class Indexed:
    """A combination of filters of `sessions.list`, and the indexes that serve it."""

    filters: dict[str, Any]
    #: What the names of the indexes of visible sessions end with.
    visible: tuple[str, ...]
    #: What the name of the index of blank sessions ends with.
    blank: str

    def indexes(self, order: str = "list") -> set[str]:
        """Return the names of the indexes, of visible sessions in the order that their names begin with."""
        blank = {f"ix_sessions_blank{self.blank}"}
        # A list of several profiles takes the blank sessions of the last minute from the index of all.
        blank |= set() if "profile" in self.filters else {"ix_sessions_blank"}
        return {f"ix_sessions_{order}{name}" for name in self.visible} | blank


#: The indexes of a profile's sessions, by whether these are in a project and whether they have a source.
_GROUPS: Final = ("_profile", "_profile_in_project", "_profile_with_source", "_profile_in_project_with_source")


def _combinations() -> Iterator[tuple[str, Indexed]]:
    """Yield every combination of the filters by profile, project and source, with and without blank sessions."""
    for profile in (None, "work"):
        of_profile: dict[str, Any] = {} if profile is None else {"profile": profile}
        others: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
            ({}, ("",), "") if profile is None else ({}, _GROUPS, "_profile"),
            ({"project_id": PROJECT}, ("_project",), "_project"),
            ({"project_id": WITHOUT}, ("_profile", "_profile_with_source"), "_project"),
            ({"source": "cli"}, ("_source",), "_source"),
            ({"source": WITHOUT}, ("_profile", "_profile_in_project"), "_source"),
        ]
        for other, visible, index in others:
            for blank in ({}, {"include_empty": True}):
                filters = of_profile | other | blank
                name = ", ".join(f"{key}={getattr(value, 'name', value)}" for key, value in filters.items())
                yield name or "everything", Indexed(filters, visible, index)


INDEXED: Final = dict(_combinations())


#: The values of the filter `pinned`, and of `archived`.
CHOICES: Final = (None, True, False)


def archived(name: str, turn: int) -> tuple[bool | None, ...]:
    """Return which values of `archived` to try with the filters of that name: another one in each turn."""
    return CHOICES if EVERYWHERE else (CHOICES[(list(INDEXED).index(name) + turn) % len(CHOICES)],)
