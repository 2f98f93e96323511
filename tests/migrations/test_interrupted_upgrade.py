"""An upgrade that is killed or finds no room is whole or was not begun, and leaves no part of a copy."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import resource
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import DatabaseCorruptError, DatabaseError, DatabaseFullError, Store
from hermes_store.storage.dialects import sqlite_copy, upgrade_progress
from hermes_store.storage.migrations import HEAD
from tests.proofs import disk_faults
from tests.proofs.disk_faults import Calls, End
from tests.support.first_release import content_digest, make_large, restore_sqlite
from tests.support.processes import output, run_function, start_function
from tests.support.upgrading import execute, rows

pytestmark = pytest.mark.slow


def open_store(path: str) -> None:
    """Upgrade a database by opening it, once a line was read."""
    import alembic.command  # noqa: F401

    print("ready", flush=True)
    input()
    Store.open(path).close()
    print("done", flush=True)


def copy_begun(path: Path) -> bool:
    return any(path.parent.glob("*.bak.tmp"))


def copy_made(path: Path) -> bool:
    return any(path.parent.glob("*.bak"))


def log_of(size: int) -> Callable[[Path], bool]:
    def has_grown(path: Path) -> bool:
        try:
            return path.with_name(f"{path.name}-wal").stat().st_size > size
        except OSError:
            return False

    return has_grown


class After:
    """A moment some seconds after it was first asked about."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begun = 0.0

    def __call__(self, _: Path) -> bool:
        self.begun = self.begun or time.monotonic()
        return time.monotonic() - self.begun > self._seconds


def kill_when(path: Path, reached: Callable[[Path], bool]) -> bool:
    """Upgrade a file in another process, kill that at a moment, and return whether it was before the end."""
    with start_function(open_store, path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n")
        process.stdin.flush()
        while process.poll() is None and not reached(path):
            time.sleep(0.0005)
        process.kill()
        return process.stdout.read() == ""


def make_old(path: Path) -> Path:
    """Make a file of which an upgrade changes more than SQLite holds in memory before it writes to its log."""
    make_large(path, megabytes=3)
    value = b'"' + b"x" * 1_500 + b'"'
    digest = hashlib.blake2b(value, digest_size=16).digest()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        documents = ((number % 10 + 1, f"more_{number}", digest, value) for number in range(4_000))
        connection.executemany("INSERT INTO session_documents VALUES (?, ?, ?, ?)", documents)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # as the first release leaves it
    return path


def require_whole(path: Path, before: str) -> None:
    """Open what a killed upgrade left: nothing is missing, and every copy is a whole one."""
    assert content_digest(path) == before
    for copy in path.parent.glob("*.bak"):
        assert content_digest(copy) == before
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD
    assert content_digest(path) == before
    assert not copy_begun(path)
    assert not list(path.parent.glob("*.upgrading"))
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT count(*) FROM session_documents WHERE length(payload) <= 2048") == [(0,)]


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "the copy is begun": copy_begun,
    "the copy is made": copy_made,
    "the log has a page": log_of(0),
    "the log has grown": log_of(2_000_000),
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_a_killed_upgrade_was_not_begun(tmp_path: Path, moment: Callable[[Path], bool]) -> None:
    path = make_old(tmp_path / "old.db")
    before = content_digest(path)
    assert kill_when(path, moment)
    require_whole(path, before)


def test_an_upgrade_killed_at_any_time_is_whole(tmp_path: Path) -> None:
    template = make_old(tmp_path / "template.db")
    before = content_digest(template)
    moments = 5
    killed, duration = 0, 60.0
    for number in range(moments + 1):
        path = tmp_path / str(number) / "old.db"
        path.parent.mkdir()
        shutil.copy(template, path)
        moment = After(duration * number / moments if number else 60)
        if kill_when(path, moment):
            killed += 1
        else:  # on a busy machine, some take much longer than others
            duration = min(duration, time.monotonic() - moment.begun)
        require_whole(path, before)
        shutil.rmtree(path.parent)
    assert killed >= 1


# ── The copy ──


def upgrade_with_little_room(path: str, room: str) -> None:
    """Upgrade a file while no file of this process may grow beyond a size, and print how that ends."""
    with contextlib.suppress(AttributeError):
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), resource.RLIM_INFINITY))
    try:
        Store.open(path).close()
    except DatabaseError as error:
        print(type(error).__name__)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_copy_without_room_leaves_nothing(tmp_path: Path, share: float) -> None:
    path = make_large(tmp_path / "old.db", megabytes=2)
    before, size = path.read_bytes(), path.stat().st_size
    digest = content_digest(path)
    for _ in range(2):
        said = output(run_function(upgrade_with_little_room, path, round(size * share)))
        assert said.strip() in ("DatabaseFullError", "DatabaseUnavailableError")
        assert [file.name for file in tmp_path.iterdir()] == ["old.db"]
    # Only the journal mode is another.
    assert len(path.read_bytes()) == len(before)
    assert content_digest(path) == digest
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD


