"""Databases to migrate, on both engines, and a migration of tomorrow."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.storage import migrations
from tests.support.paths import ROOT
from tests.support.sample_rows import fill
from tests.support.upgrading import NEXT

MIGRATION = f'''
"""A migration of a version to come, for the tests."""

import sqlalchemy as sa
from alembic import op

from hermes_store.storage.migration_operations import rebuild_table

revision = "{NEXT}"
down_revision = "{migrations.HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sessions", sa.Column("nickname", sa.Text()))
    op.execute("UPDATE sessions SET nickname = 'of ' || title")
    # more


def downgrade() -> None:
    op.drop_column("sessions", "nickname")
'''


@pytest.fixture
def quick_upgrades() -> None:
    """Nothing takes the place of the migrations here."""


@pytest.fixture(params=["sqlite", "postgresql"])
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Give another database with nothing in it, at each call, on the engine under test."""
    if request.param == "postgresql":
        make_postgres_database = request.getfixturevalue("make_postgres_database")
        return lambda: make_postgres_database(empty=True)
    numbers = itertools.count()
    return lambda: str(tmp_path / f"{next(numbers)}.db")


@pytest.fixture
def next_migrations(tmp_path: Path) -> Callable[..., Path]:
    """Give a copy of the migrations with one more, in which texts can be replaced."""

    def make(replace: dict[str, str] | None = None) -> Path:
        text = MIGRATION
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        folder = tmp_path / "next" / "migrations"
        shutil.copytree(ROOT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / f"{NEXT}_nickname.py").write_text(text, encoding="utf-8")
        return folder

    return make


@pytest.fixture
def filled(sqlite_path: Path) -> Path:
    """A database file with a few rows in every corner, closed."""
    with Store.open(sqlite_path) as store:
        fill(store)
    return sqlite_path


@pytest.fixture
def library_of_tomorrow(tmp_path: Path, next_migrations: Callable[..., Path]) -> Path:
    """A folder with this library as it will be one migration later."""
    folder = tmp_path / "tomorrow"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "hermes_store", folder / "hermes_store", ignore=ignored)
    shutil.copytree(next_migrations(), folder / "hermes_store" / "migrations")
    module = folder / "hermes_store" / "storage" / "migrations.py"
    text = module.read_text(encoding="utf-8")
    head = f'HEAD: Final = "{migrations.HEAD}"'
    assert head in text
    module.write_text(text.replace(head, f'HEAD: Final = "{NEXT}"'), encoding="utf-8")
    return folder
