"""The agent's sessions as the WebUI has them: what is there, and no error whatever is wrong with its file."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import AgentBridge, SessionDeletedError, Store
from hermes_store.agent.combined_listing import list_combined
from hermes_store.webui import WebUIModels
from tests.support.agent import foreign
from tests.support.agent import writers as agent_writers
from tests.support.agent.agentdb import AgentDb
from tests.support.agent.home import COOKING, FISH, LANTERN, LANTERN_2, NAS, SENSORS, SHOWN, listed, make_home
from tests.support.processes import output, run_function
from tests.support.threads import together
from tests.support.webui.sessions import KEYS, contents, stored, warnings_of
from tests.support.webui.standin import WebUI

#: What the WebUI of that time showed of them.
OLD_KEYS = {*KEYS[: KEYS.index("profile") + 1], "source_tag", "is_cli_session"}


@pytest.fixture
def agent(webui: WebUI) -> AgentDb:
    """The example home's file."""
    return make_home(webui.home)


# ── What is there ──


def test_the_conversations_are_listed_the_last_active_first(models: WebUIModels, agent: AgentDb) -> None:
    before = agent.bytes()
    rows = models.get_cli_sessions()
    assert [row["session_id"] for row in rows] == SHOWN
    assert [row["updated_at"] for row in rows] == sorted((row["updated_at"] for row in rows), reverse=True)
    assert agent.bytes() == before


def test_a_row_has_all_former_keys_and_more(models: WebUIModels, webui: WebUI, agent: AgentDb) -> None:
    rows = {row["session_id"]: row for row in models.get_cli_sessions()}
    for row in rows.values():
        assert row.keys() > OLD_KEYS
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode()
    fish = rows[FISH]
    [(started, model, count)] = agent.sql("SELECT started_at, model, message_count FROM sessions WHERE id = ?", FISH)
    [(last,)] = agent.sql("SELECT max(timestamp) FROM messages WHERE session_id = ?", FISH)
    assert {key: fish[key] for key in OLD_KEYS} == {
        "session_id": FISH,
        "title": "Prompt for the fish shell",
        "workspace": "/srv/last",
        "model": model,
        "message_count": count,
        "created_at": started,
        "updated_at": last,
        "pinned": False,
        "archived": False,
        "project_id": None,
        "profile": "default",
        "source_tag": "cli",
        "is_cli_session": True,
    }
    assert (rows[LANTERN_2]["lineage"], rows[COOKING]["source_tag"]) == ([LANTERN, LANTERN_2], "telegram")


def test_untitled_agent_session_is_named_by_its_source(models: WebUIModels, agent: AgentDb) -> None:
    agent.begin("wordless", source="discord", message_count=1)
    agent.sql("INSERT INTO messages (session_id, role, content, timestamp) VALUES ('wordless', 'assistant', 'hm', 2e9)")
    assert models.get_cli_sessions()[0]["title"] == "Discord Session"


@pytest.mark.slow
def test_no_more_than_two_hundred_are_listed(models: WebUIModels, agent: AgentDb) -> None:
    for number in range(200):
        agent.begin(f"more{number}", "hello")
    agent.sql("UPDATE messages SET timestamp = 2e9 + id WHERE session_id LIKE 'more%'")
    rows = models.get_cli_sessions()
    assert len(rows) == 200
    assert NAS not in {row["session_id"] for row in rows}


def test_the_messages_of_a_conversation_are_read(models: WebUIModels, agent: AgentDb) -> None:
    messages = models.get_cli_session_messages(FISH)
    expected = agent.sql(
        "SELECT role, content, timestamp FROM messages WHERE session_id = ? AND active ORDER BY id", FISH
    )
    assert expected
    assert [(one["role"], one["content"], one["timestamp"]) for one in messages] == expected
    assert models.get_cli_session_messages("nobody") == []


def test_messages_have_the_keys_that_they_always_had(models: WebUIModels, agent: AgentDb) -> None:
    """The WebUI adds what is new to a session that it imported if the messages that it has are equal."""
    plain = models.get_cli_session_messages(FISH)
    assert all(list(message) == ["role", "content", "timestamp"] for message in plain)
    details = models.get_cli_session_messages(FISH, details=True)
    assert [{key: message.get(key) for key in plain[0]} for message in details] == plain
    assert all("_state_db_row_id" in message for message in details)
    before = json.loads(json.dumps(plain))
    imported = models.import_cli_session(FISH, "Fish", plain, parent_session_id=NAS, is_cli_session=True)
    agent.sql("INSERT INTO messages (session_id, role, content, timestamp) VALUES (?, 'user', 'more', 2e9)", FISH)
    fresh = models.get_cli_session_messages(FISH)
    assert fresh[: len(imported.messages)] == imported.messages == before
    assert fresh[-1]["content"] == "more"
    assert (imported.parent_session_id, imported.is_cli_session) == (NAS, True)