def test_a_full_disk_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_large(tmp_path / "old.db", megabytes=1)

    def fail(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DatabaseFullError, match="was not upgraded"):
        Store.open(path)
    assert [file.name for file in tmp_path.iterdir()] == ["old.db"]


def test_a_damaged_copy_ends_the_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_large(tmp_path / "old.db", megabytes=1)
    copy = sqlite_copy._copy

    def damage(*arguments: object) -> None:
        copy(*arguments)  # type: ignore[arg-type]
        part = arguments[1]
        assert isinstance(part, Path)
        data = bytearray(part.read_bytes())
        data[-40_000:-20_000] = b"\xff" * 20_000
        part.write_bytes(data)

    monkeypatch.setattr(sqlite_copy, "_copy", damage)
    with pytest.raises(DatabaseCorruptError, match="copy before the upgrade"):
        Store.open(path)
    assert [file.name for file in tmp_path.iterdir()] == ["old.db"]
    assert rows(path, "SELECT * FROM alembic_version") == [("0001",)]


def test_the_parts_of_killed_copies_are_removed(tmp_path: Path) -> None:
    path = make_large(tmp_path / "old.db", megabytes=1)
    kept = {"old.db.0001-20260101T000000000000.bak", "other.db.0001-1.bak.tmp", "old.db.tmp"}
    for name in {*kept, "old.db.0001-1.bak.tmp", "old.db.0001-2.bak.tmp-journal"}:
        (tmp_path / name).touch()
    Store.open(path).close()
    found = {file.name for file in tmp_path.iterdir()}
    assert kept < found
    assert not found & {"old.db.0001-1.bak.tmp", "old.db.0001-2.bak.tmp-journal"}


def test_the_copy_is_whole_and_private(tmp_path: Path) -> None:
    path = make_large(tmp_path / "old.db", megabytes=1)
    before = content_digest(path)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("UPDATE sessions SET title = 'only in the log' WHERE id = 1")
        connection.commit()
        Store.open(path).close()
    [copy] = tmp_path.glob("old.db.0001-*.bak")
    assert copy.stat().st_mode & 0o777 == 0o600
    assert rows(copy, "SELECT title FROM sessions WHERE id = 1") == [("only in the log",)]
    assert content_digest(copy) == content_digest(path) != before


def _no_removal(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """Let the removal of files fail whose names end so."""
    unlink = Path.unlink

    def fail(path: Path, missing_ok: bool = False) -> None:
        if path.name.endswith(end):
            raise OSError(errno.EROFS, "Read-only file system", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", fail)


def test_an_upgrade_succeeds_though_its_sign_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = restore_sqlite(tmp_path / "old.db")
    _no_removal(monkeypatch, ".upgrading")
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD
    Store.open(path, busy_timeout=0.1).close()


def test_a_copy_left_behind_hides_no_upgrade_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = restore_sqlite(tmp_path / "old.db")
    _no_removal(monkeypatch, ".bak")
    execute(
        path,
        "CREATE TRIGGER refuse BEFORE UPDATE ON alembic_version BEGIN SELECT RAISE(ABORT, 'not this version'); END",
    )
    with pytest.raises(DatabaseError, match="not this version"):
        Store.open(path)
    assert len([*tmp_path.glob("*.bak")]) == 1
    execute(path, "DROP TRIGGER refuse")
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD


@pytest.mark.parametrize("is_copying", [True, False], ids=["copy", "statements"])
def test_ctrl_c_ends_an_upgrade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_copying: bool) -> None:
    path = restore_sqlite(tmp_path / "old.db")
    moments = []

    def interrupt(_: object, *pages: int) -> None:
        """Called by SQLite: while it makes the copy with how far that is, else between two instructions."""
        moments.append("copy" if pages else "statements")
        if bool(pages) is is_copying:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(upgrade_progress, "_INSTRUCTIONS", 1_000)
        patch.setattr(upgrade_progress.UpgradeProgress, "show", interrupt)
        with pytest.raises(KeyboardInterrupt):
            Store.open(path)
    assert moments[-1] == ("copy" if is_copying else "statements")
    assert rows(path, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert [file.name for file in tmp_path.iterdir()] == ["old.db"]
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD


def kill_before_commit(path: str) -> dict[str, int]:
    """Upgrade a database in a process that is killed before it removes the journal, which is its commit."""
    child = os.fork()
    if not child:
        disk_faults.fail(Calls.NAME, "-journal$", End.BEFORE)
        Store.open(path).close()
        os._exit(0)
    return {"status": os.waitpid(child, 0)[1]}


def test_an_upgrade_killed_before_its_commit_begins_again(tmp_path: Path) -> None:
    if reason := disk_faults.why_not():
        pytest.skip(reason)
    path = restore_sqlite(tmp_path / "old.db")
    assert disk_faults.call(kill_before_commit, path) == {"status": signal.SIGKILL}
    assert path.with_name("old.db-journal").stat().st_size > 0
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD
        assert store.sessions.count() > 0
