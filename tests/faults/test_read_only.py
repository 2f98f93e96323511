"""read_only=True writes nothing, whatever is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes_store import DatabaseError, DatabaseMissingError, DatabaseReadOnlyError, Store

#: Every verb that writes, on a store that has the session "there", the deleted one "gone" and the project "work".
WRITES: dict[str, Callable[[Any], Any]] = {
    "sessions.create_from_json": lambda verbs: verbs.sessions.create_from_json({"session_id": "new"}),
    "sessions.create": lambda verbs: verbs.sessions.create(title="New"),
    "sessions.update": lambda verbs: verbs.sessions.update("there", title="New"),
    "sessions.change_id": lambda verbs: verbs.sessions.change_id("there", "elsewhere"),
    "sessions.delete": lambda verbs: verbs.sessions.delete("there"),
    "sessions.restore": lambda verbs: verbs.sessions.restore("gone"),
    "sessions.purge": lambda verbs: verbs.sessions.purge("gone"),
    "sessions.purge_deleted": lambda verbs: verbs.sessions.purge_deleted(older_than=-60),
    "sessions.delete_inactive": lambda verbs: verbs.sessions.delete_inactive(older_than=-60),
    "sessions.delete_empty": lambda verbs: verbs.sessions.delete_empty(older_than=-60),
    "sessions.fork": lambda verbs: verbs.sessions.fork("there"),
    "sessions.duplicate": lambda verbs: verbs.sessions.duplicate("there"),
    "messages.append": lambda verbs: verbs.messages.append("there", "new"),
    "messages.extend": lambda verbs: verbs.messages.extend("there", ["new"]),
    "messages.replace": lambda verbs: verbs.messages.replace("there", [], expected_revision=2),
    "messages.update": lambda verbs: verbs.messages.update("there", 0, "new", expected_revision=2),
    "messages.truncate": lambda verbs: verbs.messages.truncate("there", keep=0, expected_revision=2),
    "messages.clear": lambda verbs: verbs.messages.clear("there", expected_revision=2),
    "messages.undo": lambda verbs: verbs.messages.undo("there"),
    "messages.purge_history": lambda verbs: verbs.messages.purge_history("there"),
    "messages.prune_history": lambda verbs: verbs.messages.prune_history(),
    "messages.stream": lambda verbs: verbs.messages.stream("there", {}).__enter__(),
    "documents.put": lambda verbs: verbs.documents.put("there", {"new": 1}),
    "documents.remove": lambda verbs: verbs.documents.remove("there", "draft"),
    "shares.create": lambda verbs: verbs.shares.create("there"),
    "shares.refresh": lambda verbs: verbs.shares.refresh("shared"),
    "shares.revoke": lambda verbs: verbs.shares.revoke("shared"),
    "shares.delete": lambda verbs: verbs.shares.delete("shared"),
    "usage.record": lambda verbs: verbs.usage.record("there", model="m"),
    "projects.create": lambda verbs: verbs.projects.create(name="New"),
    "projects.rename": lambda verbs: verbs.projects.rename("work", "New"),
    "projects.update": lambda verbs: verbs.projects.update("work", color="#fff"),
    "projects.reorder": lambda verbs: verbs.projects.reorder(["work"]),
    "projects.delete": lambda verbs: verbs.projects.delete("work"),
}
READS = {
    *("sessions.get", "sessions.as_json", "sessions.exists", "sessions.list", "sessions.iterate"),
    *(
        "sessions.children",
        "sessions.lineage",
        "messages.history",
        "sessions.list_deleted",
        "sessions.count",
        "sessions.find",
        "sessions.get_many",
    ),
    *("messages.read", "messages.count", "messages.tail", "messages.page", "messages.window", "messages.changes"),
    *("documents.read", "projects.get", "projects.list", "imports.records", "imports.of_session"),
    *("shares.get", "shares.list", "usage.list", "usage.totals"),
}


@pytest.fixture(params=["sqlite-file", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    target = str(request.getfixturevalue("sqlite_path" if request.param == "sqlite-file" else "postgres_url"))
    with Store.open(target, durability="normal") as store:
        store.projects.create(project_id="work", name="Work")
        store.sessions.create(session_id="there", title="There")
        store.messages.extend("there", ["one", "two"])
        store.documents.put("there", {"draft": "…"})
        store.shares.create("there", token="shared")
        store.usage.record("there", model="m", input_tokens=1)
        store.sessions.create(session_id="gone")
        store.sessions.delete("gone")
    return target


@pytest.fixture
def read_only(target: str) -> Iterator[Store]:
    with Store.open(target, read_only=True) as store:
        yield store


def _everything(store: Store) -> list[Any]:
    return [
        list(store.sessions.iterate()),
        store.sessions.list_deleted().items,
        store.messages.read("there"),
        store.documents.read("there"),
        store.projects.list(),
        store.shares.get("shared"),
        store.usage.totals("model"),
    ]


def test_every_write_verb_is_refused_and_changes_nothing(
    read_only: Store, target: str, require_cause: Callable[[DatabaseError], None]
) -> None:
    before = _everything(read_only)
    for name, write in WRITES.items():
        for verbs in (read_only, read_only.profile("default")):
            with pytest.raises(DatabaseReadOnlyError, match="Nothing was written") as caught:
                pytest.fail(f"{name} gave {write(verbs)!r}")
            if "://" not in target:  # on a server, the library itself refuses
                require_cause(caught.value)
    assert _everything(read_only) == before
    with Store.open(target) as store:
        assert _everything(store) == before


@pytest.mark.parametrize("name", ["sessions.update", "messages.append", "documents.put"])
def test_transactions_of_a_read_only_store_write_nothing(read_only: Store, name: str) -> None:
    def write() -> None:
        with read_only.transaction() as tx:
            WRITES[name](tx)

    before = _everything(read_only)
    with pytest.raises(DatabaseReadOnlyError):
        write()
    assert _everything(read_only) == before


def test_the_list_of_write_verbs_is_complete(sqlite_store: Store) -> None:
    """A verb that is added to the library must be added above, or be named as one that reads."""
    verbs = {
        f"{noun}.{verb}"
        for noun, collection in vars(sqlite_store).items()
        if not noun.startswith("_") and noun != "database"
        for verb in dir(collection)
        if not verb.startswith("_")
    }
    assert verbs == READS | WRITES.keys()


def test_a_read_only_store_changes_no_byte(
    sqlite_path: Path, session_id: str, digest_of: Callable[[Path], str]
) -> None:
    before = digest_of(sqlite_path)
    with Store.open(sqlite_path, read_only=True) as store:
        assert store.messages.read(session_id) == ["one", "two", "three"]
        for attempt in (store.sessions.create, lambda: store.messages.append(session_id, "four")):
            with pytest.raises(DatabaseReadOnlyError):
                attempt()
        assert store.info().read_only
    assert digest_of(sqlite_path) == before


@pytest.mark.parametrize("below", ["hermes.db", "folder/hermes.db"])
def test_opening_read_only_creates_no_missing_file(tmp_path: Path, below: str) -> None:
    with pytest.raises(DatabaseMissingError, match="none was made"):
        Store.open(tmp_path / below, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_store_in_memory_cannot_be_read_only() -> None:
    with pytest.raises(DatabaseMissingError):
        Store.open(":memory:", read_only=True)


def test_a_read_only_store_sees_what_others_write(sqlite_path: Path, session_id: str) -> None:
    with Store.open(sqlite_path) as writer, Store.open(sqlite_path, read_only=True) as reader:
        writer.messages.append(session_id, "four")
        assert reader.messages.read(session_id) == ["one", "two", "three", "four"]
