"""`salvage` reads everything that is whole of a damaged file, nothing else, and says what is missing."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import (
    BackupError,
    DatabaseLockedError,
    DatabaseMissingError,
    HermesStoreError,
    SessionDeletedError,
    SessionExistsError,
    Store,
    UnsupportedDatabaseError,
)
from hermes_store.files import export_directory, import_directory
from hermes_store.maintenance import SalvageReport, SalvageState, salvage, verify
from hermes_store.storage import migrations
from hermes_store.storage.dialects.sqlite_pages import PageFile
from hermes_store.storage.dialects.sqlite_trees import Trees
from tests.proofs import disk_faults
from tests.proofs import salvage as salvage_proof
from tests.proofs.disk_faults import Calls
from tests.support.first_release import restore_sqlite
from tests.support.paired_writer import writer_of
from tests.support.paths import EXAMPLE_HOME
from tests.support.salvaged_files import contents

PAGE = 4_096
SECRET = "secret words " * 600
#: Sessions with former messages.
CUT = ("s10", "s11", "s12", "s13", "s14")


def fill(store: Store) -> None:
    import_directory(store, EXAMPLE_HOME)
    store.projects.create(name="Work", project_id="work")
    for number in range(40):
        name = f"s{number}"
        store.sessions.create(session_id=name, title=f"Session {number}", project_id="work")
        store.messages.extend(name, [{"role": "user", "content": f"{name} {one} " + "x" * 400} for one in range(10)])
        store.documents.put(name, {"small": number, "large": "d" * 6_000})
        store.shares.create(name, {"title": name, "messages": ["x" * 500]}, token=f"t{number}")
        store.usage.record(name, model="m", provider="p", input_tokens=number, cost=0.5, at=1e9 + number)
    store.sessions.create(session_id="child", parent_id="s0", forked_at=1)
    store.sessions.change_id("child", "renamed")
    store.sessions.delete("s1")
    store.messages.extend("s2", [SECRET, SECRET])
    store.sessions.purge("s2")
    for name in CUT:
        revision = store.messages.truncate(name, keep=7, expected_revision=store.sessions.get(name).revision).revision
        store.messages.update(name, 2, "other", expected_revision=revision)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("salvage") / "hermes.db"
    with Store.open(path, durability="normal") as store:
        fill(store)
    return path


@pytest.fixture
def filled(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(template, tmp_path / "hermes.db"))


def roots(path: Path) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        return dict(connection.execute("SELECT name, rootpage FROM sqlite_schema"))


def overwrite(path: Path, *pages: int, content: bytes = bytes(PAGE)) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(content)


def everything(path: Path, target: Path) -> Any:
    """Return what there is in a database, with the files of an export."""
    with Store.open(path, migrate=False, read_only=True) as store:
        export_directory(store, target)
        files = {str(one.relative_to(target)): one.read_bytes() for one in target.rglob("*.json")}
        deleted = [record.session_id for record in store.sessions.list_deleted().items]
        return files, deleted, store.stats(), store.imports.records()


def states(report: SalvageReport) -> dict[str, str]:
    return {item.session_id: item.state.value for item in report.sessions if item.state is not SalvageState.WHOLE}


def damage_nothing(path: Path) -> None:
    pass


def damage_header(path: Path) -> None:
    overwrite(path, 1, content=bytes(100))


def damage_first_page(path: Path) -> None:
    overwrite(path, 1)


def damage_roots(path: Path) -> None:
    overwrite(
        path, *(number for name, number in roots(path).items() if name not in {"projects", "shares", "sqlite_sequence"})
    )


def damage_page_count(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:28] + bytes(3) + b"\x05" + content[32:])


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [damage_nothing, damage_header, damage_first_page, damage_page_count], ids=lambda damage: damage.__name__
)
def test_everything_that_is_whole_comes_back(filled: Path, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    expected = everything(filled, tmp_path / "before")
    damage(filled)
    damaged = filled.read_bytes()
    report = salvage(filled, tmp_path / "new.db")
    assert states(report) == {}
    assert report.messages == expected[2].messages + 10  # of a deleted session
    assert everything(tmp_path / "new.db", tmp_path / "after") == expected
    assert filled.read_bytes() == damaged
    assert (tmp_path / "new.db").stat().st_mode & 0o777 == 0o600
    with Store.open(tmp_path / "new.db") as store:
        assert verify(store).ok
        assert store.info().journal_mode == "wal"
    assert b"secret words" not in (tmp_path / "new.db").read_bytes()


def test_ids_are_not_used_again(filled: Path, tmp_path: Path) -> None:
    salvage(filled, tmp_path / "new.db")
    with Store.open(tmp_path / "new.db") as store:
        with pytest.raises(SessionDeletedError):
            store.sessions.create(session_id="s2")
        with pytest.raises(SessionDeletedError):
            store.sessions.get("s1")
        with pytest.raises(SessionExistsError):
            store.sessions.create(session_id="child")
        assert store.sessions.restore("s1").message_count == 10
    sequences = []
    for path in (filled, tmp_path / "new.db"):
        with closing(sqlite3.connect(path)) as connection:
            sequences.append(dict(connection.execute("SELECT * FROM sqlite_sequence")))
    del sequences[0]["gone_ids"]  # cursors of changes are refused in the new database, so it need not tell of them
    assert sequences[0] == sequences[1]


def test_messages_without_their_sessions_are_kept(filled: Path, tmp_path: Path) -> None:
    pages = leaves(filled, "sessions")
    assert len(pages) > 1
    lost = names_on(filled, pages[-1])
    overwrite(filled, pages[-1])
    report = salvage(filled, tmp_path / "new.db")
    found = states(report)
    assert set(found) <= lost
    assert {name for name in found if found[name] == "messages"} == {name for name in lost if name != "renamed"}
    assert found.get("renamed") == "lost"
    assert report.damaged == {"sessions": 1}
    with Store.open(tmp_path / "new.db") as store:
        record = store.sessions.get("s39")
        assert (record.title, record.recovered, record.message_count) == ("Salvaged messages of s39", True, 10)
        assert store.documents.read("s39", "large") == {"large": "d" * 6_000}
        assert verify(store).ok


def test_sessions_without_rows_and_index_get_ids(filled: Path, tmp_path: Path) -> None:
    pages = leaves(filled, "sessions")
    overwrite(filled, *pages, roots(filled)["sqlite_autoindex_sessions_1"])
    found = states(salvage(filled, tmp_path / "new.db"))
    assert set(found.values()) == {"messages"}
    assert all(name.startswith("salvaged-") for name in found)
    with Store.open(tmp_path / "new.db") as store:
        assert {record.title for record in store.sessions.list(limit=200).items} == {
            "Salvaged messages of a lost session"
        }


def states_of(path: Path, session_id: str) -> dict[int, Any]:
    """Return the former transcripts of a session, by revision."""
    with Store.open(path) as store:
        found = {}
        for cut in store.messages.history(session_id):
            fork = store.sessions.fork(session_id, revision=cut.revision).session_id
            found[cut.revision] = [cut, list(store.messages.read(fork))]
        return found


def write_on(path: Path) -> dict[str, dict[int, Any]]:
    """Let a session have an undone cut, and others an older one that can be told no more if a newer one is missing."""
    with Store.open(path) as store:
        store.messages.undo("s10")
        for name in CUT[1:]:
            revision = store.messages.append(name, "more").revision
            store.messages.update(name, 0, "last", expected_revision=revision)
    return {name: states_of(path, name) for name in CUT}


def test_former_messages_come_back(filled: Path, tmp_path: Path) -> None:
    expected = write_on(filled)
    assert [len(one) for one in expected.values()] == [2, 3, 3, 3, 3]
    assert states(salvage(filled, tmp_path / "new.db")) == {}
    assert {name: states_of(tmp_path / "new.db", name) for name in CUT} == expected
    with Store.open(tmp_path / "new.db") as store:
        assert verify(store).ok
        assert store.messages.undo("s10").restored == 3
        assert store.messages.undo("s11").restored == 1


#: By the session with the damage, how many cuts come back.
CUT_DAMAGE: dict[str, tuple[str, int]] = {
    "s11": ("UPDATE kept_messages SET payload = x'22' WHERE cut_id = {newest}", 0),
    "s12": ("UPDATE message_cuts SET runs = x'22' WHERE id = {newest}", 0),
    "s13": ("DELETE FROM kept_messages WHERE cut_id = {oldest} AND position = 8", 2),
    "s14": ("DELETE FROM messages WHERE session_id = {session} AND position = 3", 0),
}


def damage_cuts(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for name, (statement, _) in CUT_DAMAGE.items():
            session = f"(SELECT id FROM sessions WHERE session_id = '{name}')"
            of_session = f"FROM message_cuts WHERE session_id = {session}"
            cuts = {"newest": f"(SELECT max(id) {of_session})", "oldest": f"(SELECT min(id) {of_session})"}
            connection.execute(statement.format(session=session, **cuts))


def damage_last_cut(path: Path) -> None:
    """The row could be any session's, so nobody knows whether the older cuts have all newer ones."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE message_cuts SET runs = 'text' WHERE id = (SELECT max(id) FROM message_cuts)")


