"""Revision 0008: shares, which a downgrade takes away and an import brings back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hermes_store import Store
from hermes_store.files import import_directory
from tests.support.contents import contents
from tests.support.first_release import restore_sqlite
from tests.support.processes import alembic, output
from tests.support.schemas import schema_of
from tests.support.state_dir import StateDir
from tests.support.upgrading import rows


def test_a_downgrade_takes_only_shares(new_database: Callable[[], str], tmp_path: Path) -> None:
    target, state = new_database(), StateDir(tmp_path / "webui")
    state.session("chat", "hi")
    (state.root / "shares").mkdir()
    (state.root / "shares" / "t.json").write_bytes(b'{"source_session_id": "chat", "token": "t", "title": "T"}')
    with Store.open(target) as store:
        import_directory(store, state.root)
        store.shares.create("chat", {}, token="made")
        before = contents(store)
    output(alembic("-x", f"url={target}", "downgrade", "0007"))
    assert not {"shares", "share_payloads"} & schema_of(target).keys()
    assert rows(target, "SELECT DISTINCT kind FROM import_items") == [("webui-session",)]
    with Store.open(target) as store:
        assert contents(store) == before
        import_directory(store, state.root)
        assert [(one.token, one.session_id) for one in store.shares.list().items] == [("t", "chat")]


def test_sessions_of_the_first_release_can_be_shared(tmp_path: Path) -> None:
    with Store.open(restore_sqlite(tmp_path / "first.db")) as store:
        session_id = next(store.sessions.iterate()).session_id
        token = store.shares.create(session_id).token
        assert store.shares.get(token).session_id == session_id
