"""The filters of lists, on every backend: what None and WITHOUT mean, and lists that are merged from many profiles."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hermes_store import WITHOUT, InvalidInputError, Page, SessionRecord, Store


def titles(page: Page[SessionRecord]) -> list[str]:
    return [item.title for item in page.items]


def pages(store: Store, limit: int, **filters: Any) -> list[str]:
    """Return the titles on all pages of a list."""
    found: list[str] = []
    after = None
    while True:
        page = store.sessions.list(limit=limit, after=after, **filters)
        found += titles(page)
        if page.next is None:
            return found
        after = page.next


@pytest.fixture
def mixed(store: Store) -> Store:
    """Sessions of two profiles, in and out of projects, from the user interface and from elsewhere."""
    store.projects.create(name="Home", project_id="home")
    store.projects.create(name="Work", project_id="office", profile="work")
    for number, (profile, project, source) in enumerate(
        [
            ("default", None, None),
            ("default", "home", "cli"),
            ("default", "home", None),
            ("default", None, "cli"),
            ("work", None, None),
            ("work", "office", "cli"),
            ("work", "office", None),
            ("work", None, "telegram"),
        ]
    ):
        title = f"{profile} {project} {source}"
        store.sessions.create(
            title=title, profile=profile, project_id=project, source=source, updated_at=float(100 - number)
        )
    return store


FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [0, 1, 2, 3, 4, 5, 6, 7]),
    ({"project_id": None, "source": None, "profile": None}, [0, 1, 2, 3, 4, 5, 6, 7]),
    ({"project_id": WITHOUT}, [0, 3, 4, 7]),
    ({"project_id": WITHOUT, "profile": "work"}, [4, 7]),
    ({"project_id": "office"}, [5, 6]),
    ({"project_id": "office", "profile": "work"}, [5, 6]),
    ({"source": WITHOUT}, [0, 2, 4, 6]),
    ({"source": WITHOUT, "profile": "default"}, [0, 2]),
    ({"source": "cli"}, [1, 3, 5]),
    ({"source": "cli", "profile": "work"}, [5]),
    ({"source": "nowhere"}, []),
    ({"source": ""}, []),
    ({"since": 95.0}, [0, 1, 2, 3, 4, 5]),
    ({"until": 95.0}, [6, 7]),
    ({"since": 94.0, "until": 98}, [3, 4, 5, 6]),
    ({"since": 94.0, "until": 98.5, "profile": "work"}, [4, 5, 6]),
    ({"since": 94.0, "until": 98.5, "source": WITHOUT}, [2, 4, 6]),
    ({"since": 95.5, "project_id": "office"}, []),
    ({"until": 95.5, "project_id": "office"}, [5, 6]),
    ({"since": 101.0}, []),
    ({"since": 98.0, "until": 94.0}, []),
]


@pytest.mark.slow
@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=str)
def test_none_filters_nothing_and_without_selects_missing_values(
    mixed: Store, filters: dict[str, Any], expected: list[int]
) -> None:
    everything = titles(mixed.sessions.list())
    wanted = [everything[index] for index in expected]
    assert titles(mixed.sessions.list(**filters)) == wanted
    assert [session.title for session in mixed.sessions.iterate(**filters)] == wanted
    assert mixed.sessions.count(**filters) == len(wanted)
    for limit in (1, 2, 3):
        assert pages(mixed, limit, **filters) == wanted
    view = mixed.profile("work")
    if filters.get("profile") != "default":
        of_work = [title for title in wanted if title.startswith("work")]
        assert titles(view.sessions.list(**filters)) == of_work


@pytest.mark.parametrize("limit", [1, 2, 5])
@pytest.mark.parametrize("include_empty", [True, False])
def test_a_range_of_times_keeps_pinned_sessions_first(store: Store, limit: int, include_empty: bool) -> None:
    for number in range(8):
        title = "Untitled" if number in (2, 5) else str(number)
        store.sessions.create(
            session_id=str(number), title=title, updated_at=float(number), pinned=number % 3 == 0, archived=number > 4
        )
    shown = {1, 2, 3, 4, 5, 6} if include_empty else {1, 3, 4, 6}
    wanted = sorted(shown, key=lambda number: (number % 3 == 0, number), reverse=True)
    found: list[int] = []
    after = None
    while True:
        how: dict[str, Any] = {"since": 1.0, "until": 7.0, "include_empty": include_empty}
        page = store.sessions.list(**how, limit=limit, after=after)
        found += [int(one.session_id) for one in page.items]
        after = page.next
        if after is None:
            break
    assert found == wanted
    assert store.sessions.count(**how) == len(wanted)


def test_a_cursor_before_a_range_skips_nothing(mixed: Store) -> None:
    first = mixed.sessions.list(limit=1)
    assert pages(mixed, 50, until=95.0) == titles(mixed.sessions.list(until=95.0, after=first.next))


def test_ranges_of_times_apply_to_fresh_blank_sessions(store: Store) -> None:
    session = store.sessions.create()
    assert titles(store.sessions.list(since=session.updated_at)) == ["Untitled"]
    assert titles(store.sessions.list(until=session.updated_at)) == []
    assert titles(store.sessions.list(since=session.updated_at + 1)) == []


@pytest.mark.parametrize("project", ["home", WITHOUT])
@pytest.mark.parametrize("source", ["cli", WITHOUT])
def test_project_and_source_together_are_refused(mixed: Store, project: Any, source: Any) -> None:
    filters = {"project_id": project, "source": source}
    for verb in (mixed.sessions.list, mixed.sessions.count, lambda **how: list(mixed.sessions.iterate(**how))):
        with pytest.raises(InvalidInputError, match="not by both"):
            verb(**filters)


def test_blank_sessions_of_all_profiles_can_be_listed(store: Store) -> None:
    for number, profile in enumerate(["a", "b", "c"]):
        store.sessions.create(profile=profile, updated_at=float(number))
        store.sessions.create(profile=profile, title=profile, updated_at=float(number) + 0.5, source="cli")
    assert store.sessions.list(source=WITHOUT).items == []
    found = store.sessions.list(source=WITHOUT, include_empty=True).items
    assert [item.profile for item in found] == ["c", "b", "a"]
    assert store.sessions.count(source=WITHOUT, include_empty=True) == 3


@pytest.mark.slow
def test_a_list_is_merged_from_hundreds_of_profiles(store: Store) -> None:
    """More than one statement's worth: each has two ranges of its own, or four."""
    chance = random.Random(1)
    made: list[SessionRecord] = []
    with store.transaction() as tx:
        for number in range(400):
            fields: dict[str, Any] = {
                "profile": f"profile {chance.randrange(130)}",
                "source": chance.choice([None, None, "cli"]),
                "archived": chance.random() < 0.2,
                "pinned": chance.random() < 0.1,
                "updated_at": float(chance.randrange(500)),
            }
            made.append(tx.sessions.create(title=str(number), **fields))
    made.sort(key=lambda session: (session.pinned, session.updated_at, int(session.title)), reverse=True)
    wanted = [session.title for session in made if session.source is None]
    assert pages(store, 170, source=WITHOUT) == wanted
    assert store.sessions.count(source=WITHOUT) == len(wanted)
    assert pages(store, 400, project_id=WITHOUT, archived=False) == [one.title for one in made if not one.archived]
    wanted = [session.title for session in made if session.source == "cli" and not session.pinned]
    assert pages(store, 100, source="cli", pinned=False) == wanted
