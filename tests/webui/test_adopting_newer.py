"""The module for the newer hermes-webui, as the page shows it, in a stand-in of that version's `api.models`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hermes_store import Store
from tests.support.webui.trash import deleted_ago, trash
from tests.webui.test_adopting_page import PAGE, modules

#: What the page's module uses of `api.models`, with files as far as its own tests need them.
MODELS = """
import logging, os, threading, time
from pathlib import Path

logger, LOCK, SESSIONS, INDEX = logging.getLogger("api"), threading.Lock(), {}, ["old"]
SESSION_DIR = Path(os.environ["HERMES_WEBUI_STATE_DIR"]) / "sessions"


class Session:
    def __init__(self, session_id=None, title="Untitled", workspace="/srv", messages=None, tool_calls=None,
                 profile=None, created_at=None, updated_at=None, pinned=False, input_tokens=0, active_stream_id=None,
                 pending_user_message=None, composer_draft=None, context_messages=None, anchor_activity_scenes=None,
                 parent_session_id=None, project_id=None, **others):
        self.session_id, self.title, self.workspace = session_id or "new", title, str(Path(workspace))
        self.messages, self.tool_calls, self.profile = messages or [], tool_calls or [], profile
        self.created_at, self.updated_at = created_at or time.time(), updated_at or time.time()
        self.pinned, self.input_tokens, self.active_stream_id = pinned, input_tokens, active_stream_id
        self.pending_user_message, self.composer_draft = pending_user_message, composer_draft or {}
        self.context_messages, self.anchor_activity_scenes = context_messages or [], anchor_activity_scenes or {}
        self.parent_session_id, self._metadata_message_count = parent_session_id, None
        self.project_id = project_id

    def compact(self):
        users = sum(message["role"] == "user" for message in self.messages)
        count = len(self.messages) if self._metadata_message_count is None else self._metadata_message_count
        keys = ("session_id", "title", "pinned", "updated_at", "composer_draft", "project_id", "parent_session_id")
        shown = {key: getattr(self, key) for key in keys}
        pending = bool(self.pending_user_message)
        return {**shown, "message_count": count, "user_message_count": users, "last_message_at": self.updated_at,
                "has_pending_user_message": pending}


def is_safe_session_id(sid):
    return bool(sid) and isinstance(sid, str) and "/" not in sid


def _anchor_scene_index_from_records(records):
    return {key: record["updated_at"] for key, record in records.items()}


def _collapse_adjacent_duplicate_partials(messages):
    return messages, False


def get_session_for_scan(sid):
    return SESSIONS.get(sid) or Session.load(sid)


def prune_session_from_index(sid):
    INDEX.remove(sid)


from api import session_store
session_store.install()
"""

#: The cache of the list, which imports `api.models` itself.
LISTS = """
import copy
from api.models import SESSION_DIR

_CACHE = {}


def set_list(key, payload):
    _CACHE[key] = copy.deepcopy(payload)


def get_list(key):
    return copy.deepcopy(_CACHE[key])
