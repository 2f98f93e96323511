"""SQLite's plan for each statement that a verb executes: its index, no scan, no sort."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from hermes_store import WITHOUT, Store, View
from hermes_store.pagination import write_cursor
from tests.support import list_sample as sample
from tests.support.internals import reading
from tests.support.statements import executed, sqlite_plan, undone

SESSIONS = 10 * sample.BLOCKS
MESSAGES = 300
SESSION = "s7"
BY_ID = "sessions USING INDEX sqlite_autoindex_sessions_1 (session_id=?)"
BY_POSITION = "INDEX sqlite_autoindex_messages_1 (session_id=?"
ROW = "USING INTEGER PRIMARY KEY (rowid=?)"
BY_ROW = f"sessions {ROW}"
EXTRAS = f"session_extras {ROW}"
MEMBERS = "sessions USING COVERING INDEX ix_sessions_project_id (project_id=?)"
#: What is read as a whole: a parameter that is a list, SQLite's table with a row for each table, and one row.
SMALL = "json_each|sqlite_sequence|CONSTANT ROW|search_state"
CUTS = "message_cuts USING INDEX ix_message_cuts_session_id (session_id=?)"
PARENT = "sessions USING INDEX ix_sessions_parent_id (parent_id=?)"
BODY = f"message_blobs {ROW}"


@pytest.fixture
def store(databases: sample.Databases, analyzed: bool) -> Store:
    store = databases(SESSIONS, analyzed)
    if not store.messages.count(SESSION):
        for session_id in (SESSION, "s100", "s400"):
            store.messages.extend(
                session_id, [{"role": "user", "content": str(number), "timestamp": 1e9} for number in range(MESSAGES)]
            )
        if analyzed:
            sample.analyze(store)
    return store


def plan(store: Store, verb: Callable[[], object]) -> list[str]:
    """Return the plan of all statements that `verb` executes, but for those that only insert."""
    statements = [statement for statement in executed(store, verb) if not statement[0].startswith("INSERT")]
    return [line for statement in statements for line in sqlite_plan(store, statement)]


def faults(lines: list[str]) -> list[str]:
    """Return the lines that scan a table, or sort."""
    # Of virtual tables SQLite always says SCAN; "=" is a look-up of a row.
    allowed = rf"{SMALL}|\w+ VIRTUAL TABLE INDEX 0:="
    return [line for line in lines if re.match(rf"SCAN (?!{allowed})", line) or "TEMP B-TREE" in line]


def page_faults(lines: list[str]) -> list[str]:
    """Return what is wrong with the plan of a page.

    That the keys of its ranges, of a page each, are merged and sorted is right. The rows themselves are not sorted.
    """
    merge = r"SCAN (range_\d+|keys|page)|USE TEMP B-TREE FOR ORDER BY"
    sorts = [number for number, line in enumerate(lines) if "TEMP B-TREE" in line]
    merged, read = lines.index("SCAN keys"), lines.index("SCAN page")
    misplaced = [lines[number] for number in sorts if not merged < number < read]
    return [line for line in faults(lines) if not re.fullmatch(merge, line)] + misplaced


def list_faults(store: Store, name: str, turn: int, **how: Any) -> dict[str, list[str]]:
    """Return what is wrong with the plans of a list, by the value of `archived`."""
    indexed = sample.INDEXED[name]
    expected = indexed.indexes("activity" if how.get("order") == "activity" else "list")
    found = {}
    for archived in sample.archived(name, turn):
        # Only the last statement: those before it find the project, or the profiles.
        statement = executed(
            store, lambda archived=archived: store.sessions.list(**indexed.filters, archived=archived, **how)
        )[-1]
        lines = sqlite_plan(store, statement)
        used = {line.split()[4] for line in lines if line.startswith("SEARCH sessions USING INDEX")}
        if page_faults(lines) or not used or not used <= expected:
            found[f"{archived=}"] = lines
    return found


@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_first_page_of_sessions_uses_its_index(store: Store, name: str, pinned: bool | None) -> None:
    assert list_faults(store, name, sample.CHOICES.index(pinned), pinned=pinned) == {}


@pytest.mark.slow
@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_later_page_of_sessions_uses_its_index(store: Store, name: str, pinned: bool | None) -> None:
    for last_pinned in (True, False) if pinned is None else (pinned,):
        after = write_cursor("sessions", last_pinned, *sample.moment(SESSIONS, 0.5))
        turn = sample.CHOICES.index(pinned) + last_pinned
        assert list_faults(store, name, turn, pinned=pinned, after=after) == {}


TIMES = ("since", "until", "both")


@pytest.mark.slow
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_time_range_reads_an_index_range(store: Store, name: str, times: str) -> None:
    moments = {"since": sample.moment(SESSIONS, 0.2)[0], "until": sample.moment(SESSIONS, 0.8)[0]}
    wanted = {key: value for key, value in moments.items() if times in (key, "both")}
    cursor = write_cursor("sessions", False, *sample.moment(SESSIONS, 0.5))
    for turn, after in enumerate((None, cursor), TIMES.index(times)):
        assert list_faults(store, name, turn, after=after, **wanted) == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_list_by_activity_comes_from_its_index(store: Store, name: str) -> None:
    after = write_cursor("sessions by activity", True, *sample.moment(SESSIONS, 0.5))
    times = {"since": sample.moment(SESSIONS, 0.2)[0], "until": sample.moment(SESSIONS, 0.8)[0]}
    hows: list[dict[str, Any]] = [{}, {"after": after}, {"after": after, **times}]
    for turn, how in enumerate(hows):
        assert list_faults(store, name, turn, order="activity", **how) == {}


@pytest.mark.parametrize("pinned", sample.CHOICES)
@pytest.mark.parametrize("name", sample.INDEXED)
def test_a_count_reads_the_ranges_of_its_list(store: Store, name: str, pinned: bool | None) -> None:
    filters = sample.INDEXED[name].filters
    for archived in sample.archived(name, sample.CHOICES.index(pinned)):
        lines = plan(store, lambda archived=archived: store.sessions.count(**filters, archived=archived, pinned=pinned))
        assert [line for line in faults(lines) if not re.fullmatch(r"SCAN line_\d", line)] == []


def test_profiles_are_found_without_reading_their_sessions(store: Store) -> None:
    for statement in executed(store, lambda: store.sessions.list(source=WITHOUT))[:-1]:
        lines = [line for line in sqlite_plan(store, statement) if "sessions" in line]
        assert all(line.startswith("SEARCH sessions USING") for line in lines), lines
        assert any("(profile>?)" in line for line in lines), lines


@pytest.mark.parametrize("profile", [None, "work"])
def test_listing_deleted_sessions_uses_its_index(store: Store, profile: str | None) -> None:
    index = "ix_sessions_deleted " if profile is None else "ix_sessions_deleted_profile "
    for after in (None, store.sessions.list_deleted(profile=profile, limit=10).next):
        lines = plan(store, lambda after=after: store.sessions.list_deleted(profile=profile, after=after))
        assert any(f"USING INDEX {index}" in line for line in lines)
        assert faults(lines) == []


@pytest.mark.parametrize("profile", [None, "work"])
def test_purge_deleted_finds_sessions_by_its_index(store: Store, profile: str | None) -> None:
    lines = plan(store, undone(store, lambda tx: tx.sessions.purge_deleted(older_than=0, profile=profile, limit=1)))
    index = "ix_sessions_deleted " if profile is None else "ix_sessions_deleted_profile "
    assert any(f"USING INDEX {index}" in line for line in lines)
    assert faults(lines) == []


@pytest.mark.parametrize("untitled_only", [True, False])
def test_deleting_empty_sessions_reads_only_empty_ones(store: Store, untitled_only: bool) -> None:
    def lines(**how: Any) -> list[str]:
        return plan(store, undone(store, lambda tx: tx.sessions.delete_empty(untitled_only=untitled_only, **how)))

    assert faults(lines(profile="work")) == []
    # Of all profiles, all empty (or blank) sessions are read; there is no index without the profile.
    found, written = [line for line in lines() if " sessions " in line and "change_number" not in line]
    assert re.match(r"\w+ sessions USING (COVERING )?INDEX ix_sessions_(empty|blank)", found)
    assert written == "SEARCH sessions USING INTEGER PRIMARY KEY (rowid=?)"


VERBS: dict[str, tuple[Callable[[Store], object], list[str]]] = {
    "sessions.get": (lambda store: store.sessions.get(SESSION), [BY_ID]),
    "sessions.exists": (lambda store: store.sessions.exists(SESSION), [BY_ID]),
    "sessions.update": (lambda store: store.sessions.update(SESSION, title="Renamed"), [BY_ID, BY_ROW]),
    "messages.count": (lambda store: store.messages.count(SESSION), [BY_ID]),
    "sessions.as_json": (lambda store: store.sessions.as_json(SESSION), [BY_ID, EXTRAS, BY_POSITION, BODY]),
    "messages.read": (lambda store: store.messages.read(SESSION), [BY_ID, BY_POSITION, BODY]),
    "messages.tail": (lambda store: store.messages.tail(SESSION, limit=20), [BY_ID, BY_POSITION, BODY]),
    "messages.page": (lambda store: store.messages.page(SESSION, limit=20), [BY_ID, BY_POSITION, BODY]),
    "messages.changes": (lambda store: store.messages.changes(SESSION, since=0), [BY_ID, BY_POSITION, BODY]),
    "changes": (
        lambda store: store.changes(after=store.changes(limit=1).cursor),
        [f"INDEX ix_{table}_change_number" for table in ("projects", "sessions", "gone_ids")],
    ),
    "messages.window": (lambda store: store.messages.window(SESSION, visible=5), [BY_ID, BY_POSITION, BODY]),
    "messages.append": (lambda store: store.messages.append(SESSION, {}), [BY_ID, BY_ROW]),
    "messages.extend": (lambda store: store.messages.extend(SESSION, [{}, {}]), [BY_ID, BY_ROW]),
    "messages.update": (
        lambda store: store.messages.update(
            SESSION, 5, {"other": store.messages.count(SESSION)}, expected_revision=store.sessions.get(SESSION).revision
        ),
        [BY_ID, BY_POSITION, BODY, BY_ROW],
    ),
    "messages.truncate": (
        lambda store: store.messages.truncate(
            SESSION,
            keep=store.messages.count(SESSION) - 1,
            expected_revision=store.sessions.get(SESSION).revision,
        ),
        [BY_ID, BY_POSITION, BY_ROW],
    ),
    "messages.history": (lambda store: store.messages.history(SESSION), [BY_ID, CUTS]),
    "messages.purge_history": (
        lambda store: undone(store, lambda tx: tx.messages.purge_history(SESSION))(),
        [BY_ID, "message_cuts USING INDEX ix_message_cuts_session_id (session_id=?)"],
    ),
    "sessions.get_many": (lambda store: store.sessions.get_many([SESSION, "s8", "nobody"]), [BY_ID]),
    "sessions.find": (
        lambda store: store.sessions.find("s1"),
        ["sqlite_autoindex_sessions_1 (session_id>? AND session_id<?)"],
    ),
    "sessions.create": (
        lambda store: store.sessions.create(profile="work", project_id=sample.PROJECT, parent_id=SESSION),
        [BY_ID, "retired_ids_1 (session_id=?)", "projects_1 (project_id=?)"],
    ),
    "sessions.fork": (
        lambda store: undone(store, lambda tx: tx.sessions.fork(SESSION, at=3))(),
        [BY_ID, EXTRAS, BY_POSITION, BY_ROW],
    ),
    "sessions.children": (lambda store: store.sessions.children(SESSION), [BY_ID, PARENT]),
    "documents.read": (
        lambda store: store.documents.read(SESSION),
        [BY_ID, EXTRAS, "session_documents USING INDEX sqlite_autoindex_session_documents_1 (session_id=?)"],
    ),
    "documents.read by key": (
        lambda store: store.documents.read(SESSION, "draft", "large"),
        [BY_ID, EXTRAS, "session_documents USING INDEX sqlite_autoindex_session_documents_1 (session_id=? AND key=?)"],
    ),
    "documents.put": (
        lambda store: store.documents.put(SESSION, {"draft": store.messages.count(SESSION), "large": "x" * 5000}),
        [BY_ID, EXTRAS, BY_ROW],
    ),
    "projects.list": (
        lambda store: store.projects.list(profile="work"),
        ["projects USING INDEX ix_projects_list", MEMBERS],
    ),
    "projects.list of all": (
        lambda store: store.projects.list(after=store.projects.list(limit=1).next),
        ["projects USING INDEX ix_projects_list", MEMBERS],
    ),
    "projects.get": (
        lambda store: store.projects.get(sample.PROJECT),
        ["sqlite_autoindex_projects_1 (project_id=?)", MEMBERS],
    ),
    "projects.delete": (
        lambda store: undone(store, lambda tx: tx.projects.delete("other1"))(),
        [BY_ROW, "sessions USING COVERING INDEX ix_sessions_project_id (project_id=?)"],
    ),
}


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_finds_its_rows_by_their_indexes(store: Store, name: str) -> None:
    verb, expected = VERBS[name]
    lines = plan(store, lambda: verb(store))
    # A list of all projects reads them in the order of an index, as far as the page goes.
    assert [line for line in faults(lines) if line != "SCAN projects USING INDEX ix_projects_list"] == []
    assert [use for use in expected if not any(use in line for line in lines)] == []


def test_a_lineage_scans_only_what_it_found(store: Store) -> None:
    lines = plan(store, lambda: store.sessions.lineage(SESSION))
    assert [line for line in faults(lines) if not re.match(r"SCAN (up|down)\b", line)] == []
    assert any("below USING COVERING INDEX ix_sessions_parent_id (parent_id=?)" in line for line in lines)
    assert any("above USING INTEGER PRIMARY KEY (rowid=?)" in line for line in lines)


def test_a_replace_finds_rows_by_position_or_id(store: Store) -> None:
    transcript = store.messages.read(SESSION)
    new = {"new": transcript.revision}
    edited = [new, *transcript[:50], new, *transcript[60:]]
    lines: dict[str, list[str]] = {}
    for statement in executed(
        store, lambda: store.messages.replace(SESSION, edited, expected_revision=transcript.revision)
    ):
        if not statement[0].startswith("INSERT"):
            lines.setdefault(" ".join(statement[0].split()[:2]), []).extend(sqlite_plan(store, statement))
    assert [line for found in lines.values() for line in faults(found)] == []
    assert any(BY_POSITION in line for line in lines["SELECT messages.id,"])
    # What is removed or changed is found by its row, and what is moved is a range of positions.
    assert set(lines["DELETE FROM"]) == {f"SEARCH messages {ROW}", f"SEARCH {BODY}"}
    moved = f"SEARCH messages USING {BY_POSITION} AND position>? AND position<?)"
    assert set(lines["UPDATE messages"]) == {f"SEARCH messages {ROW}", moved}
    assert lines["UPDATE message_blobs"] == [f"SEARCH {BODY}"]
    assert f"SEARCH {BY_ROW}" in lines["UPDATE sessions"]
    assert lines["UPDATE message_cuts"] == [f"SEARCH message_cuts {ROW}"]


def test_every_index_of_the_sessions_serves_a_query(store: Store) -> None:
    queries: list[Callable[[], object]] = [
        *(
            lambda filters=indexed.filters, order=order: store.sessions.list(**filters, order=order)
            for indexed in sample.INDEXED.values()
            for order in ("updated", "activity")
        ),
        *(lambda profile=profile: store.sessions.list_deleted(profile=profile) for profile in (None, "work")),
        undone(store, lambda tx: tx.sessions.delete_empty(profile="work", untitled_only=False)),
        undone(store, lambda tx: tx.projects.delete("other1")),
        undone(store, lambda tx: tx.sessions.purge(SESSION)),
    ]
    lines = " ".join(line for query in queries for line in plan(store, query))
    with reading(store) as connection:
        names = {index["name"] for index in sa.inspect(connection).get_indexes("sessions")}
    assert names == {name for name in names if re.search(rf"INDEX {name}\b", lines)}


def test_these_checks_see_a_scan_and_a_sort(store: Store) -> None:
    query = ("SELECT id FROM sessions ORDER BY title", ())
    assert faults(sqlite_plan(store, query)) == ["SCAN sessions", "USE TEMP B-TREE FOR ORDER BY"]


def test_shares_are_read_by_their_indexes(store: Store) -> None:
    def plan_of(verb: Callable[[View], object]) -> list[str]:
        return plan(store, undone(store, lambda tx: (tx.shares.create(SESSION, {}, token="t"), verb(tx))))

    for verb in (lambda tx: tx.shares.get("t"), lambda tx: tx.shares.revoke("t"), lambda tx: tx.shares.delete("t")):
        lines = plan_of(verb)
        assert faults(lines) == []
        assert any("shares USING INDEX sqlite_autoindex_shares_1 (token=?)" in line for line in lines)
    for after in (None, write_cursor("shares", 1.0, "t")):
        lines = plan_of(lambda tx, after=after: tx.shares.list(session_id=SESSION, after=after))
        assert faults(lines) == []
        assert any("INDEX ix_shares_session_id (session_id=?" in line for line in lines)
        # All shares are read in their order, as far as the page goes.
        for profile in (None, "work"):
            lines = plan_of(lambda tx, after=after, profile=profile: tx.shares.list(profile=profile, after=after))
            assert any("shares USING INDEX ix_shares_list" in line for line in lines)
            assert not any("TEMP B-TREE" in line for line in lines)


@pytest.mark.parametrize("by", [(), ("model",), ("day", "project", "session", "source")])
@pytest.mark.parametrize(
    ("profile", "index"), [(None, "ix_usage_at (at>"), ("work", "ix_usage_profile (profile=? AND at>")]
)
def test_usage_totals_read_a_range_of_an_index(store: Store, by: Any, profile: str | None, index: str) -> None:
    def verb(tx: View) -> None:
        tx.usage.record(SESSION, model="m", input_tokens=1, at=1e9)
        tx.usage.totals(by, profile=profile, since=1e9, until=2e9)

    lines = plan(store, undone(store, verb))
    assert sum(index in line for line in lines) == (3 if "day" in by else 1)
    # The groups are sorted, and the periods of the call are read as a whole. No table is.
    assert not any(re.match("SCAN (usage|sessions|projects)", line) for line in lines)


def test_session_usage_is_read_by_its_index(store: Store) -> None:
    for after in (None, write_cursor("usage", 1.0, 1)):
        lines = plan(store, lambda after=after: store.usage.list(SESSION, after=after))
        assert faults(lines) == []
        assert any("usage USING INDEX ix_usage_session_id (session_id=?" in line for line in lines)
    lines = plan(store, undone(store, lambda tx: tx.sessions.update(SESSION, profile="other")))
    assert any("usage USING INDEX ix_usage_session_id (session_id=?)" in line for line in lines)
