"""While one process upgrades, others that open the database wait, as long as the upgrade makes progress."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hermes_store import DatabaseLockedError, Store
from hermes_store.storage.dialects import upgrade_progress
from hermes_store.storage.migrations import HEAD
from tests.support.first_release import content_digest, make_large
from tests.support.processes import start_function
from tests.support.upgrading import execute, upgrade

pytestmark = pytest.mark.slow

#: Runs for some seconds in one statement.
LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT count(*) FROM n"


def upgrade_slowly(target: str, folder: str) -> None:
    """Upgrade with the migrations of a folder, and say when that begins and ends."""
    import alembic.command  # noqa: F401

    print("ready", flush=True)
    upgrade(target, Path(folder))
    print("done", flush=True)


@contextlib.contextmanager
def upgrading(target: str, folder: Path, started: Callable[[], bool]) -> Iterator[Callable[[], bool]]:
    """Upgrade in another process; give what tells whether it is still at it."""
    with start_function(upgrade_slowly, target, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until = time.monotonic() + 60
        while not started():
            assert time.monotonic() < until
            time.sleep(0.01)
        try:
            yield lambda: process.poll() is None
        finally:
            process.kill()


@pytest.fixture
def slow_migrations(next_migrations: Callable[..., Path]) -> Path:
    return next_migrations({"# more": f"op.get_bind().exec_driver_sql({LONG.format(count=10_000_000)!r}).all()"})


def sign_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.upgrading")


def test_another_process_waits_longer_than_the_busy_timeout(filled: Path, slow_migrations: Path) -> None:
    begun = time.monotonic()
    with upgrading(str(filled), slow_migrations, sign_of(filled).exists) as is_running:
        upgrade_timeout = 0.1
        waited = time.monotonic()
        database_opened = _upgrade_with_timeout(filled, slow_migrations, upgrade_timeout)
        assert database_opened
        assert time.monotonic() - waited > 10 * upgrade_timeout, time.monotonic() - begun
        assert not is_running() or not sign_of(filled).exists()
    assert not sign_of(filled).exists()
    assert len(list(filled.parent.glob("*.bak"))) == 1  # the second one found it done


def _upgrade_with_timeout(path: Path, folder: Path, timeout: float) -> bool:
    from hermes_store.storage import migrations
    from hermes_store.storage.dialects import Settings
    from hermes_store.storage.engine import Database

    database = Database(path, Settings(busy_timeout=timeout))
    try:
        with database.translated():
            migrations.upgrade(database.dialect, migrations=folder)
    finally:
        database.close()
    return True


def test_threads_wait_for_an_upgrade_of_their_process(tmp_path: Path) -> None:
    path = make_large(tmp_path / "old.db", megabytes=8)
    before = content_digest(path)
    errors: list[BaseException] = []

    def open_it() -> None:
        try:
            with Store.open(path, busy_timeout=0.05) as store:
                assert store.info().schema_revision == HEAD
        except BaseException as error:  # whatever it is, the test judges it
            errors.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert content_digest(path) == before
    assert len(list(tmp_path.glob("*.bak"))) == 1


@pytest.mark.parametrize("leftover", [False, True], ids=["without a sign", "with the sign of a killed upgrade"])
def test_nobody_waits_for_what_makes_no_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leftover: bool
) -> None:
    path = make_large(tmp_path / "old.db", megabytes=1)
    execute(path, "PRAGMA journal_mode = WAL")
    monkeypatch.setattr(upgrade_progress, "_PATIENCE", 0.3)
    if leftover:
        sign_of(path).touch()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        with pytest.raises(DatabaseLockedError):
            Store.open(path, busy_timeout=0.1)
        assert time.monotonic() - begun < 20
    with Store.open(path) as store:
        assert store.info().schema_revision == HEAD
    assert not sign_of(path).exists()


def test_on_postgresql_another_process_waits(
    make_postgres_database: Callable[..., str], next_migrations: Callable[..., Path]
) -> None:
    url = make_postgres_database()
    folder = next_migrations({"# more": 'op.execute("SELECT pg_sleep(3)")'})
    begun = time.monotonic()

    def is_upgrading() -> bool:
        from tests.support.upgrading import rows

        return bool(
            rows(url, "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%%pg_sleep(3)%%' AND pid != pg_backend_pid()")
        )

    with upgrading(url, folder, is_upgrading):
        waited = time.monotonic()
        assert _upgrade_with_timeout(url, folder, 0.2)  # type: ignore[arg-type]
        assert time.monotonic() - waited > 1, time.monotonic() - begun
