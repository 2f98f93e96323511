"""What the README and the documentation show is run here, as it stands there."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.command_line import invoke
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of one language on a page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to stand in that has the examples, and a home directory that is the example home."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copytree(ROOT / "examples" / "hermes-home", tmp_path / "home" / ".hermes")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HERMES_WEBUI_STATE_DIR")
    monkeypatch.delenv("HERMES_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


#: Its Python is a module of the WebUI's; see tests/webui/test_adopting_page.py.
ELSEWHERE = "adopting-in-hermes-webui.md"


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python") and page.name != ELSEWHERE], ids=lambda page: page.name
)
def test_python_blocks_of_a_page_run_in_order(page: Path, home: Path) -> None:
    script = home / "page.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    runpy.run_path(str(script), run_name="__main__")


def test_the_readme_commands_that_move_a_home_work(home: Path) -> None:
    (commands,) = (block for block in blocks(ROOT / "README.md", "sh") if block.startswith("hermes-store import"))
    for line in commands.splitlines():
        words = shlex.split(line, comments=True)
        assert words[0] == "hermes-store"
        done = invoke(words[1:])
        assert done.exit_code == 0, (line, done.stderr)
        assert done.stdout
    assert (home / "home" / ".hermes" / "webui" / "hermes.db").exists()
    assert len(list((home / "backup" / "sessions").glob("*.json"))) == 17  # sixteen sessions and the index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_on_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


def test_the_build_runs_the_commands_of_the_readme() -> None:
    commands = [line for line in blocks(ROOT / "README.md", "sh") if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert all(command.count("\n") == 1 for command in commands)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for pattern in re.findall(r"grep -E '([^']+)' README.md", script):
        assert sum(bool(re.search(pattern, command)) for command in commands) == 1
