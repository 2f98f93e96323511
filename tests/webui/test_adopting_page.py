"""The module that docs/adopting-in-hermes-webui.md shows is run as it stands there, in a stand-in of the WebUI."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "adopting-in-hermes-webui.md"

CONFIG = """
import collections, os, threading
from pathlib import Path
STATE_DIR = Path(os.environ["HERMES_WEBUI_STATE_DIR"])
SESSION_DIR = STATE_DIR / "sessions"
SESSION_INDEX_FILE = SESSION_DIR / "_index.json"
SESSIONS, SESSIONS_MAX, LOCK = collections.OrderedDict(), 100, threading.Lock()
STREAMS, STREAMS_LOCK = {}, threading.Lock()
DEFAULT_WORKSPACE = STATE_DIR / "workspace"
get_effective_default_model = lambda: "openai/gpt-5"
"""
PROFILES = """
from api.config import STATE_DIR
get_active_profile_name = lambda: "default"
get_active_hermes_home = lambda: str(STATE_DIR.parent)
"""
WORKSPACE = """
from api.config import DEFAULT_WORKSPACE
get_last_workspace = lambda: str(DEFAULT_WORKSPACE)
"""


def modules() -> list[str]:
    """Return the page's Python: first the module of the older version, last that of the newer one."""
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def webui(tmp_path: Path) -> Path:
    """A directory with the WebUI's package `api` in it, as far as the page's module knows it."""
    module, *_ = modules()
    package = tmp_path / "api"
    package.mkdir()
    for name, text in (
        ("__init__", ""),
        ("config", CONFIG),
        ("profiles", PROFILES),
        ("workspace", WORKSPACE),
        ("models", module),
    ):
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "webui" / "sessions").mkdir(parents=True)
    return tmp_path


def run(webui: Path, program: str) -> str:
    """Run a program of the WebUI's in a process of its own, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=webui,
        env={"HERMES_WEBUI_STATE_DIR": str(webui / "webui"), "PYTHONPATH": ":".join([str(webui), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_module_has_about_thirty_lines(webui: Path) -> None:
    lines = (webui / "api" / "models.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 32


@pytest.mark.slow
def test_the_module_imports_the_files_and_works_afterwards(webui: Path) -> None:
    old = {"session_id": "old1", "title": "From a file", "messages": [{"role": "user", "content": "hi"}]}
    (webui / "webui" / "sessions" / "old1.json").write_text(json.dumps(old), encoding="utf-8")
    printed = run(
        webui,
        """
from api.models import *
from api.config import SESSIONS, STREAMS
from api import models
s = new_session()
s.messages.append({"role": "user", "content": "hello"})
s.active_stream_id = "stream"
s.title = title_from(s.messages)
s.save()
STREAMS["stream"] = object()
assert get_session(s.session_id) is s is SESSIONS[s.session_id]
assert (s.model, s.profile) == ("openai/gpt-5", "default")
for row in all_sessions():
    print(row["title"], row["message_count"], row["is_streaming"])
save_projects([*load_projects(), {"project_id": "p1", "name": "Work", "color": None, "created_at": 1.0}])
assert [project["name"] for project in load_projects()] == ["Work"]
assert get_cli_sessions() == [] and delete_cli_session("nobody") is False
""",
    )
    assert printed.splitlines() == ["hello 1 True", "From a file 1 False"]
    again = run(webui, "from api.models import *\nprint(*(row['title'] for row in all_sessions()), sep='\\n')")
    assert again.splitlines() == ["hello", "From a file"]


@pytest.mark.slow
def test_pointing_the_module_elsewhere_uses_another_database(webui: Path) -> None:
    run(
        webui,
        """
import importlib, pathlib
from api import models
models.Session(session_id="here", title="Here").save()
here = models.SESSION_DIR
models.SESSION_DIR = here.parent.parent / "elsewhere" / "sessions"
models.SESSIONS.clear()
assert models.all_sessions() == [] and models.Session.load("here") is None
models.SESSION_DIR = here
importlib.reload(models)
assert [row["session_id"] for row in models.all_sessions()] == ["here"]
""",
    )


def test_the_page_names_functions_that_there_are(webui: Path) -> None:
    named = set(re.findall(r"`(?:cleaned = )?models\.(\w+)\(", PAGE.read_text(encoding="utf-8")))
    assert len(named) == 6
    run(
        webui,
        f"from api.models import models\nfor name in {sorted(named)!r}:\n    assert callable(getattr(models, name))",
    )
