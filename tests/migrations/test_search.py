"""Revision 0005: databases of older revisions become searchable, and lose nothing by it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.storage import search_filling, search_state
from tests.support.first_release import restore_sqlite
from tests.support.internals import database_of
from tests.support.processes import alembic, output
from tests.support.sample_rows import fill
from tests.support.search_oracle import places, scanned
from tests.support.upgrading import rows

pytestmark = pytest.mark.usefixtures("few_pending")

WORDS = ("a*", "the", "hello", "ok", "trip*", "parent", "1")


class KilledError(BaseException):
    """Ends a process, as far as the library can tell."""


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of revision 0004 with a few rows in every corner, and a longer session."""
    if request.param == "sqlite":
        target = str(tmp_path / "old.db")
    else:
        make_database: Callable[..., str] = request.getfixturevalue("make_postgres_database")
        target = make_database(empty=True)
    with Store.open(target) as store:
        fill(store)
        made = store.sessions.create(title="Voyage").session_id
        store.messages.extend(made, [f"a needle {number}" for number in range(1200)])
    output(alembic("-x", f"url={target}", "downgrade", "0004"))
    return target


def test_a_database_is_searchable_after_its_upgrade(old: str) -> None:
    with Store.open(old) as store:
        assert store.search("needle").is_indexed
        assert len(places(store, "needle", limit=1000)) == 1200
        for words in WORDS:
            assert set(places(store, words, limit=1000)) == scanned(store, words), words


@pytest.mark.slow
def test_the_first_releases_database_loses_nothing(tmp_path: Path) -> None:
    path = restore_sqlite(tmp_path / "old.db")
    output(alembic("-x", f"url={path}", "upgrade", "0004"))
    output(alembic("-x", f"url={path}", "upgrade", "head"))  # without a store, nothing fills the index
    tables = ("projects", "sessions", "messages", "message_blobs", "session_documents", "retired_ids")
    before = {table: rows(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}
    with Store.open(path, read_only=True) as store:
        assert not store.search("a").is_indexed  # it may not write, so it reads
        expected = {words: set(places(store, words, limit=1000)) for words in WORDS}
    with Store.open(path) as store:
        assert store.search("a").is_indexed
        assert {table: rows(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables} == before
        assert {words: set(places(store, words, limit=1000)) for words in WORDS} == expected
        assert any(expected.values())


def test_a_filling_that_was_killed_goes_on(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_some = search_filling._fill_some
    calls = iter(range(100))

    def killed(*arguments: object) -> int:
        if next(calls) == 3:
            raise KilledError
        return fill_some(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(search_filling, "_fill_some", killed)
        with pytest.raises(KilledError):
            Store.open(old)
    with Store.open(old, read_only=True) as store:
        state = store.search("needle", limit=1000)
        assert not state.is_indexed
        assert len(places(store, "needle", limit=1000)) == 1200
    with Store.open(old) as store:
        assert store.search("needle").is_indexed
        assert set(places(store, "needle", limit=1000)) == scanned(store, "needle")


def test_writes_during_a_filling_are_found_once(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(search_filling, "fill", lambda database: None)
        store = Store.open(old)
    [trip] = [one.session_id for one in store.sessions.iterate() if one.title == "Voyage"]
    with store.database.write() as unit:
        for _ in range(2):
            search_filling._fill_some(unit, search_state.read(unit))
    now = store.sessions.get(trip).revision
    for position in (0, 1, 600, 1199):  # both sides of where the index is
        now = store.messages.update(trip, position, "changed", expected_revision=now).revision
    now = store.messages.truncate(trip, keep=1100, expected_revision=now).revision
    store.messages.append(trip, "a needle at the end")
    store.sessions.update(trip, title="Journey")
    for _ in range(2):
        for words in ("needle", "changed", "voyage", "journey"):
            assert sorted(places(store, words, limit=1000), key=str) == sorted(scanned(store, words), key=str), words
        search_filling.fill(database_of(store))
    assert store.search("needle").is_indexed
    store.close()


def test_the_index_can_be_made_anew(old: str) -> None:
    with Store.open(old) as store:
        reports: list[tuple[int, int]] = []
        total = store.stats().messages
        assert search_filling.rebuild(database_of(store), lambda *report: reports.append(report)) >= total
        assert reports[-1][0] == reports[-1][1] >= total
        for words in WORDS:
            assert set(places(store, words, limit=1000)) == scanned(store, words)


def test_a_missing_index_can_be_made_later(old: str, tmp_path: Path) -> None:
    target = old if "://" in old else str(tmp_path / "none.db")
    if "://" in old:
        output(alembic("-x", f"url={target}", "downgrade", "base"))
    with Store.open(target, search=False) as store, Store.open(target) as other:
        made = store.sessions.create(title="Trip").session_id
        store.messages.extend(made, ["needle", "hay"])
        search_filling.rebuild(database_of(other))
        store.messages.append(made, "needle")  # a store that was open before
        assert store.search("needle").is_indexed
        assert set(places(other, "needle")) == scanned(store, "needle")
