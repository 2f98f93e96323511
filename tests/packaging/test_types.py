"""Type checkers see the library's types where it is installed from a clone, in a user's own script."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.building import SOURCES, copy_sources, install

pytestmark = pytest.mark.slow

GOOD = """
from hermes_store import AgentBridge, Page, SessionRecord, Store

with Store.open("chats.db") as store:
    session: SessionRecord = store.sessions.create(title="Trip")
    page: Page[SessionRecord] = store.sessions.list(limit=10, since=1.0)
    titles: list[str] = [one.title for one in page.items]
    revision: int = store.messages.append(session.session_id, {"role": "user"}).revision
    bridge = AgentBridge(store=store)
    ids: list[str] = bridge.find("2026")
"""
WRONG = """
from hermes_store import Store

with Store.open("chats.db") as store:
    number: int = store.sessions.create(title="Trip").title
    store.sessions.create(titel="Trip")
    store.sessions.list(limit="ten")
"""
CHECKERS = {
    "mypy": ["-m", "mypy", "--strict", "--no-incremental", "--python-executable"],
    "basedpyright": ["-m", "basedpyright", "--level", "error", "--pythonpath"],
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that has the library installed from its sources, editable."""
    folder = tmp_path_factory.mktemp("editable")
    source = copy_sources(folder / "source", *SOURCES)
    return install(folder / "environment", "--editable", source)


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_type_checker_sees_an_editable_install(python: Path, tmp_path: Path, checker: str) -> None:
    (tmp_path / "good.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    command = [sys.executable, *CHECKERS[checker], str(python), "good.py", "wrong.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 1, said
    assert "good.py" not in said
    for line, name in ((5, "int"), (6, "titel"), (7, "limit")):
        assert any(f"wrong.py:{line}" in found and name in found for found in said.splitlines()), said
