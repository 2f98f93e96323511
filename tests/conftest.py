"""Fresh databases for the tests, fast: a migrated template is made once and copied for each test."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from hermes_store import Store
from hermes_store.storage import migrations, search_rows
from tests.support.examples import examples
from tests.support.postgres import Databases, ReusedDatabase, started_server
from tests.support.quick_disk import wait_for_no_disk
from tests.support.quick_upgrades import quick_upgrade

# A shell's background jobs, and what they start, ignore Ctrl-C; the programs under test must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Containers often set this. Then every program that a test starts would compile the library for itself.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Examples of databases cost milliseconds, not microseconds; a deadline would fail on a busy machine.
settings.register_profile(
    "default", deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("default")


#: Parameters and fixtures of tests that run on another backend than SQLite files.
_BACKENDS = {"postgresql", "sqlite-memory", "postgres_server", "make_postgres_database", "postgres_url"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: a quarter of the time, tests wait for other processes and for the disk."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of other backends, before any are selected by their marks."""
    for item in items:
        assert isinstance(item, pytest.Function)
        parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
        if not _BACKENDS.isdisjoint([*item.fixturenames, *(one for one in parameters if isinstance(one, str))]):
            item.add_marker("backend")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over the modules and the tests, hundreds of thousands of objects, from now on."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Escape what is no text in the report of a failure: a worker could not send it, and all tests would end."""
    report = yield
    if report.failed and (text := str(report.longrepr)) != (escaped := _escaped(text)):
        report.longrepr = escaped
    report.sections = [(name, _escaped(content)) for name, content in report.sections]
    return report


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.fixture(autouse=True)
def _no_default_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may touch the databases of whoever runs it."""
    monkeypatch.delenv("HERMES_STORE_URL", raising=False)
    monkeypatch.setenv("HERMES_WEBUI_STATE_DIR", str(tmp_path / "state-of-nobody"))


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store waits for the disk. A module about durability overrides this."""
    wait_for_no_disk(monkeypatch)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema and nothing in it, closed."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    Store.open(path).close()
    return path


@pytest.fixture(scope="session")
def upgrade_of_new_files(sqlite_template: Path) -> Callable[..., None]:
    """What `migrations.upgrade` is replaced by."""
    return quick_upgrade(sqlite_template)


@pytest.fixture(autouse=True)
def quick_upgrades(upgrade_of_new_files: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """New databases are made without Alembic, which takes a tenth of a second. `tests/migrations` overrides this."""
    monkeypatch.setattr(migrations, "upgrade", upgrade_of_new_files)


@pytest.fixture
def few_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three messages or titles are enough for the index of words, so that little data is in it and pending."""
    monkeypatch.setattr(search_rows, "MOST_PENDING", 2)


@pytest.fixture
def sqlite_path(sqlite_template: Path, tmp_path: Path) -> Path:
    """A fresh database file."""
    return Path(shutil.copy(sqlite_template, tmp_path / "hermes.db"))


@pytest.fixture
def sqlite_store(sqlite_path: Path) -> Iterator[Store]:
    """An open store on a fresh database file."""
    with Store.open(sqlite_path, durability="normal") as store:
        yield store


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.URL]:
    """A real PostgreSQL: the one that HERMES_STORE_TEST_POSTGRES_URL names, else one started here."""
    with started_server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: sa.URL) -> Iterator[Databases]:
    """For making and dropping databases."""
    databases = Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def make_postgres_database(postgres_databases: Databases) -> Callable[..., str]:
    """Make databases on the server, as copies of a migrated one or (`empty=True`) with nothing in them."""
    return postgres_databases.make


@pytest.fixture(scope="session")
def reused_postgres_database(postgres_databases: Databases) -> Iterator[ReusedDatabase]:
    """A database that each test finds empty."""
    database = ReusedDatabase(postgres_databases)
    yield database
    database.close()


@pytest.fixture
def postgres_url(reused_postgres_database: ReusedDatabase) -> str:
    """A fresh PostgreSQL database."""
    return reused_postgres_database.fresh()
