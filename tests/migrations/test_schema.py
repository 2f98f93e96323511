"""The migrations give the schema that the table classes describe, from any direction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory

from hermes_store import Store
from hermes_store.storage import migrations, schema_repair
from hermes_store.storage.schema import complete_metadata
from tests.support.contents import contents
from tests.support.paths import ROOT
from tests.support.processes import alembic, output
from tests.support.sample_rows import fill
from tests.support.schemas import schema_of

NewDatabase = Callable[[], str]


def declared(url: str) -> str:
    """Make the tables as their classes say, without migrations."""
    engine = sa.create_engine(url if "://" in url else f"sqlite:///{url}", poolclass=sa.NullPool)
    complete_metadata().create_all(engine)
    engine.dispose()
    return url


def test_the_migrations_make_the_declared_schema(new_database: NewDatabase) -> None:
    migrated = new_database()
    Store.open(migrated).close()
    assert schema_of(migrated) == schema_of(declared(new_database()))


def test_the_comparison_sees_a_changed_index_predicate(new_database: NewDatabase) -> None:
    first, second = declared(new_database()), declared(new_database())
    assert schema_of(first) == schema_of(second)
    engine = sa.create_engine(second if "://" in second else f"sqlite:///{second}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_sessions_deleted")
        connection.exec_driver_sql(
            "CREATE INDEX ix_sessions_deleted ON sessions (deleted_at, id) WHERE deleted_at IS NULL"
        )
    assert schema_of(first) != schema_of(second)


def test_the_scripts_have_only_the_known_head() -> None:
    scripts = ScriptDirectory.from_config(migrations.alembic_config())
    assert scripts.get_heads() == [migrations.HEAD]
    assert migrations.HEAD in migrations.known_revisions()


@pytest.mark.slow
def test_the_known_digest_is_that_of_the_schema(tmp_path: Path) -> None:
    with Store.open(tmp_path / "hermes.db") as store, store.database.read() as unit:
        assert unit.dialect.schema_digest(unit, schema_repair.TABLES) == schema_repair.HEAD_DIGEST


def test_filled_databases_migrate_down_and_up_again(new_database: NewDatabase) -> None:
    url = new_database()
    with Store.open(url) as store:
        fill(store)
        before = set(contents(store))
    schema = schema_of(url)
    output(alembic("-x", f"url={url}", "downgrade", "base"))
    assert not any(schema_of(url).values())
    with Store.open(url) as store:
        assert schema_of(url) == schema
        assert set(contents(store)) == {"projects"}
        fill(store)
        assert set(contents(store)) == before


def test_every_foreign_key_has_an_index() -> None:
    def leading(table: sa.Table) -> set[str]:
        indexes = [list(index.columns) for index in table.indexes]
        keys = [list(key.columns) for key in table.constraints if isinstance(key, sa.UniqueConstraint)]
        return {columns[0].name for columns in [*indexes, *keys, list(table.primary_key.columns)]}

    missing = [
        f"{table.name}.{key.parent.name}"
        for table in complete_metadata().tables.values()
        for key in table.foreign_keys
        if key.parent.name not in leading(table)
    ]
    assert missing == []


@pytest.mark.parametrize("name", ["script.py.mako", "env.py", "versions"])
def test_the_packaged_migrations_are_those_of_the_repository(name: str) -> None:
    folder = Path(migrations.alembic_config().get_main_option("script_location") or "")
    assert (folder / name).samefile(ROOT / "migrations" / name)
