"""Sessions that are too large for one transaction: written in parts, and seen as a whole or not at all."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest

from hermes_store import NotFoundError, StaleSessionError, Store
from hermes_store.files import export_directory, import_directory
from hermes_store.maintenance import verify
from hermes_store.storage.batches import MOST_SESSIONS
from hermes_store.webui import WebUIModels
from tests.support.internals import writing
from tests.support.message_columns import wrong_columns
from tests.support.parts import ROWS, SIZE, Cost, before_parts, orphans, shrink_parts, staged_ids, write_costs
from tests.support.state_dir import StateDir, by_name, outcomes

#: The rows of a part: each message and its payload, and the staged row. A session's own rows are a few more.
MOST_ROWS = 2 * ROWS + 10
MOST_BYTES = SIZE + 1_000
#: What is larger than a part, a message or a document, is written with nothing but the staged row.
ALONE = 3


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink_parts(monkeypatch)


def talk(count: int, *, version: int = 0, size: int = 50) -> list[dict[str, Any]]:
    roles = ["user", "assistant", "tool", "tool", "tool"]
    return [
        {"role": roles[number % 5], "n": number, "version": version, "text": "x" * size, "timestamp": 1e9 + number}
        for number in range(count)
    ]


#: A session before and after its file was changed.
CHANGES: dict[str, tuple[list[Any], list[Any]]] = {
    "a few more messages": (talk(95), talk(98)),
    "many more messages": (talk(35), talk(95)),
    "all changed": (talk(95), talk(95, version=1)),
    "the first removed": (talk(95), talk(95)[1:]),
    "cut": (talk(95), talk(3)),
    "emptied": (talk(95), []),
    "grown from nothing": ([], talk(95)),
    "a few large ones": (talk(4, size=2_000), talk(4, version=1, size=2_000)),
    "one that is larger than a part": (talk(30), [*talk(29), *talk(1, size=20_000)]),
    "a small one": (talk(5), talk(5, version=1)),
}


def change(state: StateDir, name: str, *, age: float = 1800.0) -> None:
    state.session("big", *CHANGES[name][1], draft="after", context_messages=talk(3, size=1_500), age=age)


def begin(state: StateDir, name: str) -> None:
    state.session("big", *CHANGES[name][0], draft="before", context_messages=talk(4, size=2_500))


@pytest.mark.parametrize("name", CHANGES)
def test_no_transaction_writes_more_than_a_part(sqlite_store: Store, state: StateDir, name: str) -> None:
    begin(state, name)
    with write_costs(sqlite_store) as costs:
        import_directory(sqlite_store, state.root)
        change(state, name)
        assert outcomes(import_directory(sqlite_store, state.root)) == {"big.json": "updated"}
    assert max(cost.rows for cost in costs) <= MOST_ROWS
    large = [cost for cost in costs if cost.size > MOST_BYTES]
    assert all(cost.rows <= ALONE for cost in large), large


def test_no_transaction_imports_more_than_a_batch(
    sqlite_store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink_parts(monkeypatch, 2_000, 2**20)
    for number in range(3 * MOST_SESSIONS):
        state.session(f"s{number:03}", *talk(2))
    with write_costs(sqlite_store) as costs:
        import_directory(sqlite_store, state.root)
    one = Cost(rows=7, size=1_000)  # the session, its small values, the log, and two messages
    assert max(cost.rows for cost in costs) <= MOST_SESSIONS * one.rows
    assert max(cost.size for cost in costs) <= MOST_SESSIONS * one.size
    shrink_parts(monkeypatch, 2_000, 10_000)
    for number in range(MOST_SESSIONS):
        state.session(f"t{number:03}", *talk(2, size=1_000))
    with write_costs(sqlite_store) as costs:
        import_directory(sqlite_store, state.root)
    assert max(cost.size for cost in costs) <= 10_000 + 1_000


def test_links_are_made_in_several_transactions(
    sqlite_store: Store, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hermes_store.files.linking._CHUNK", 4)
    for number in range(30):
        state.session(f"s{number:03}", parent_session_id=f"s{number + 1:03}", title="fork")
    with write_costs(sqlite_store) as costs:
        import_directory(sqlite_store, state.root)
    assert sqlite_store.sessions.get("s000").parent_id == "s001"
    assert sqlite_store.sessions.get("s028").parent_id == "s029"
    assert max(cost.rows for cost in costs[-5:]) <= 4 * 3


def test_a_share_stays_with_an_overwritten_session(store: Store, state: StateDir) -> None:
    begin(state, "all changed")
    import_directory(store, state.root)
    store.shares.create("big", {"title": "Before"}, token="t")
    change(state, "all changed")
    import_directory(store, state.root)
    assert (store.shares.get("t").session_id, store.shares.get("t").payload) == ("big", {"title": "Before"})


@pytest.mark.parametrize("name", ["all changed", "grown from nothing", "emptied", "many more messages"])
def test_usage_of_a_session_in_parts_counts_once(store: Store, state: StateDir, name: str) -> None:
    for messages, tokens, age in zip(CHANGES[name], (100, 130), (3600.0, 1800.0), strict=True):
        used = {"input_tokens": tokens, "cache_read_tokens": tokens - 10, "estimated_cost": tokens / 1000}
        state.session("big", *messages, **used, age=age)
        import_directory(store, state.root)
        [total] = store.usage.totals("session")
        assert (total.session, total.input_tokens, total.cache_read_tokens) == ("big", tokens, tokens - 10)
        assert total.cost == tokens / 1000
    rows = [(one.input_tokens, one.cache_read_tokens) for one in store.usage.list("big").items]
    assert sorted(rows) == [(30, 30), (100, 90)]
    assert verify(store).ok


@pytest.mark.parametrize("name", CHANGES)
def test_a_session_written_in_parts_equals_its_file(store: Store, state: StateDir, name: str) -> None:
    begin(state, name)
    state.session("small", *talk(2))
    for expected in CHANGES[name]:
        assert set(outcomes(import_directory(store, state.root)).values()) <= {"imported", "updated", "unchanged"}
        assert store.messages.read("big") == expected
        record = store.sessions.get("big")
        assert record.message_count == len(expected)
        assert record.last_message_at == (expected[-1]["timestamp"] if expected else None)
        active = [one["timestamp"] for one in expected if one["role"] != "tool"]
        assert record.last_activity_at == (active[-1] if active else None)
        assert wrong_columns(store) == []
        assert store.documents.read("big")["context_messages"][0]["text"][:3] == "xxx"
        assert set(outcomes(import_directory(store, state.root)).values()) == {"unchanged"}
        change(state, name)
    assert store.documents.read("big")["context_messages"] == talk(3, size=1_500)
    assert (staged_ids(store), orphans(store)) == ([], 0)


def everything_shown(store: Store, models: WebUIModels, folder: Path) -> dict[str, Any]:
    """What the store's verbs, an export and hermes-webui's functions tell, where a part of a session might appear."""
    shown: dict[str, Any] = {
        "list": [row.session_id for row in store.sessions.list(include_empty=True, total=True, limit=1000).items],
        "iterate": [row.session_id for row in store.sessions.iterate(include_empty=True)],
        "total": store.sessions.list(include_empty=True, total=True).total,
        "count": store.sessions.count(include_empty=True),
        "deleted": [row.session_id for row in store.sessions.list_deleted().items],
        "stats": store.stats().model_dump(),
        "profile": store.profile("default").stats().model_dump(),
        "found": store.sessions.find("b"),
        "sidebar": [row["session_id"] for row in models.all_sessions()],
    }
    export_directory(store, folder)
    shown["exported"] = sorted(path.name for path in (folder / "sessions").glob("*.json"))
    return shown


@pytest.mark.parametrize("name", ["all changed", "cut", "grown from nothing"])
def test_nothing_shows_a_part_of_a_session(
    sqlite_store: Store, sqlite_path: Path, state: StateDir, tmp_path: Path, name: str
) -> None:
    state.session("small", *talk(2))
    import_directory(sqlite_store, state.root)
    with Store.open(sqlite_path, durability="normal") as reader:
        models = WebUIModels(reader, session_dir=tmp_path / "nothing-there" / "sessions")
        moments: list[tuple[dict[str, Any], Any]] = []
        numbers = itertools.count()

        def look() -> None:
            shown = everything_shown(reader, models, tmp_path / f"out-{next(numbers)}")
            is_there = reader.sessions.exists("big")
            moments.append((shown, reader.messages.read("big") if is_there else None))

        look()
        before = moments[0]
        begin(state, name)
        with before_parts(look):
            import_directory(sqlite_store, state.root)
        look()
        assert len(moments) > 5
        after = moments[-1]
        assert after[1] == CHANGES[name][0]
        assert all(moment in (before, after) for moment in moments)
        del moments[:-1]
        change(state, name)
        with before_parts(look):
            import_directory(sqlite_store, state.root)
        look()
        assert len(moments) > 5
        assert moments[-1][1] == CHANGES[name][1]
        assert all(messages in CHANGES[name] for _, messages in moments)
        assert {tuple(shown["list"]) for shown, _ in moments} == {tuple(after[0]["list"])}
        assert {shown["stats"]["messages"] - len(messages) for shown, messages in moments} == {2}


def test_the_webui_shows_a_large_new_file_whole(sqlite_store: Store, state: StateDir) -> None:
    models = WebUIModels(sqlite_store, session_dir=state.sessions)
    assert models.all_sessions() == []
    for version in (0, 1):
        state.session("big", *talk(60, version=version), age=3600.0 - version)
        os.utime(state.sessions, (version, version))  # the folder changed
        with write_costs(sqlite_store) as costs:
            assert [row["message_count"] for row in models.all_sessions()] == [60]
        assert models.get_session("big").messages == talk(60, version=version)
        assert len(costs) > 8
        assert max(cost.rows for cost in costs) <= MOST_ROWS
    assert (staged_ids(sqlite_store), orphans(sqlite_store)) == ([], 0)


def test_delete_empty_keeps_a_session_being_written(sqlite_store: Store, sqlite_path: Path, state: StateDir) -> None:
    with Store.open(sqlite_path, durability="normal") as other:

        def delete() -> None:
            assert other.sessions.delete_empty(older_than=0.0, untitled_only=False) == []

        state.session("big", *talk(60))
        with before_parts(delete):
            import_directory(sqlite_store, state.root)
    assert sqlite_store.messages.count("big") == 60


# ── What the database refuses, or has damaged ──


@pytest.mark.parametrize("exists", [False, True])
@pytest.mark.parametrize(
    ("table", "column", "value"), [("messages", "role", "bad"), ("import_items", "item", "bad.json")]
)
def test_large_sessions_refused_by_the_database_fail_alone(  # noqa: PLR0917 - what is refused
    sqlite_store: Store, state: StateDir, exists: bool, table: str, column: str, value: str
) -> None:
    before, after = talk(30), [*talk(30, version=1), {"role": "bad"}]
    if exists:
        state.session("bad", *before)
        import_directory(sqlite_store, state.root)
    with writing(sqlite_store) as connection:
        for verb in ("INSERT", "UPDATE"):
            connection.exec_driver_sql(
                f"CREATE TRIGGER refuse_{verb} BEFORE {verb} ON {table} WHEN NEW.{column} = '{value}' "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
    state.session("bad", *after, age=1800.0)
    for name in ("a", "z"):
        state.session(name, *talk(30))
    items = by_name(import_directory(sqlite_store, state.root))
    assert items["bad.json"].outcome == "failed"
    assert items["bad.json"].reason.startswith("the database refused it: ")
    assert {items[name].outcome.value for name in ("a.json", "z.json")} == {"imported"}
    if exists:
        assert sqlite_store.messages.read("bad") == before
    assert sqlite_store.sessions.count() == 2 + exists
    assert (staged_ids(sqlite_store), orphans(sqlite_store)) == ([], 0)
    with writing(sqlite_store) as connection:
        for verb in ("INSERT", "UPDATE"):
            connection.exec_driver_sql(f"DROP TRIGGER refuse_{verb}")
    assert outcomes(import_directory(sqlite_store, state.root))["bad.json"] == ("updated" if exists else "imported")
    assert sqlite_store.messages.read("bad") == after


def test_large_sessions_damaged_in_the_store_fail_alone(sqlite_store: Store, state: StateDir) -> None:
    for name in ("bad", "good"):
        state.session(name, *talk(30), draft="first")
    import_directory(sqlite_store, state.root)
    with writing(sqlite_store) as connection:
        bad = "(SELECT id FROM sessions WHERE session_id = 'bad')"
        connection.exec_driver_sql(f"UPDATE session_extras SET payload = x'7b22' WHERE session_id = {bad}")
    for name in ("bad", "good"):
        state.session(name, *talk(30, version=1), age=60)
    items = by_name(import_directory(sqlite_store, state.root))
    assert (items["bad.json"].outcome, items["good.json"].outcome) == ("failed", "updated")
    assert "'bad' is damaged in the database" in items["bad.json"].reason


# ── What refers to a session whose messages were exchanged ──


def test_references_to_a_session_remain_after_an_exchange(sqlite_store: Store, state: StateDir) -> None:
    store = sqlite_store
    state.session("big", *talk(60), parent_session_id="old")
    state.session("old", "hi")
    state.session("child", "hi", parent_session_id="big")
    import_directory(store, state.root)
    store.sessions.change_id("big", "renamed")
    first = store.sessions.get("renamed")
    for version in (1, 2):
        state.session("big", *talk(60, version=version), parent_session_id="old", age=1800.0 - version)
        found = outcomes(import_directory(store, state.root))
        assert found == {"big.json": "updated", "old.json": "unchanged", "child.json": "unchanged"}
    record = store.sessions.get("renamed")
    assert record.revision > first.revision
    assert record.transcript_revision > first.revision
    assert (record.parent_id, store.sessions.get("child").parent_id) == ("old", "renamed")
    with pytest.raises(NotFoundError, match="now called 'renamed'"):
        store.sessions.get("big")
    assert store.messages.read("renamed") == talk(60, version=2)
    assert set(outcomes(import_directory(store, state.root)).values()) == {"unchanged"}
    store.sessions.delete("renamed")
    store.sessions.purge("renamed")
    assert store.sessions.get("child").parent_id is None
    assert outcomes(import_directory(store, state.root))["big.json"] == "skipped"


def test_an_exchange_refuses_writers_with_an_old_revision(sqlite_store: Store, state: StateDir) -> None:
    state.session("big", *talk(60))
    import_directory(sqlite_store, state.root)
    revision = sqlite_store.sessions.get("big").revision
    state.session("big", *talk(60, version=1), age=1800.0)
    import_directory(sqlite_store, state.root)
    with pytest.raises(StaleSessionError, match="revision"):
        sqlite_store.messages.update("big", 5, "mine", expected_revision=revision)
    with pytest.raises(StaleSessionError, match="revision"):
        sqlite_store.messages.replace("big", ["mine"], expected_revision=revision)
    assert sqlite_store.messages.append("big", "more").first_position == 60


def test_a_live_session_goes_on_after_an_exchange(sqlite_store: Store, state: StateDir, tmp_path: Path) -> None:
    state.session("big", *talk(60))
    import_directory(sqlite_store, state.root)
    models = WebUIModels(sqlite_store, session_dir=tmp_path / "nothing-there" / "sessions")
    whole = models.get_session("big")
    assert len(whole.messages) == 60
    part = models.get_session("big", metadata_only=True)
    state.session("big", *talk(60, version=1), age=1800.0)
    import_directory(sqlite_store, state.root)
    whole.title = "Rome"
    whole.save()
    assert sqlite_store.sessions.get("big").title == "Rome"
    assert sqlite_store.messages.read("big") == talk(60, version=1)
    assert part.messages == talk(60, version=1)
    assert staged_ids(sqlite_store) == []


def test_an_export_includes_a_session_exchanged_meanwhile(sqlite_store: Store, state: StateDir, tmp_path: Path) -> None:
    state.session("big", *talk(60), updated_at=1.7e9)
    state.session("first", "hi", updated_at=1.8e9)
    import_directory(sqlite_store, state.root)

    def change_big(progress: Any) -> None:
        if progress.session_id == "first":
            state.session("big", *talk(60, version=1), updated_at=1.7e9, age=1800.0)
            import_directory(sqlite_store, state.root)

    report = export_directory(sqlite_store, tmp_path / "out", on_progress=change_big)
    assert (report.sessions, report.messages, report.problems) == (2, 61, [])
