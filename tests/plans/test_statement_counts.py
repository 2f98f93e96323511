"""How many statements a verb executes, besides those that begin and end its transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hermes_store import WITHOUT, Store
from tests.support import list_sample as sample
from tests.support.statements import executed, undone

FEW, MANY = sample.BLOCKS, 100 * sample.BLOCKS
Verb = Callable[[Store], object]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    """A store with few sessions, and one with many."""
    folder: Path = tmp_path_factory.mktemp("counts")
    with ExitStack() as stack:

        def store(count: int) -> Store:
            is_sqlite = request.param == "sqlite"
            target = folder / f"{count}.db" if is_sqlite else request.getfixturevalue("make_postgres_database")()
            opened = stack.enter_context(Store.open(target, durability="normal"))
            sample.fill(opened, count)
            opened.messages.extend("s0", [{"role": "user", "timestamp": 1e9}] * 50)
            opened.documents.put("s0", {"draft": 1, "large": "x" * 5000})
            return opened

        yield store(FEW), store(MANY)


#: By verb: how many statements, and how many on PostgreSQL if that is another number. One finds the session in each
#: verb that reads or writes what belongs to it.
COUNTS: dict[str, tuple[int | tuple[int, int], Verb]] = {
    "sessions.get": (1, lambda store: store.sessions.get("s0")),
    # The session's key, its record, its documents in two tables, and its messages.
    "sessions.as_json": (5, lambda store: store.sessions.as_json("s0")),
    # Whether the id is free in two, its row, the row ids of messages, two of messages, small documents, and the record.
    # PostgreSQL has the words at once, and looks whether the id was retired meanwhile, as in each verb that gives a
    # session an id.
    "sessions.create_from_json": (
        (8, 10),
        lambda store: undone(
            store,
            lambda tx: tx.sessions.create_from_json({"session_id": "new", "draft": 1, "messages": ["a", "b"]}),
        )(),
    ),
    "sessions.get_many": (1, lambda store: store.sessions.get_many(["s0", "s1", "nobody"])),
    "sessions.exists": (1, lambda store: store.sessions.exists("s0")),
    "sessions.find": (1, lambda store: store.sessions.find("s1")),
    "sessions.list": (1, lambda store: store.sessions.list()),
    "sessions.list of a profile": (1, lambda store: store.sessions.list(profile="work", include_empty=True)),
    # The project, and the page.
    "sessions.list of a project": (2, lambda store: store.sessions.list(project_id=sample.PROJECT)),
    # The profiles, and the page.
    "sessions.list without a source": (2, lambda store: store.sessions.list(source=WITHOUT)),
    "sessions.list_deleted": (1, lambda store: store.sessions.list_deleted()),
    # With the words of its title, on PostgreSQL.
    "sessions.create": ((4, 6), lambda store: undone(store, lambda tx: tx.sessions.create(title="New"))()),
    # Find, the keys of documents, update, words, and the record.
    "sessions.update": (5, lambda store: undone(store, lambda tx: tx.sessions.update("s0", title="Rome"))()),
    # Find, its title, whether the id is free in two (for the view, and again), the row, the sizes of the messages,
    # these, their payloads, small values and large ones, both of which are then looked through, a draft in both, the
    # times, the row, and the record. SQLite asks in three how much the index of words does not have yet; PostgreSQL
    # writes the words in four.
    "sessions.fork": ((24, 25), lambda store: undone(store, lambda tx: tx.sessions.fork("s0", at=10))()),
    "sessions.children": (2, lambda store: store.sessions.children("s0")),
    "sessions.lineage": (2, lambda store: store.sessions.lineage("s0")),
    "sessions.delete": (3, lambda store: undone(store, lambda tx: tx.sessions.delete("s0"))()),
    # Find, the notes of imports, the usage of a copy, delete, and retire its id; for changes, two
    # for the id, and one for ids that were gone long ago. On SQLite the messages that the index has,
    # which is looked up, and the title are taken out of it. On PostgreSQL it is reserved first that
    # one transaction at a time purges.
    "sessions.purge": ((12, 9), lambda store: undone(store, lambda tx: tx.sessions.purge("s0"))()),
    "sessions.purge_deleted of nothing": ((1, 2), lambda store: store.sessions.purge_deleted(older_than=1e9)),
    "sessions.delete_inactive of nothing": (1, lambda store: store.sessions.delete_inactive(older_than=1e9)),
    # Find and lock them, and mark them.
    "sessions.delete_empty": (2, lambda store: undone(store, lambda tx: tx.sessions.delete_empty())()),
    # Find, the message, its payload, and the session's row. On PostgreSQL the last three are one.
    "messages.append": ((4, 2), lambda store: undone(store, lambda tx: tx.messages.append("s0", {"role": "user"}))()),
    # The row ids, before the messages.
    "messages.extend": (5, lambda store: undone(store, lambda tx: tx.messages.extend("s0", [1, 2, 3]))()),
    "messages.extend of nothing": (1, lambda store: store.messages.extend("s0", [])),
    "messages.read": (2, lambda store: store.messages.read("s0")),
    "messages.tail": (2, lambda store: store.messages.tail("s0")),
    "messages.changes of one": (3, lambda store: store.messages.changes("s0", since=1)),
    "messages.window": (3, lambda store: store.messages.window("s0")),
    "messages.count": (1, lambda store: store.messages.count("s0")),
    # Find, the message's row, five that keep it, both of its rows written, the last time, the words, and the
    # session's row. On SQLite what it was before is read, as its words have to be taken out of the index.
    "messages.update": (
        (13, 12),
        lambda store: undone(store, lambda tx: tx.messages.update("s0", 3, "other", expected_revision=3))(),
    ),
    # Five that keep what it removes: the cut, the messages, their size in two, and the bounds.
    "messages.truncate": (
        (12, 9),
        lambda store: undone(store, lambda tx: tx.messages.truncate("s0", keep=3, expected_revision=3))(),
    ),
    "documents.read": (3, lambda store: store.documents.read("s0")),
    # Find, the small values, the keys of the large ones, the small values written, and the session's row.
    "documents.put": (5, lambda store: undone(store, lambda tx: tx.documents.put("s0", {"draft": 2}))()),
    # A draft that was written is one: the other documents are not read for that.
    "documents.put of a draft": (
        5,
        lambda store: undone(store, lambda tx: tx.documents.put("s0", {"composer_draft": {"text": "a"}}))(),
    ),
    "projects.list": (1, lambda store: store.projects.list()),
    "projects.get": (1, lambda store: store.projects.get(sample.PROJECT)),
    "projects.create": ((4, 5), lambda store: undone(store, lambda tx: tx.projects.create(name="New"))()),
    "messages.history": (2, lambda store: store.messages.history("s0")),
    # Sessions and their messages, deleted sessions, projects, and what is kept.
    "stats": (4, lambda store: store.stats()),
    "stats of a profile": (4, lambda store: store.profile("work").stats()),
    # The session, the share in two tables, and its record.
    "shares.create": (4, lambda store: undone(store, lambda tx: tx.shares.create("s0", {}))()),
    "shares.list": (1, lambda store: store.shares.list()),
    # Find, originals of values, the totals, the session's row, and what was used.
    "usage.record": (5, lambda store: undone(store, lambda tx: tx.usage.record("s0", model="m", cost=0.5))()),
    "usage.list": (2, lambda store: store.usage.list("s0")),
    "usage.totals": (1, lambda store: store.usage.totals(["model", "project", "session"])),
    # After what is recorded here: the first and the last time, and the sums.
    "usage.totals of days": (
        8,
        lambda store: undone(store, lambda tx: (tx.usage.record("s0", model="m"), tx.usage.totals("day")))(),
    ),
}


@pytest.mark.parametrize("name", COUNTS)
def test_a_verb_executes_a_fixed_number_of_statements(stores: tuple[Store, Store], name: str) -> None:
    expected, verb = COUNTS[name]
    if isinstance(expected, tuple):
        expected = expected[stores[0].info().dialect != "sqlite"]
    for store in stores:
        statements = executed(store, lambda store=store: verb(store))
        assert len(statements) == expected, [text for text, _ in statements]


def test_no_changes_are_six_statements(stores: tuple[Store, Store]) -> None:
    for store in stores:
        page = store.changes(limit=1000)
        while page.has_more:
            page = store.changes(after=page.cursor, limit=1000)
        # The key of cursors, the last number, what is not known any more, and three tables.
        assert len(executed(store, lambda store=store, after=page.cursor: store.changes(after=after))) == 6


def test_a_hundred_ranges_are_one_statement(sqlite_store: Store) -> None:
    with sqlite_store.transaction() as tx:
        for number in range(240):
            tx.sessions.create(profile=f"profile {number}", title="Trip", updated_at=float(number))
    # Each profile has the sessions in projects and the others: 480 ranges.
    found = executed(sqlite_store, lambda: sqlite_store.sessions.list(source=WITHOUT, archived=False))
    assert len(found) == 1 + 5
