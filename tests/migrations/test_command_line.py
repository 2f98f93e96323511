"""The `alembic` command in the repository's root."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from hermes_store import Store
from hermes_store.storage import migrations
from tests.support.processes import alembic, alembic_program, output
from tests.support.sample_rows import fill
from tests.support.schemas import schema_of

pytestmark = pytest.mark.slow

NewDatabase = Callable[[], str]


def test_upgrade_makes_a_database_that_a_store_opens(new_database: NewDatabase) -> None:
    url, other = new_database(), new_database()
    output(alembic_program("-x", f"url={url}", "upgrade", "head"))
    with Store.open(url, migrate=False) as store:
        fill(store)
    Store.open(other).close()
    assert schema_of(url) == schema_of(other)


def test_current_and_check_report_a_databases_state(new_database: NewDatabase) -> None:
    url = new_database()
    Store.open(url).close()
    assert f"{migrations.HEAD} (head)" in output(alembic("-x", f"url={url}", "current"))
    assert "No new upgrade operations detected" in output(alembic("-x", f"url={url}", "check"))
    engine = sa.create_engine(url if "://" in url else f"sqlite:///{url}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_sessions_parent_id")
    checked = alembic("-x", f"url={url}", "check")
    assert checked.returncode != 0
    assert "ix_sessions_parent_id" in checked.stdout + checked.stderr


def test_history_ends_with_the_head() -> None:
    assert f"{migrations.HEAD} (head)" in output(alembic_program("history"))


def test_an_offline_upgrades_sql_makes_the_same_schema(new_database: NewDatabase) -> None:
    online, offline = new_database(), new_database()
    Store.open(online).close()
    script = output(alembic("-x", f"url={offline}", "upgrade", "head", "--sql"))
    if offline.startswith("postgresql"):
        engine = sa.create_engine(offline, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
        with contextlib.closing(engine.raw_connection()) as connection:
            connection.cursor().execute(script)
    else:
        assert not Path(offline).exists()
        with contextlib.closing(sqlite3.connect(offline)) as connection:
            connection.executescript(script)
    assert schema_of(offline) == schema_of(online)
    with Store.open(offline, migrate=False) as store:
        fill(store)


def test_alembic_s_database_is_the_named_one(tmp_path: Path) -> None:
    places = {name: tmp_path / name / "hermes.db" for name in ("given", "named", "state")}
    found = {"HERMES_STORE_URL": str(places["named"]), "HERMES_WEBUI_STATE_DIR": str(places["state"].parent)}

    def upgrade(*arguments: str, **environment: str) -> list[str]:
        """Upgrade, and return which databases there are now."""
        output(alembic(*arguments, "upgrade", "head", **environment))
        return [name for name, path in places.items() if path.exists()]

    assert upgrade("-x", f"url=sqlite:///{places['given']}", **found) == ["given"]
    assert upgrade(**found) == ["given", "named"]
    assert upgrade(**found | {"HERMES_STORE_URL": ""}) == ["given", "named", "state"]
    schemas = [schema_of(str(path)) for path in places.values()]
    assert schemas[0] == schemas[1] == schemas[2] != {}


def test_a_database_with_data_survives_a_second_upgrade(filled: Path) -> None:
    with Store.open(filled) as store:
        before = store.sessions.list()
    output(alembic("-x", f"url={filled}", "upgrade", "head"))
    with Store.open(filled) as store:
        assert store.sessions.list() == before


def test_an_unsupported_url_is_refused_without_a_traceback(tmp_path: Path) -> None:
    failed = alembic_program("-x", "url=mysql://root@localhost/x", "upgrade", "head")
    assert failed.returncode != 0
    assert "'mysql' is not supported" in failed.stderr
    assert "Traceback" not in failed.stderr
