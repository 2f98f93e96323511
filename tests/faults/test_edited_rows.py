"""One value of one row is damaged: it breaks no list, no other row, and no verb in a way that nobody expects."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from hermes_store import HermesStoreError, Store
from hermes_store.records import SessionOrder
from hermes_store.storage.schema import metadata
from tests.support import edited_rows as edited
from tests.support.hostile_values import EVERYWHERE


@pytest.fixture(scope="module")
def filled(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that has rows in every table, and the files that were imported."""
    folder = tmp_path_factory.mktemp("filled")
    shutil.copy(sqlite_template, folder / "hermes.db")
    edited.fill(folder / "hermes.db", folder / "state")
    return folder


def problems(folder: Path) -> list[str]:
    """Call every verb, and return what went wrong otherwise than by this library's errors."""
    found = []
    with Store.open(folder / "hermes.db", durability="normal") as store:
        for name, verb in {**edited.READING, **edited.WRITING}.items():
            try:
                verb(store, folder)
            except HermesStoreError:
                continue
            except Exception as error:
                found.append(f"{name}: {type(error).__name__}: {error}")
            if name == "export":
                found += _others_broken(store)
    return found


def _others_broken(store: Store) -> list[str]:
    """Return what of the rows that were not edited cannot be read."""
    found = []
    if store.messages.read("other") != edited.MESSAGES:
        found.append("another session's messages differ")
    orders: tuple[SessionOrder, ...] = ("updated", "activity")
    for order in orders:
        if "other" not in {record.session_id for record in store.sessions.iterate(order=order)}:
            found.append(f"another session is not listed by {order}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables])
def test_edited_values_break_no_verb(filled: Path, tmp_path: Path, table: str) -> None:
    failures: dict[str, list[str]] = {}
    columns = enumerate(name for of, name in edited.columns() if of == table)
    for (place, column), (index, kind) in itertools.product(columns, enumerate(edited.VALUES)):
        if EVERYWHERE or (place + index) % 6 == 0:  # each value in every sixth column
            folder = tmp_path / f"{place} {index}"
            shutil.copytree(filled, folder)
            is_edited = edited.edit(folder / "hermes.db", table, column, edited.VALUES[kind])
            if is_edited and (found := problems(folder)):
                failures[f"{table}.{column} = {kind}"] = found
            shutil.rmtree(folder)
    assert failures == {}, "\n".join(map(str, failures.items()))