@pytest.mark.parametrize(
    ("damage", "counts"),
    [(damage_cuts, [2, 0, 0, 2, 0]), (damage_last_cut, [2, 1, 1, 1, 0]), (damage_first_page, [2, 1, 1, 1, 1])],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_no_former_messages_are_told_wrongly(
    filled: Path, tmp_path: Path, damage: Callable[[Path], None], counts: list[int]
) -> None:
    expected = write_on(filled)
    damage(filled)
    report = salvage(filled, tmp_path / "new.db")
    found = {name: states_of(tmp_path / "new.db", name) for name in CUT}
    assert [len(one) for one in found.values()] == counts
    for name, former in found.items():
        assert former.items() <= expected[name].items()
    short = {name for name in CUT if len(found[name]) < len(expected[name])}
    assert set(states(report)) == short
    assert all("former" in item.problems[-1] for item in report.sessions if item.session_id in short)
    with Store.open(tmp_path / "new.db") as store:
        assert verify(store).ok
        lacking = {item.session_id for item in report.sessions if item.missing}
        assert {name for name in CUT if store.sessions.get(name).recovered} == lacking


def test_missing_messages_are_named(filled: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        row = (
            "(SELECT id FROM messages WHERE session_id = (SELECT id FROM sessions WHERE session_id = 's5') AND position"
        )
        connection.execute(f"UPDATE message_blobs SET payload = x'22' WHERE message_id = {row} = 3)")
        connection.execute(f"DELETE FROM messages WHERE id = {row} = 4)")
        connection.execute(f"UPDATE messages SET digest = zeroblob(16) WHERE id = {row} = 9)")
        document = "(SELECT id FROM sessions WHERE session_id = 's8')"
        connection.execute(f"UPDATE session_documents SET payload = x'22' WHERE session_id = {document}")
        connection.execute("UPDATE sessions SET model = x'ff' WHERE session_id = 's7'")
    with Store.open(filled, read_only=True) as store:
        expected = list(store.messages.page("s5", limit=3).items)
    report = salvage(filled, tmp_path / "new.db")
    by_id = {item.session_id: item for item in report.sessions}
    assert by_id["s5"].missing == [(3, 4), (9, 9)]
    assert by_id["s7"].problems == ["a field was damaged, and is empty"]
    assert by_id["s8"].problems == ["document 'large' is damaged"]
    assert set(states(report)) == {"s5", "s7", "s8"}
    with Store.open(tmp_path / "new.db") as store:
        messages = store.messages.read("s5")
        assert (len(messages), messages[:3]) == (7, expected)
        assert store.sessions.get("s5").recovered
        assert not store.sessions.get("s6").recovered
        assert verify(store).ok


def test_whole_sessions_survive_damaged_roots(filled: Path, tmp_path: Path) -> None:
    expected = dict_of(filled)
    damaged = [roots(filled)[name] for name in ("messages", "message_blobs", "session_documents", "sessions")]
    overwrite(filled, *damaged)
    report = salvage(filled, tmp_path / "new.db")
    assert states(report) == {}
    assert set(report.damaged) >= {"messages", "session_documents", "sessions"}
    assert dict_of(tmp_path / "new.db") == expected


def dict_of(path: Path) -> dict[str, Any]:
    with Store.open(path, read_only=True) as store:
        return dict(contents(store))


def test_rows_of_wrong_types_are_counted(filled: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(filled, isolation_level=None)) as connection:
        connection.execute("UPDATE projects SET name = x'22' WHERE name = 'Work'")
    report = salvage(filled, tmp_path / "new.db")
    assert report.damaged == {"projects": 1}
    assert not report.ok


def test_the_log_is_read(filled: Path, tmp_path: Path) -> None:
    with Store.open(filled) as store:
        store.messages.append("s3", {"role": "user", "content": "only in the log"})
        store.sessions.create(session_id="later", title="Later")
        copies = [filled, filled.with_name("hermes.db-wal")]
        for path in copies:
            shutil.copy(path, tmp_path / path.name.replace("hermes", "copy"))
    overwrite(tmp_path / "copy.db", 1)  # the log has a page 1 of its own
    before = {path: path.read_bytes() for path in tmp_path.glob("copy*")}
    assert len(before) == 2
    salvage(tmp_path / "copy.db", tmp_path / "new.db")
    with Store.open(tmp_path / "new.db") as store:
        assert store.messages.tail("s3", limit=1).items == [{"role": "user", "content": "only in the log"}]
        assert store.sessions.get("later").title == "Later"
    assert {path: path.read_bytes() for path in tmp_path.glob("copy*")} == before


def test_salvage_ends_a_truncated_log_at_a_commit(filled: Path, tmp_path: Path) -> None:
    with Store.open(filled) as store:
        for number in range(5):
            store.messages.append("s3", number)
        shutil.copy(filled, tmp_path / "copy.db")
        log = filled.with_name("hermes.db-wal").read_bytes()
    (tmp_path / "copy.db-wal").write_bytes(log[:-2_000])
    assert salvage(tmp_path / "copy.db", tmp_path / "new.db").ok
    with Store.open(tmp_path / "new.db") as store:
        assert store.messages.read("s3")[10:] == [0, 1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["0001", "0002", "0003"])
def test_older_revisions_are_upgraded(tmp_path: Path, revision: str) -> None:
    path = restore_sqlite(tmp_path / "old.db")
    if revision != "0001":
        dialect = migrations.dialect_of(path)
        migrations.upgrade(dialect, revision=revision, copies=False)
        dialect.close()
    shutil.copy(path, tmp_path / "upgraded.db")
    report = salvage(path, tmp_path / "new.db")
    assert (report.schema_revision, states(report)) == (revision, {})
    with Store.open(tmp_path / "upgraded.db"):
        pass
    assert everything(tmp_path / "new.db", tmp_path / "a") == everything(tmp_path / "upgraded.db", tmp_path / "b")
    overwrite(path, 1)
    assert salvage(path, tmp_path / "again.db").sessions == report.sessions


def test_others_may_write_meanwhile(filled: Path, tmp_path: Path) -> None:
    with writer_of(filled) as writer:

        def write(now: Any) -> None:
            if now.step == "read" and now.done in (2, 50, 100):
                writer.write_more()

        salvage(filled, tmp_path / "new.db", on_progress=write)
    with Store.open(tmp_path / "new.db") as store:
        assert verify(store).ok
        assert store.messages.read("s3")


def test_what_cannot_be_salvaged_is_refused(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(DatabaseMissingError):
        salvage(tmp_path / "none.db", tmp_path / "new.db")
    with pytest.raises(BackupError, match="exists already"):
        salvage(filled, filled)
    with pytest.raises(BackupError, match="cannot be written"):
        salvage(filled, tmp_path / "none" / "new.db")
    (tmp_path / "text").write_text("no database " * 1_000)
    with pytest.raises(UnsupportedDatabaseError, match="Nothing of this library"):
        salvage(tmp_path / "text", tmp_path / "new.db")
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("INSERT INTO sessions VALUES (1, 'a')")
        connection.commit()
    with pytest.raises(UnsupportedDatabaseError):
        salvage(tmp_path / "foreign.db", tmp_path / "new.db")
    with Store.open(filled), pytest.raises(DatabaseLockedError, match="open in this process"):
        salvage(filled, tmp_path / "new.db")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["foreign.db", "hermes.db", "text"]


def test_an_interrupted_salvage_leaves_nothing(filled: Path, tmp_path: Path) -> None:
    for step in ("read", "order", "index", "check"):

        def interrupt(now: Any, step: str = step) -> None:
            if now.step == step:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            salvage(filled, tmp_path / "new.db", on_progress=interrupt)
        assert [one.name for one in tmp_path.iterdir()] == ["hermes.db"]


def salvage_with_failures(path: str, new: str) -> dict[str, Any]:
    """Salvage a file while the disk of the new one is full, and while its own disk cannot be read."""
    found: dict[str, Any] = {"full": []}
    for after in (0, 3, 60, 200):
        disk_faults.fail(Calls.WRITE | Calls.TRUNCATE, new, errno.ENOSPC, after=after)
        try:
            salvage(path, new)
        except HermesStoreError as error:
            found["full"].append(type(error).__name__)
        disk_faults.work()
        found["left"] = [one.name for one in Path(new).parent.iterdir() if one.name.startswith("new.db")]
    disk_faults.fail(Calls.READ, f"{path}$", errno.EIO, after=12, times=1)
    report = salvage(path, new)
    found["messages"] = report.messages
    return found


@pytest.mark.slow
def test_a_failing_disk_is_no_crash(filled: Path, tmp_path: Path) -> None:
    if reason := disk_faults.why_not():
        pytest.skip(reason)
    messages = salvage(filled, tmp_path / "whole.db").messages
    found = disk_faults.call(salvage_with_failures, filled, tmp_path / "new.db")
    assert (found["full"], found["left"]) == (["DatabaseFullError"] * 4, [])
    assert messages - 20 < found["messages"] <= messages


#: Of the second, a page of bodies became a copy of the first page of all small documents.
@pytest.mark.slow
@pytest.mark.parametrize(("first", "count"), [(0, 25), (2_089, 1)])
def test_damaged_bytes_cost_no_whole_session(first: int, count: int) -> None:
    assert salvage_proof.prove(trials=count, seed=first).problems == []


def leaves(path: Path, table: str) -> list[int]:
    """Return the pages with the rows of a table."""
    with PageFile(path) as file:
        return [leaf.number for leaf in Trees(file, lambda _: None).leaves(table, roots(path)[table])]


def names_on(path: Path, number: int) -> set[str]:
    """Return the public ids of the sessions on a page."""
    with PageFile(path) as file:
        return {row.values[1] for row in Trees(file, lambda _: None).leaf(number).rows}
