"""The import log says how each session came into the store, also long after the import."""

from __future__ import annotations

from hermes_store import Store
from hermes_store.files import import_directory, import_log
from tests.support.state_dir import StateDir


def test_a_recovered_session_can_be_told_from_others(store: Store, state: StateDir) -> None:
    state.session("whole", "hi")
    torn = state.session("torn", "hi", "there").read_bytes()
    state.write("torn.json", torn[: torn.index(b"there")])
    state.session("odd", "hi", title=["list"])
    import_directory(store, state.root)
    for path in state.sessions.iterdir():
        path.touch()
    import_directory(store, state.root)  # it is unchanged now, and what was missing is still missing
    records = {record.name: record for record in import_log(store)}
    assert {name: record.outcome.value for name, record in records.items()} == {
        "whole.json": "imported",
        "torn.json": "recovered",
        "odd.json": "imported",
    }
    assert "1 whole messages were read" in records["torn.json"].reason
    assert records["torn.json"].session_id == "torn"
    assert "title is" in records["odd.json"].notes[0]


def test_a_file_that_was_repaired_is_no_longer_recovered(sqlite_store: Store, state: StateDir) -> None:
    whole = state.session("a", "hi", "there").read_bytes()
    state.write("a.json", whole[:-60])
    import_directory(sqlite_store, state.root)
    state.write("a.json", whole, age=60)
    import_directory(sqlite_store, state.root)
    (record,) = import_log(sqlite_store)
    assert (record.outcome, record.reason) == ("updated", "")