"""

IMPORTS = "from api import models, route_session_list_cache as lists\nfrom api.models import Session\n"


@pytest.fixture
def webui(tmp_path: Path) -> Path:
    *_, module = modules()
    (tmp_path / "api").mkdir()
    named = {"__init__": "", "models": MODELS, "route_session_list_cache": LISTS, "session_store": module}
    for name, text in named.items():
        (tmp_path / "api" / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "state" / "sessions").mkdir(parents=True)
    return tmp_path


def run(webui: Path, program: str, *, first: str = "models") -> None:
    """Run a program of the WebUI's in a process of its own, which imports the module `first` of its package first."""
    environment = {**os.environ, "HERMES_WEBUI_STATE_DIR": str(webui / "state")}
    environment["PYTHONPATH"] = ":".join([str(webui), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"import api.{first}\n{IMPORTS}{program}"],
        cwd=webui,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_module_has_at_most_two_hundred_lines() -> None:
    assert len(modules()[-1].splitlines()) <= 200


def test_the_page_has_at_most_twenty_places() -> None:
    heading, table = re.findall(r"^### The (\d+) places$(.*?)^###", PAGE.read_text(encoding="utf-8"), re.M | re.S)[-1]
    rows = [line for line in table.splitlines() if line.startswith("| ")][2:]
    assert len(rows) == int(heading) <= 20


def test_the_module_uses_public_names_only() -> None:
    lines = [line for line in modules()[-1].splitlines() if "hermes_store" in line and "import" in line]
    assert [line.split(" import ")[0] for line in lines] == ["from hermes_store", "from hermes_store.webui"]


@pytest.mark.slow
def test_sessions_are_saved_listed_and_deleted(webui: Path) -> None:
    old = {"session_id": "old", "title": "From a file", "messages": [{"role": "user", "content": "hi"}], "later_key": 1}
    (webui / "state" / "sessions" / "old.json").write_text(json.dumps(old), encoding="utf-8")
    run(
        webui,
        """
s = Session("trip", title="Trip", profile=None, messages=[{"role": "user", "content": "hello"}])
s.save()
assert Session.load("trip").profile is None and Session.load("nobody") is None
part = Session.load_metadata_only("trip")
assert part.messages == [] and part._metadata_message_count == 1
try:
    part.save()
except RuntimeError:
    pass
else:
    raise AssertionError("a part was saved")
part.composer_draft = {"text": "What"}
part.save(only={"composer_draft"}, touch_updated_at=False)
rows = {row["session_id"]: row for row in models.read_session_index()}
assert rows["trip"]["composer_draft"] == {"text": "What"} and rows["old"]["title"] == "From a file"
assert (rows["trip"]["message_count"], rows["trip"]["user_message_count"]) == (1, 1)
assert (rows["old"]["message_count"], rows["old"]["user_message_count"]) == (1, 1)  # as it was imported
old = Session.load("old")
old.title = "Renamed"
old.save()
assert models.read_session("old")["later_key"] == 1
child = Session("child", parent_session_id="trip")
child.save()
models.SESSIONS["child"] = child
child.messages.append({"role": "user", "content": "not saved"})
scanned = {sid: len(found) for sid, found in models.scan_messages(models.read_session_index(), "Hello", 1)}
assert scanned == {"trip": 1, "child": 1}
del models.SESSIONS["child"]
assert models._has_compression_continuation(s) and not models._has_compression_continuation(child)
models.delete_session("child")
models.delete_session("child")
assert not models.session_exists("child") and models.session_ids() == {"trip", "old"}
models.save_projects([{"project_id": "p", "name": "Work", "color": None, "created_at": 1.0}])
assert [project["name"] for project in models.load_projects()] == ["Work"]
""",
    )
    run(webui, "assert Session.load('old').title == 'Renamed' and models._persisted_message_count('trip') == 1")


@pytest.mark.slow
def test_deleted_sessions_are_purged_after_thirty_days(webui: Path) -> None:
    run(
        webui,
        """
for name in ("old", "young", "side-question"):
    Session(name, messages=[{"role": "user", "content": "hello"}]).save()
models.delete_session("old")
models.delete_session("young")
models.discard_session("side-question")
models.discard_session("side-question")
assert models.session_ids() == frozenset()
""",
    )
    store = Store.open(webui / "state" / "sessions.db")
    assert trash(store) == ["old", "young"]
    deleted_ago(store, "old", 30.1)
    run(webui, "Session('last').save(); models.delete_session('last')")
    assert trash(store) == ["last", "young"]
    store.close()


@pytest.mark.slow
def test_two_objects_lose_nothing(webui: Path) -> None:
    run(
        webui,
        """
Session("trip", title="Trip", messages=[{"role": "user", "content": "hello"}]).save()
first, second = Session.load("trip"), Session.load("trip")
second.title, second.input_tokens = "Rome", 5
second.messages.append({"role": "user", "content": "of the second"})
second.save()
assert models._cached_session_lags_disk(first) and not models._cached_session_lags_disk(second)
messages = first.messages
messages.append({"role": "assistant", "content": "an answer"})
first.input_tokens = 7
first.save()
assert first.title == "Rome" and first.input_tokens == 12 and first.messages is messages
assert [message["content"] for message in first.messages] == ["hello", "of the second", "an answer"]
copy = Session.load("trip")
copy.session_id = "snapshot"
copy.save()
copy.session_id = "trip"
copy.messages = copy.messages[:1]
copy.save()
assert len(Session.load("snapshot").messages) == 3 and len(Session.load("trip").messages) == 1
""",
    )


@pytest.mark.slow
def test_the_list_shows_what_anybody_changed(webui: Path) -> None:
    run(
        webui,
        """
from hermes_store import Store
from hermes_store.webui import SessionStorage

def rows():
    return {row["session_id"]: row for row in models.read_session_index()}

models.save_projects([{"project_id": "p", "name": "Work", "color": None, "created_at": 1.0}])
messages = [{"role": "user", "content": "hello"}]
Session("trip", title="Trip", project_id="p", messages=messages).save()
Session("child", title="Child", parent_session_id="trip", messages=messages).save()
assert rows()["trip"]["project_id"] == "p"
rows()["trip"]["title"] = "changed by the caller"
assert rows()["trip"]["title"] == "Trip"
models.save_projects([])
assert rows()["trip"]["project_id"] is None
other = Store.open(models.SESSION_DIR.with_suffix(".db"))
SessionStorage(other).rename_id("trip", "tour")
assert rows()["child"]["parent_session_id"] == "tour" and "trip" not in rows()
storage = SessionStorage(other)
storage.append("tour", [*messages, {"role": "assistant"}], base=storage.load_metadata("tour")[1])
assert (rows()["tour"]["message_count"], rows()["tour"]["user_message_count"]) == (3, 2)
# An earlier version of the module stored the count as a value.
storage.save("tour", {"user_message_count": 9}, base=storage.load_metadata("tour")[1], only={"user_message_count"})
assert rows()["tour"]["user_message_count"] == 2
Session.load("tour").save()
assert rows()["tour"]["user_message_count"] == 2
other.sessions.update("tour", title="Tour")
other.sessions.delete("child")
other.close()
assert [row["title"] for row in rows().values()] == ["Tour"]
""",
    )


@pytest.mark.slow
def test_a_deleted_session_leaves_the_old_index(webui: Path) -> None:
    run(webui, "models.prune_session_from_index('old'); models._write_session_index(); assert models.INDEX == []")


@pytest.mark.slow
@pytest.mark.parametrize("first", ["models", "route_session_list_cache"])
def test_the_cached_list_is_copied_for_each_answer(webui: Path, first: str) -> None:
    run(
        webui,
        """
assert lists.copy.deepcopy.__module__ == "api.session_store"
row = {"title": "Trip", "composer_draft": {"text": "What"}}
lists.set_list("all", {"sessions": [row]})
row["composer_draft"]["text"] = "changed"
lists.get_list("all")["sessions"][0]["composer_draft"]["text"] = "changed as well"
assert lists.get_list("all") == {"sessions": [{"title": "Trip", "composer_draft": {"text": "What"}}]}
""",
        first=first,
    )
