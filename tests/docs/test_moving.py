"""The README's way to a server and back, run on a real server; and the WebUI's functions on that store."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hermes_store import Store
from hermes_store.webui import WebUIModels
from tests.support.paths import ROOT
from tests.support.processes import program

pytestmark = pytest.mark.slow
SERVER = "postgresql://localhost/hermes"


def exported(folder: Path) -> dict[str, Any]:
    return {str(path.relative_to(folder)): json.loads(path.read_text("utf-8")) for path in folder.rglob("*.json")}


def test_the_commands_to_a_server_and_back(make_postgres_database: Callable[..., str], tmp_path: Path) -> None:
    url = make_postgres_database(empty=True)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (commands,) = re.findall(r"^```sh\n(hermes-store --db example.db import .*?)^```$", readme, re.M | re.S)
    assert len(commands.splitlines()) == 5
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for line in [*commands.splitlines(), "hermes-store --db example.db export before"]:
        words = [url if word == SERVER else word for word in shlex.split(line, comments=True)]
        done = program(*words[1:], cwd=tmp_path)
        assert done.returncode == 0, (line, done.stderr)
    assert exported(tmp_path / "back") == exported(tmp_path / "before")
    assert len(exported(tmp_path / "back")) > 16
    with Store.open(url) as store:
        models = WebUIModels(store)
        listed = models.all_sessions()
        assert len(listed) > 10
        session = models.get_session(listed[0]["session_id"])
        session.messages.append({"role": "user", "content": "still there?"})
        session.save()
        assert models.get_session(session.session_id).messages[-1]["content"] == "still there?"
        assert store.messages.tail(session.session_id, limit=1).items == session.messages[-1:]
