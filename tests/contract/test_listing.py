"""The list of sessions, on every backend: its order, its filters, its pages, and what it hides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_store import (
    WITHOUT,
    InvalidCursorError,
    InvalidInputError,
    NotFoundError,
    Page,
    ProjectNotFoundError,
    SessionRecord,
    Store,
)
from hermes_store.pagination import write_cursor

LONG_AGO = 1000.0


def titles(page: Page[SessionRecord]) -> list[str]:
    return [item.title for item in page.items]


def pages(fetch: Callable[..., Page[SessionRecord]], limit: int, **filters: Any) -> Iterator[list[SessionRecord]]:
    """Walk a listing page by page; all but the last are full."""
    after = None
    while True:
        page = fetch(limit=limit, after=after, **filters)
        assert len(page.items) == limit or page.next is None
        assert len(page.items) <= limit
        yield page.items
        if page.next is None:
            return
        assert page.next != after, "the page leads to itself"
        after = page.next


# ── order and pages ───────────────────────────────────────────────────────────────────────────────


def test_lists_sort_by_pinned_then_updated_then_created(store: Store) -> None:
    for title, pinned, updated_at in (
        ("old", False, 1.0),
        ("pinned old", True, 1.0),
        ("tie one", False, 5.0),
        ("tie two", False, 5.0),
        ("pinned", True, 2.0),
        ("before 1970", False, -1.0),
    ):
        store.sessions.create(title=title, pinned=pinned, updated_at=updated_at)
    assert titles(store.sessions.list()) == ["pinned", "pinned old", "tie two", "tie one", "old", "before 1970"]


def test_a_write_moves_a_session_to_the_front(store: Store) -> None:
    first = store.sessions.create(title="first").session_id
    store.sessions.create(title="second")
    store.messages.append(first, "hi")
    assert titles(store.sessions.list()) == ["first", "second"]


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 8, 9])
def test_pages_skip_no_session_of_the_same_moment(sqlite_store: Store, limit: int) -> None:
    # Visible and blank, archived or not: the list is merged from all four.
    made = [
        sqlite_store.sessions.create(title=title, archived=archived, updated_at=time.time() + 1000).session_id
        for title in ("Trip", "Untitled")
        for archived in (False, True)
        for _ in range(2)
    ]
    moment = sqlite_store.sessions.get(made[0]).updated_at
    for session_id in made:
        sqlite_store.sessions.update(session_id, updated_at=moment)
    seen = [item.session_id for page in pages(sqlite_store.sessions.list, limit) for item in page]
    assert seen == made[::-1]


def test_pages_neither_skip_nor_repeat_while_others_write(store: Store) -> None:
    with store.transaction() as tx:
        lasting = [
            tx.sessions.create(title="lasting", updated_at=float(i // 3), pinned=i % 7 == 0, archived=i % 5 == 0)
            for i in range(24)
        ]
        passing = [tx.sessions.create(title="passing", updated_at=float(i // 2)).session_id for i in range(12)]
    seen: list[SessionRecord] = []
    for number, page in enumerate(pages(store.sessions.list, 4)):
        seen += page
        if number > 8:
            continue  # or the sessions made behind each page would go on for ever
        # In front of this page, behind it and inside it; among the deleted is the one that the cursor stands on.
        for moment in (99.0, 0.5, page[-1].updated_at):
            store.sessions.create(title="new", updated_at=moment, pinned=number % 2 == 0)
        for session_id in {item.session_id for item in page if item.title != "lasting"} | {passing[number]}:
            if store.sessions.exists(session_id):
                store.sessions.delete(session_id)
    ids = [item.session_id for item in seen]
    assert len(ids) == len(set(ids))
    order = [(item.pinned, item.updated_at) for item in seen]
    assert order == sorted(order, reverse=True)
    assert {item.session_id for item in lasting} <= set(ids)


def test_a_cursor_works_after_its_session_is_purged(store: Store) -> None:
    made = [store.sessions.create(title=str(i), updated_at=float(i)) for i in range(6)]
    first = store.sessions.list(limit=2)
    for gone in (made[5], made[4], made[2]):
        store.sessions.purge(gone.session_id)
    second = store.sessions.list(limit=2, after=first.next)
    assert (titles(first), titles(second), second.next is None) == (["5", "4"], ["3", "1"], False)
    assert titles(store.sessions.list(limit=2, after=second.next)) == ["0"]


def test_the_total_is_counted_only_on_request(store: Store) -> None:
    for number in range(5):
        store.sessions.create(title=str(number), archived=number == 0)
    assert store.sessions.list(limit=2).total is None
    page = store.sessions.list(limit=2, total=True)
    assert (len(page.items), page.total) == (2, 5)
    last = store.sessions.list(limit=4, after=page.next, archived=False, total=True)
    assert (len(last.items), last.total) == (2, 4)  # of all pages, whichever this is
    assert store.sessions.count() == 5


@pytest.mark.parametrize("limit", [0, -1, 1001, True, 1.5, "5", None])
def test_limits_are_whole_numbers_from_1_to_1000(sqlite_store: Store, limit: Any) -> None:
    sessions = sqlite_store.sessions
    session_id = sessions.create().session_id
    for fetch in (
        lambda: sessions.list(limit=limit),
        lambda: sessions.list_deleted(limit=limit),
        lambda: sqlite_store.messages.tail(session_id, limit=limit),
        lambda: sqlite_store.messages.page(session_id, limit=limit),
    ):
        with pytest.raises(InvalidInputError, match="limit must be"):
            fetch()
    assert len(sessions.list(limit=1000).items) == 1


# ── bad arguments ─────────────────────────────────────────────────────────────────────────────────

NO_CURSORS: list[Any] = ["", "x", "half \ud83d", "AAAA", "bnVsbA", "W10", 5, b"W10", "ü" * 8, "WyJzZXNzaW9ucyJd"]


def test_malformed_or_foreign_cursors_are_refused(store: Store) -> None:
    for number in range(3):
        session_id = store.sessions.create(title=str(number)).session_id
        store.sessions.delete(store.sessions.create().session_id)
        store.messages.extend(session_id, [1, 2])
    of_list, of_deleted = store.sessions.list(limit=1).next, store.sessions.list_deleted(limit=1).next
    of_messages = store.messages.tail(session_id, limit=1).previous
    for cursor in [*NO_CURSORS, of_deleted, of_messages]:
        with pytest.raises(InvalidCursorError):
            store.sessions.list(after=cursor)
    for cursor in [*NO_CURSORS, of_list, of_messages]:
        with pytest.raises(InvalidCursorError):
            store.sessions.list_deleted(after=cursor)
    for cursor in [*NO_CURSORS, of_list, of_deleted]:
        with pytest.raises(InvalidCursorError):
            store.messages.page(session_id, after=cursor)
        with pytest.raises(InvalidCursorError):
            store.messages.page(session_id, before=cursor)


@pytest.mark.parametrize(
    "key", [(False, 1.0, 2**70), (False, 1.0, -(2**70)), (False, float("nan"), 1)], ids=["large", "small", "nan"]
)
def test_a_cursor_with_an_impossible_key_is_refused(store: Store, key: tuple[Any, ...]) -> None:
    store.sessions.create(title="Trip")
    with pytest.raises(InvalidCursorError):
        store.sessions.list(after=write_cursor("sessions", *key))
    with pytest.raises(InvalidCursorError):
        store.sessions.list_deleted(after=write_cursor("deleted", *key[1:]))


BAD_FILTERS: list[dict[str, Any]] = [
    {"archived": "yes"},
    {"pinned": 2},
    {"source": 5},
    {"profile": 5},
    {"profile": ""},
    {"project_id": 5},
    {"project_id": "../evil"},
    {"project_id": "half \ud83d"},
    {"project_id": "nul\x00"},
]


@pytest.mark.parametrize("filters", BAD_FILTERS, ids=str)
def test_invalid_filters_raise_an_error_of_the_library(store: Store, filters: dict[str, Any]) -> None:
    store.sessions.create(title="Trip")
    for verb in (store.sessions.list, store.sessions.count):
        with pytest.raises((InvalidInputError, NotFoundError)):
            verb(**filters)
    assert store.sessions.count() == 1


def test_a_list_finds_no_project_of_another_profile(store: Store) -> None:
    project = store.projects.create(name="Home", profile="home").project_id
    store.sessions.create(title="Trip", profile="home", project_id=project)
    assert titles(store.sessions.list(project_id=project)) == ["Trip"]
    refused: list[dict[str, Any]] = [{"project_id": project, "profile": "work"}, {"project_id": "nobody"}]
    for arguments in refused:
        with pytest.raises(ProjectNotFoundError):
            store.sessions.list(**arguments)


# ── the empty, untitled sessions ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, False),
        ({"pinned": True}, False),
        ({"archived": True}, False),
        ({"workspace": "~/code", "source": "cli"}, False),
        ({"title": "Trip"}, True),
        ({"title": ""}, True),
        ({"active_stream_id": "s"}, True),
        ({"updated_at": None}, True),
        ({"updated_at": None, "pinned": True, "archived": True}, True),
    ],
    ids=str,
)
def test_an_empty_untitled_session_is_shown_briefly(sqlite_store: Store, fields: dict[str, Any], shown: bool) -> None:
    """`updated_at` None stands for a moment 50 seconds ago; all others were written to 61 seconds ago."""
    sessions, now = sqlite_store.sessions, time.time()
    moment = now - 50 if "updated_at" in fields else now - 61
    made = sessions.create(**{**fields, "updated_at": moment})
    assert (sessions.list().items == [made]) is shown
    assert sessions.count() == shown
    assert list(sessions.iterate()) == [made] * shown
    assert sessions.list(include_empty=True).items == list(sessions.iterate(include_empty=True)) == [made]
    sqlite_store.messages.append(made.session_id, None)
    sessions.update(made.session_id, updated_at=moment)
    assert sessions.count() == 1


# ── against a model ───────────────────────────────────────────────────────────────────────────────

PROFILES = ("default", "work")
SOURCES = ("cli", "half \ud83d")
PROJECTS = ("of-default", "of-work")

session_specs = st.lists(
    st.fixed_dictionaries(
        {
            "profile": st.sampled_from(PROFILES),
            "project": st.booleans(),
            "archived": st.booleans(),
            "pinned": st.booleans(),
            "source": st.sampled_from((None, *SOURCES)),
            "title": st.sampled_from(("Untitled", "Trip")),
            "active_stream_id": st.sampled_from((None, None, "s")),
            "age": st.sampled_from((30.0, 1000.0, 1000.0, 2000.0)),
            "messages": st.sampled_from((0, 0, 1)),
            "deleted": st.sampled_from((False, False, False, True)),
        }
    ),
    max_size=14,
)
filter_sets = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "profile": st.sampled_from((None, *PROFILES)),
            "project_id": st.sampled_from((None, WITHOUT, *PROJECTS)),
            "archived": st.sampled_from((None, False, True)),
            "pinned": st.sampled_from((None, False, True)),
            "source": st.sampled_from((None, WITHOUT, *SOURCES)),
            "include_empty": st.booleans(),
        },
    ),
    min_size=8,
    max_size=8,
)


def fill(store: Store, specs: list[dict[str, Any]], now: float) -> list[SessionRecord]:
    """Make the sessions and nothing else; return the live ones, the last made first."""
    live = []
    with store.transaction() as tx:
        for session in [*tx.sessions.iterate(include_empty=True), *tx.sessions.list_deleted(limit=1000).items]:
            tx.sessions.purge(session.session_id)
        for spec in specs:
            fields = {name: spec[name] for name in ("profile", "archived", "pinned", "source", "title")}
            project = f"of-{spec['profile']}" if spec["project"] else None
            made = tx.sessions.create(active_stream_id=spec["active_stream_id"], project_id=project, **fields)
            tx.messages.extend(made.session_id, ["hi"] * spec["messages"])
            made = tx.sessions.update(made.session_id, updated_at=now - spec["age"])
            if spec["deleted"]:
                tx.sessions.delete(made.session_id)
            else:
                live.append(made)
    return live[::-1]


def shows(session: SessionRecord, filters: dict[str, Any], now: float) -> bool:
    """Whether the list shows a session, said in the plainest words."""
    blank = session.message_count == 0 and session.title == "Untitled" and session.active_stream_id is None
    if blank and session.updated_at <= now - 60 and not filters.get("include_empty"):
        return False
    optional = all(filters.get(name) in (None, getattr(session, name)) for name in ("profile", "archived", "pinned"))
    for name in ("project_id", "source"):
        wanted, found = filters.get(name), getattr(session, name)
        if wanted is not None and found != (None if wanted is WITHOUT else wanted):
            return False
    return optional


@pytest.mark.slow
@settings(max_examples=10)
@given(specs=session_specs, filter_sets=filter_sets, limit=st.integers(1, 6))
def test_lists_agree_with_a_loop_over_all_sessions(
    store: Store, specs: list[dict[str, Any]], filter_sets: list[dict[str, Any]], limit: int
) -> None:
    now = time.time()
    if not store.projects.list().items:
        for profile in PROFILES:
            store.projects.create(name=profile, project_id=f"of-{profile}", profile=profile)
    live = fill(store, specs, now)
    for filters in filter_sets:
        project, owner = filters.get("project_id"), filters.get("profile")
        if project is not None and filters.get("source") is not None:
            for verb in (store.sessions.list, store.sessions.count, lambda **how: list(store.sessions.iterate(**how))):
                with pytest.raises((InvalidInputError, ProjectNotFoundError)):
                    verb(**filters)
            continue
        if project in PROJECTS and owner not in (None, project.removeprefix("of-")):
            with pytest.raises(ProjectNotFoundError):
                store.sessions.list(**filters)
            continue
        expected = [session for session in live if shows(session, filters, now)]
        expected.sort(key=lambda session: (session.pinned, session.updated_at), reverse=True)  # stable: newest first
        assert [item for page in pages(store.sessions.list, limit, **filters) for item in page] == expected
        assert list(store.sessions.iterate(**filters)) == expected
        assert store.sessions.count(**filters) == len(expected)
        assert store.sessions.list(total=True, limit=1, **filters).total == len(expected)
