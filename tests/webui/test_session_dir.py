"""`session_dir`: JSON files that are there at first, or appear later, are taken in; nothing in there is written."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hermes_store.files import importing
from hermes_store.webui import WebUIModels, folder_import
from tests.support.state_dir import StateDir, fingerprint, session
from tests.support.webui.sessions import contents, said, stored, warnings_of
from tests.support.webui.standin import WebUI
from tests.support.webui.verbs import elsewhere

HELLO = {"role": "user", "content": "hello"}


@pytest.fixture
def state(tmp_path: Path, webui: WebUI) -> StateDir:
    """A state directory of the WebUI, which the functions are given."""
    state = StateDir(tmp_path / "webui")
    webui.session_dir = state.sessions
    return state


def settle(state: StateDir) -> None:
    """Let the folder be one that has not changed for long, as far as its time tells."""
    moment = time.time() - 600
    os.utime(state.sessions, (moment, moment))


@pytest.fixture
def settled(state: StateDir, models: WebUIModels) -> StateDir:
    """A folder with one session in it that was taken in long after it had changed last."""
    state.session("first", HELLO)
    settle(state)
    assert ids(models) == ["first"]
    return state


def ids(models: WebUIModels) -> list[str]:
    return sorted(row["session_id"] for row in models.all_sessions())


def drop(webui: WebUI, state: StateDir, session_id: str, **fields: Any) -> None:
    """Let another process put a session's file into the folder."""
    text = json.dumps(session(session_id, HELLO, **fields))
    elsewhere("write_file", webui.store, str(state.sessions / f"{session_id}.json"), text)