def test_conversations_of_one_source_are_listed(models: WebUIModels, agent: AgentDb) -> None:
    rows = models.get_cli_sessions()
    for source in {row["source_tag"] for row in rows}:
        assert models.get_cli_sessions(source) == [row for row in rows if row["source_tag"] == source]
    assert models.get_cli_sessions("no such source") == []


def test_conversations_of_all_profiles_are_listed(
    models: WebUIModels, webui: WebUI, agent: AgentDb, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = make_home(tmp_path / "work")
    work.sql("UPDATE sessions SET id = 'w' || id, parent_session_id = 'w' || parent_session_id")
    work.sql("UPDATE messages SET session_id = 'w' || session_id, timestamp = timestamp + 0.5")
    webui.homes = {"default": webui.home, "work": tmp_path / "work", "gone": tmp_path / "gone"}
    rows = models.get_cli_sessions(all_profiles=True)
    assert len(rows) == 2 * len(models.get_cli_sessions())
    assert {row["profile"] for row in rows if row["session_id"].startswith("w")} == {"work"}
    assert {row["profile"] for row in rows if not row["session_id"].startswith("w")} == {"default"}
    assert [row["updated_at"] for row in rows] == sorted((row["updated_at"] for row in rows), reverse=True)
    assert models.get_cli_session_messages(f"w{FISH}") == []
    assert models.get_cli_session_messages(f"w{FISH}", profile="work")
    assert models.delete_cli_session(f"w{FISH}", profile="work")
    assert models.get_cli_session_messages(f"w{FISH}", profile="work") == []
    assert not warnings_of(caplog)
    assert models.get_cli_session_messages(FISH, profile="unknown") == []
    assert "no agent's home of profile 'unknown'" in caplog.text


def test_values_that_json_cannot_say_break_no_row(models: WebUIModels, agent: AgentDb) -> None:
    agent.sql("UPDATE sessions SET estimated_cost_usd = 9e999, title = CAST(x'67ff' AS TEXT) WHERE id = ?", FISH)
    rows = models.get_cli_sessions()
    assert {row["session_id"] for row in rows} == set(SHOWN)
    json.dumps(rows, ensure_ascii=False, allow_nan=False).encode()


def test_home_profile_and_workspace_are_read_each_call(
    models: WebUIModels, webui: WebUI, agent: AgentDb, tmp_path: Path
) -> None:
    other = make_home(tmp_path / "other" / "profiles" / "work")
    other.sql("DELETE FROM messages WHERE session_id != ?", NAS)
    assert len(listed(models)) == len(SHOWN)
    webui.home, webui.profile, webui.last_workspace = other.path.parent, "work", "/srv/work"
    [row] = models.get_cli_sessions()
    assert (row["session_id"], row["profile"], row["workspace"]) == (NAS, "work", "/srv/work")
    assert models.get_cli_session_messages(FISH) == []
    assert models.delete_cli_session(NAS) is True
    assert models.get_cli_sessions() == []
    webui.home = agent.path.parent
    assert set(listed(models)) == {*SHOWN} - {NAS}  # the same conversation, in a copy of its file


def test_the_home_defaults_to_the_environment_variable(
    webui: WebUI, agent: AgentDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = WebUIModels(webui.store)
    monkeypatch.setenv("HERMES_HOME", str(webui.home / "nowhere"))
    assert models.get_cli_sessions() == []
    monkeypatch.setenv("HERMES_HOME", str(webui.home))
    assert len(listed(models)) == len(SHOWN)


# ── Whatever is wrong ──


def nothing(path: Path) -> None:
    path.unlink()


def no_home(path: Path) -> None:
    shutil.rmtree(path.parent)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("Dear agent, please remember everything.\n" * 400)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def zeroed(path: Path) -> None:
    good = path.read_bytes()
    path.write_bytes(good[:100] + bytes(len(good) - 100))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def foreign_tables(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE sessions (name TEXT)")


#: The damage, and how many warnings a call gives at first.
BROKEN: dict[Callable[[Path], None], int] = {
    nothing: 0,
    no_home: 0,
    empty: 1,
    text: 1,
    half: 1,
    zeroed: 1,
    folder: 1,
    pipe: 1,
    foreign_tables: 1,
}


def fingerprint(path: Path) -> Any:
    return path.read_bytes() if path.is_file() else sorted(path.parent.glob("*"))


@pytest.mark.parametrize("damage", BROKEN)
def test_unreadable_file_is_no_error_and_logged_once(
    models: WebUIModels, agent: AgentDb, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    damage(agent.path)
    before = fingerprint(agent.path)
    calls: list[tuple[str, Callable[[], Any], Any]] = [
        ("listed", models.get_cli_sessions, []),
        ("read", lambda: models.get_cli_session_messages(FISH), []),
        ("deleted", lambda: models.delete_cli_session(FISH), False),
    ]
    for verb, call, otherwise in calls:
        assert call() == otherwise
        said_first = warnings_of(caplog)
        assert len(said_first) == BROKEN[damage]
        assert all(f"not {verb}: " in one for one in said_first)
        assert all(str(agent.path) in one for one in said_first if verb != "deleted")
        with caplog.at_level(logging.DEBUG, logger="hermes_store.webui"):
            assert call() == otherwise
            assert len(caplog.records) == BROKEN[damage]
        assert warnings_of(caplog) == []
    assert fingerprint(agent.path) == before


@pytest.mark.slow
def test_an_unreadable_file_is_logged_without_an_error() -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders keep other users out
        home = Path(place)
        path = make_home(home).path
        path.chmod(0)
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)  # whom the child is then
        home.chmod(0o755)
        done = run_function(foreign.read_as_webui, home, FISH)
    assert json.loads(output(done)) == [[], [], False]
    assert done.stderr.count("WARNING") == 3
    assert "Read it as the user whom the agent runs as" in done.stderr


def test_another_cause_is_logged_as_well(models: WebUIModels, agent: AgentDb, caplog: pytest.LogCaptureFixture) -> None:
    for damage in (text, empty, text):
        damage(agent.path)
        assert models.get_cli_sessions() == []
    assert len(warnings_of(caplog)) == 2


@pytest.mark.slow
def test_locked_file_is_no_error_and_returns_later(
    models: WebUIModels, agent: AgentDb, caplog: pytest.LogCaptureFixture
) -> None:
    with agent_writers.running("lock", agent.path):
        rows, messages = together(models.get_cli_sessions, lambda: models.get_cli_session_messages(FISH))
    assert (rows, messages) == ([], [])
    assert len(warnings_of(caplog)) == 2
    assert set(listed(models)) == set(SHOWN)
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("home", ["~no-such-user-there/x", "nul\x00", "half \ud83d", "x" * 5000, "", 5, b"\xff"])
def test_an_invalid_home_is_no_error(models: WebUIModels, webui: WebUI, home: Any) -> None:
    webui.home = home
    assert models.get_cli_sessions() == models.get_cli_session_messages(FISH) == []
    assert models.delete_cli_session(FISH) is False


@pytest.mark.parametrize(
    "sid", ["nobody", "", None, 5, ["x"], {"x": 1}, "half \ud83d", "nul \x00", "x" * 100_000, "' OR 1=1"]
)
def test_an_unknown_or_invalid_id_is_no_error(models: WebUIModels, agent: AgentDb, sid: Any) -> None:
    before = agent.bytes()
    assert models.get_cli_session_messages(sid) == []
    assert models.delete_cli_session(sid) is False
    assert agent.bytes() == before


def test_a_question_that_fails_is_no_error(webui: WebUI, agent: AgentDb, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Any:
        raise RuntimeError("no profile is chosen")

    for question in ("hermes_home", "active_profile", "last_workspace"):
        home: dict[str, Any] = {"hermes_home": lambda: webui.home, question: broken}
        assert WebUIModels(webui.store, **home).get_cli_sessions() == []
        assert len(warnings_of(caplog)) == 1


def test_a_store_that_is_closed_is_no_error(models: WebUIModels, webui: WebUI, agent: AgentDb) -> None:
    webui.store.close()
    assert models.get_cli_sessions() == []


# ── Deleting ──


def test_a_session_is_deleted_from_the_agent_file(models: WebUIModels, agent: AgentDb) -> None:
    assert models.delete_cli_session(FISH) is True
    assert set(listed(models)) == set(SHOWN) - {FISH}
    assert agent.sql("SELECT count(*) FROM messages WHERE session_id = ?", FISH) == [(0,)]
    assert agent.sql("SELECT count(*) FROM sessions") == [(8,)]
    assert agent.sql("PRAGMA foreign_key_check") == []
    assert models.delete_cli_session(FISH) is False


@pytest.mark.parametrize("sid", [COOKING, SENSORS])
def test_a_live_session_is_hidden_not_deleted(models: WebUIModels, webui: WebUI, agent: AgentDb, sid: str) -> None:
    before = agent.bytes()
    assert models.delete_cli_session(sid) is True
    assert agent.bytes() == before
    for process in (models, webui.models()):
        assert set(listed(process)) == {*SHOWN} - {sid}
        assert process.get_cli_session_messages(sid) == []
    assert models.delete_cli_session(sid) is False  # it was deleted already
    with pytest.raises(SessionDeletedError):
        models.import_cli_session(sid, "Back", [{"role": "user", "content": "again"}])


@pytest.mark.parametrize("table", ["compression_locks", "session_turn_leases"])
def test_a_session_that_the_agent_holds_is_hidden(models: WebUIModels, agent: AgentDb, table: str) -> None:
    column = "session_id" if table == "compression_locks" else "conversation_id"
    agent.sql(f"DROP TABLE IF EXISTS {table}")
    agent.sql(f"CREATE TABLE {table} ({column} TEXT, expires_at REAL)")
    agent.sql(f"INSERT INTO {table} VALUES (?, 4e9)", FISH)
    before = agent.bytes()
    assert models.delete_cli_session(FISH) is True
    assert agent.bytes() == before
    assert FISH not in listed(models)
    agent.sql(f"DELETE FROM {table}")
    assert models.delete_cli_session(FISH) is True  # now from the file as well
    assert agent.sql("SELECT count(*) FROM messages WHERE session_id = ?", FISH) == [(0,)]


def test_no_import_brings_a_deleted_session_back(models: WebUIModels, webui: WebUI, agent: AgentDb) -> None:
    assert models.delete_cli_session(SENSORS) is True
    bridge = AgentBridge(home=webui.home, store=webui.store)
    assert bridge.import_session(SENSORS).outcome == "skipped"
    assert not webui.store.sessions.exists(SENSORS)
    assert SENSORS not in [session.session_id for session in list_combined(webui.store, bridge).items]


def test_an_imported_and_deleted_session_cannot_be_read(models: WebUIModels, webui: WebUI, agent: AgentDb) -> None:
    AgentBridge(home=webui.home, store=webui.store).import_session(COOKING)
    assert models.get_cli_session_messages(COOKING) != []
    assert models.delete_session(COOKING) is True
    assert models.delete_cli_session(COOKING) is False  # what was to be hidden is
    assert models.get_cli_session_messages(COOKING) == []
    assert COOKING not in listed(models)


def test_a_conversation_is_deleted_with_all_its_sessions(models: WebUIModels, agent: AgentDb) -> None:
    assert models.delete_cli_session(LANTERN_2) is True
    assert agent.sql("SELECT count(*) FROM messages WHERE session_id IN (?, ?)", LANTERN, LANTERN_2) == [(0,)]
    assert set(listed(models)) == {*SHOWN} - {LANTERN_2}


def test_a_missing_session_keeps_no_other_from_deletion(webui: WebUI, agent: AgentDb) -> None:
    calls = itertools.count()

    def store() -> Store:
        """Return the store; the agent prunes the last session when the conversation is known and about to be hidden."""
        if next(calls) == 1:
            agent.sql("DELETE FROM messages WHERE session_id = ?", LANTERN_2)
            agent.sql("DELETE FROM sessions WHERE id = ?", LANTERN_2)
        return webui.store

    assert WebUIModels(store, hermes_home=lambda: webui.home).delete_cli_session(LANTERN_2) is True
    assert agent.sql("SELECT count(*) FROM sessions WHERE id IN (?, ?)", LANTERN, LANTERN_2) == [(0,)]


def test_a_hidden_conversation_that_goes_on_stays_hidden(models: WebUIModels, agent: AgentDb) -> None:
    assert models.delete_cli_session(COOKING) is True
    agent.sql("UPDATE sessions SET ended_at = 2e9, end_reason = 'compression' WHERE id = ?", COOKING)
    agent.begin("later", "goes on", parent_session_id=COOKING)
    assert not {COOKING, "later"} & {*listed(models)}


def test_delete_cli_session_ignores_sessions_of_the_webui(models: WebUIModels, agent: AgentDb) -> None:
    stored(models, "webui-only", "hello")
    before = agent.bytes()
    assert models.delete_cli_session("webui-only") is False
    assert agent.bytes() == before
    assert contents(models, "webui-only") == ["hello"]
