"""Revision 0009: the totals that sessions have become usage, and a downgrade leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hermes_store import Store
from hermes_store.maintenance import verify
from tests.support.first_release import restore_sqlite
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.upgrading import execute


@pytest.mark.slow
def test_an_upgrade_counts_the_totals_of_sessions(new_database: Callable[[], str]) -> None:
    target = new_database()
    with Store.open(target) as store:
        store.sessions.create(session_id="plain", title="Trip")
        store.sessions.create(session_id="used", profile="work", model="m", title="Trip", updated_at=1.7e9)
        store.usage.record("used", model="n", input_tokens=100, output_tokens=7, cost=0.123456789, at=1.6e9)
        store.sessions.create(session_id="odd", input_tokens=2**62, estimated_cost=1e18, updated_at=-5.0)
        store.sessions.create(session_id="gone", output_tokens=3)
        store.sessions.delete("gone")
        store.sessions.create_from_json({"session_id": "kept", "pre_compression_snapshot": True, "input_tokens": 5})
        assert store.usage.list("kept").items[0].kind == "copy"
        before = [store.sessions.get(one) for one in ("plain", "used", "odd")]
    output(alembic("-x", f"url={target}", "downgrade", "0008"))
    assert "usage" not in schema_of(target)
    if not target.startswith("postgresql"):
        execute(
            target,
            "INSERT INTO sessions (session_id, title, created_at, updated_at, input_tokens) "
            "VALUES ('text', 'x', 1, 1, 'many')",
        )
    with Store.open(target) as store:
        assert [store.sessions.get(one) for one in ("plain", "used", "odd")] == before
        [used] = store.usage.list("used").items
        assert (used.at, used.model, used.kind) == (1.7e9, "m", "total")
        assert (used.input_tokens, used.output_tokens, used.cost) == (100, 7, 0.123456789)
        assert [one.kind for one in store.usage.list("kept").items] == ["copy"]
        [odd] = store.usage.list("odd").items
        assert (odd.at, odd.input_tokens, odd.cost) == (0.0, 10**15, 1e6)
        assert store.usage.list("plain").items == []
        assert [one.records for one in store.usage.totals("profile")] == [2, 1]
        store.usage.record("used", model="n", input_tokens=1)
        assert not [one for one in verify(store).findings if one.kind == "usage"]


def test_usage_of_the_first_release_is_counted(tmp_path: Path) -> None:
    with Store.open(restore_sqlite(tmp_path / "first.db")) as store:
        found = sum(min(one.input_tokens, 10**15) for one in store.sessions.iterate(include_empty=True))
        counted = [one for one in store.usage.totals("session") if one.session is not None]
        assert sum(one.input_tokens for one in counted) >= found
        assert not [one for one in verify(store).findings if one.kind == "usage"]