#: What is told of each file that is opened and each folder that is listed. (An audit hook cannot be taken away.)
_listeners: list[Callable[[str, Path], None]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _listeners and event in {"open", "os.scandir", "os.listdir"}:
        place = arguments[0]
        for listener in _listeners if isinstance(place, str | bytes | os.PathLike) else ():
            listener(event, Path(os.fsdecode(place)))


sys.addaudithook(_audit)


@contextmanager
def audited(folder: Path, then: Callable[[str, str], None] = lambda event, name: None) -> Iterator[Counter[str]]:
    """Count how often files of a folder are opened and folders listed there, and do something more at each."""
    events: Counter[str] = Counter()

    def note(event: str, place: Path) -> None:
        if place.is_relative_to(folder):
            events[event] += 1
            then(event, place.name)

    _listeners.append(note)
    try:
        yield events
    finally:
        _listeners.remove(note)


# ── At first ──


def test_the_first_call_imports_and_logs_existing_files(
    models: WebUIModels, state: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    state.projects([{"project_id": "p1", "name": "P", "color": None, "created_at": 1.0}])
    state.session("one", HELLO, project_id="p1", title="One")
    state.session("two", HELLO, HELLO, tool_calls=[1])
    with caplog.at_level(logging.INFO, logger="hermes_store.webui"):
        assert ids(models) == ["one", "two"]
    [said] = [record.getMessage() for record in caplog.records if record.name == "hermes_store.webui"]
    assert str(state.sessions) in said
    assert "3 imported" in said
    assert models.get_session("one").project_id == models.load_projects()[0]["project_id"] == "p1"
    assert (models.get_session("two").tool_calls, contents(models, "two")) == ([1], ["hello", "hello"])


VIEWS: dict[str, Callable[[WebUIModels], Any]] = {
    "all_sessions": lambda models: {row["session_id"] for row in models.all_sessions()} >= {"late"},
    "get_session": lambda models: models.get_session("late").messages == [HELLO],
    "metadata_only": lambda models: models.get_session("late", metadata_only=True).messages == [HELLO],
    "load": lambda models: models.Session.load("late").messages == [HELLO],
    "load_metadata_only": lambda models: models.Session.load_metadata_only("late").title == "Session late",
    "load_projects": lambda models: [one["project_id"] for one in models.load_projects()] == ["p1"],
    "delete_session": lambda models: models.delete_session("late"),
    "discard_session": lambda models: models.discard_session("late"),
    "rotate_session_id": lambda models: models.rotate_session_id("late", "later"),
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("later", [False, True], ids=["at first", "later"])
def test_a_file_shows_up_wherever_somebody_looks(
    models: WebUIModels, webui: WebUI, state: StateDir, view: str, later: bool
) -> None:
    if later:
        state.session("first", HELLO)
        settle(state)
        assert ids(models) == ["first"]
    state.projects([{"project_id": "p1", "name": "P"}])
    drop(webui, state, "late", project_id="p1")
    assert VIEWS[view](models)


def test_an_empty_session_that_appears_is_cleaned_up(models: WebUIModels, webui: WebUI, settled: StateDir) -> None:
    settled.session("blank", title="Untitled")
    assert models.cleanup_sessions() == 1


# ── Afterwards ──


def test_an_unchanged_folder_is_neither_listed_nor_read(models: WebUIModels, webui: WebUI, settled: StateDir) -> None:
    with audited(settled.root) as events:
        for _ in range(3):
            models.all_sessions()
            models.load_projects()
            models.get_session("first")
            assert models.Session.load("nobody") is None
        assert events == {}
        drop(webui, settled, "late")
        models.all_sessions()
        assert events["os.scandir"] >= 1
        assert events["open"] == 1, "what was taken in before is not read again"


def test_a_file_of_the_same_tick_is_imported(models: WebUIModels, webui: WebUI, state: StateDir) -> None:
    state.session("first", HELLO)
    tick = time.time_ns()
    os.utime(state.sessions, ns=(tick, tick))
    assert ids(models) == ["first"]
    drop(webui, state, "late")
    os.utime(state.sessions, ns=(tick, tick))
    assert ids(models) == ["first", "late"]


def test_a_file_of_the_same_second_is_imported(models: WebUIModels, webui: WebUI, state: StateDir) -> None:
    second = int(time.time())
    for name in ("first", "late"):
        drop(webui, state, name)
        os.utime(state.sessions, (second, second))
        models.all_sessions()
    assert ids(models) == ["first", "late"]


def test_a_file_that_appears_during_import_is_imported(models: WebUIModels, webui: WebUI, state: StateDir) -> None:
    """It appears after the folder was listed, in the tick of the clock in which the folder had changed last."""
    state.session("first", HELLO)
    tick = time.time_ns()
    os.utime(state.sessions, ns=(tick, tick))
    appeared: list[bool] = []

    def appear(event: str, name: str) -> None:
        if event == "open" and not appeared and name == "first.json":
            appeared.append(True)
            state.session("late", HELLO)
            os.utime(state.sessions, ns=(tick, tick))
            time.sleep(0.2)  # the import is a long one

    with audited(state.sessions, appear):
        models.all_sessions()
    assert appeared
    assert ids(models) == ["first", "late"]


def test_file_changed_by_an_older_process_is_imported(models: WebUIModels, webui: WebUI, settled: StateDir) -> None:
    cached = models.get_session("first")
    drop(webui, settled, "first", title="Newer")
    assert [row["title"] for row in models.all_sessions()] == ["Newer"]
    assert models.get_session("first") is not cached
    assert models.get_session("first").title == "Newer"


def test_a_file_does_not_overwrite_a_changed_session(
    models: WebUIModels, webui: WebUI, settled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    here = models.get_session("first")
    here.title = "Mine"
    here.save()
    drop(webui, settled, "first", title="Theirs")
    for _ in range(3):
        assert [row["title"] for row in models.all_sessions()] == ["Mine"]
    [said] = warnings_of(caplog)
    assert "first.json was conflict" in said


def test_the_folder_is_asked_for_at_each_call(
    models: WebUIModels, webui: WebUI, settled: StateDir, tmp_path: Path
) -> None:
    other = StateDir(tmp_path / "other")
    other.session("second", HELLO)
    settle(other)
    webui.session_dir = None
    assert ids(models) == ["first"]
    webui.session_dir = other.sessions
    assert ids(models) == ["first", "second"]
    for folder, name in ((settled, "third"), (other, "fourth")):
        webui.session_dir = folder.sessions
        drop(webui, folder, name)
        assert name in ids(models)


# ── Trouble ──


def test_damaged_files_are_logged_once_and_block_nothing(
    models: WebUIModels, state: StateDir, webui: WebUI, caplog: pytest.LogCaptureFixture
) -> None:
    whole = json.dumps(session("torn", HELLO, HELLO)).encode()
    for name, body in {"empty": b"", "text": b"hello", "list": b"[1]", "latin": b'{"title": "\xe9'}.items():
        state.write(f"{name}.json", body)
    state.write("torn.json", whole[:-30])
    (state.root / "projects.json").write_text("[{")
    state.session("good", HELLO)
    for _ in range(3):
        assert {"good", "torn"} <= set(ids(models))
        assert models.get_session("good").messages == [HELLO]
        assert models.load_projects() == []
    said = warnings_of(caplog)
    assert sorted(Path(one.split(" was ")[0]).name for one in said) == sorted(
        ["empty.json", "text.json", "list.json", "latin.json", "torn.json", "projects.json"]
    )
    drop(webui, state, "another")
    assert "another" in ids(models)
    assert warnings_of(caplog) == []


@pytest.mark.parametrize("verb", ["delete_session", "discard_session"])
def test_a_file_does_not_restore_a_deleted_session(
    models: WebUIModels, webui: WebUI, settled: StateDir, verb: str
) -> None:
    assert getattr(models, verb)("first") is True
    drop(webui, settled, "late")
    drop(webui, settled, "first", title="Back again")
    assert ids(models) == ["late"]
    assert models.Session.load("first") is None
    second = webui.models()  # a process that starts now
    assert ids(second) == ["late"]


def test_a_former_id_in_a_file_stays_retired(models: WebUIModels, webui: WebUI, settled: StateDir) -> None:
    assert models.rotate_session_id("first", "second") is True
    drop(webui, settled, "late")
    assert ids(models) == ["late", "second"]
    assert ids(webui.models()) == ["late", "second"]


def test_a_folder_that_appears_later_is_imported(models: WebUIModels, webui: WebUI, tmp_path: Path) -> None:
    webui.session_dir = tmp_path / "later" / "sessions"
    stored(models, "ours", "hello")
    assert ids(models) == ["ours"]
    assert not webui.session_dir.parent.exists()
    StateDir(tmp_path / "later").session("late", HELLO)
    assert ids(models) == ["late", "ours"]


def test_a_missing_folder_removes_nothing_and_may_return(models: WebUIModels, webui: WebUI, settled: StateDir) -> None:
    away = settled.sessions.rename(settled.root / "away")
    assert ids(models) == ["first"]
    StateDir(settled.root).session("second", HELLO)
    assert ids(models) == ["first", "second"]
    (settled.sessions / "second.json").unlink()
    settled.sessions.rmdir()
    away.rename(settled.sessions)
    settled.session("third", HELLO)
    assert ids(models) == ["first", "second", "third"]


def test_a_file_replacing_the_folder_is_logged_once(
    models: WebUIModels, settled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    settled.sessions.rename(settled.root / "away")
    settled.sessions.write_text("a file")
    for _ in range(3):
        assert ids(models) == ["first"]
    assert len(warnings_of(caplog)) == 1


def test_nothing_in_the_folder_is_ever_written(models: WebUIModels, webui: WebUI, state: StateDir) -> None:
    state.projects([{"project_id": "p1", "name": "P"}])
    for name in ("one", "two", "three", "four"):
        state.session(name, HELLO, project_id="p1")
    state.session("blank", title="Untitled")
    state.write("torn.json", b'{"session_id": "torn", "messages": [{"role"')
    settle(state)
    before = fingerprint(state.root)
    models.all_sessions()
    live = models.get_session("one")
    assert live.path == state.sessions / "one.json"
    live.title = "Changed"
    live.save()
    models.new_session().save()
    models.delete_session("two")
    models.discard_session("three")
    models.rotate_session_id("four", "five")
    models.cleanup_sessions(zero_only=True)
    models.save_projects([])
    models._write_session_index()
    assert ids(models) == ["five", "one"]
    assert fingerprint(state.root) == before


@pytest.mark.parametrize("ahead", [0.0, 3600.0, 4e8])
def test_a_folder_with_any_time_settles(
    webui: WebUI, state: StateDir, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    models = webui.models()
    imports: list[Any] = []
    original = importing.import_state_directory
    monkeypatch.setattr(
        folder_import, "import_state_directory", lambda *given: imports.append(given) or original(*given)
    )
    state.session("a", *said("hi"))
    moment = time.time() + ahead + 0.123
    os.utime(state.sessions, (moment, moment))
    for _ in range(3):
        assert [row["session_id"] for row in models.all_sessions()] == ["a"]
        time.sleep(0.06)
    count = len(imports)
    models.all_sessions()
    assert len(imports) == count <= 3
    state.session("b", *said("hi"))
    assert {row["session_id"] for row in models.all_sessions()} == {"a", "b"}
