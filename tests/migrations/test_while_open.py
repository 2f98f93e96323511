"""A store that is open while another process changes the schema does not write to it any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_store import DatabaseError, SchemaNewerError, SchemaOutdatedError, SessionExistsError, Store
from hermes_store.storage.migrations import HEAD
from tests.proofs import versions
from tests.support.contents import contents
from tests.support.processes import alembic, output, python
from tests.support.sample_rows import fill
from tests.support.upgrading import NEXT, execute, rows

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    """Where a database of this revision is."""
    return str(request.getfixturevalue("sqlite_path" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
def store(target: str) -> Iterator[Store]:
    with Store.open(target) as store:
        fill(store)
        yield store


def upgrade_in_the_future(target: str, library: Path) -> None:
    program = "import sys, hermes_store; print(hermes_store.Store.open(sys.argv[1]).info().schema_revision)"
    assert output(python(program, target, cwd=library, PYTHONPATH=str(library))) == f"{NEXT}\n"


WRITES: dict[str, Callable[[Store], object]] = {
    "create": lambda store: store.sessions.create(title="New"),
    "append": lambda store: store.messages.append("parent", {"role": "user"}),
    "put": lambda store: store.documents.put("parent", {"draft": 1}),
    "purge": lambda store: store.sessions.purge("parent"),
}


def test_nothing_is_written_after_another_process_upgraded(
    target: str, store: Store, library_of_tomorrow: Path
) -> None:
    before = contents(store)
    tables = ("sessions", "messages", "session_extras", "session_documents", "projects")
    upgrade_in_the_future(target, library_of_tomorrow)
    after = {table: rows(target, f"SELECT * FROM {table} ORDER BY 1") for table in tables}
    for write in WRITES.values():
        with pytest.raises(SchemaNewerError, match=NEXT) as refused:
            write(store)
        assert (refused.value.found, refused.value.known) == (NEXT, HEAD)
    with pytest.raises(SchemaNewerError), store.transaction() as tx:
        tx.sessions.create(title="New")
    assert {table: rows(target, f"SELECT * FROM {table} ORDER BY 1") for table in tables} == after
    assert contents(store) == before  # the columns of before are still there


def test_nothing_is_written_after_a_downgrade(target: str, store: Store) -> None:
    output(alembic("-x", f"url={target}", "downgrade", "0001"))
    for write in WRITES.values():
        with pytest.raises((SchemaOutdatedError, DatabaseError)):
            write(store)
    assert rows(target, "SELECT count(*) FROM sessions") == [(2,)]
    assert rows(target, "SELECT count(*) FROM messages") == [(2,)]


def test_only_a_taken_id_raises_session_exists_error(target: str) -> None:
    execute(target, "ALTER TABLE sessions ADD COLUMN oops TEXT CHECK (oops IS NOT NULL)")
    with Store.open(target) as store:
        with pytest.raises(DatabaseError) as refused:
            store.sessions.create(session_id="new", title="New")
        assert not isinstance(refused.value, SessionExistsError)
        assert "oops" in str(refused.value)
        assert store.sessions.count(include_empty=True) == 0


def test_the_first_release_and_this_code_lose_nothing() -> None:
    result = versions.prove(rounds=5)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.problems == []
    assert result.figures["appends of first release"] == 5
