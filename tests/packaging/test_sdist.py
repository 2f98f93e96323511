"""The source distribution has what a packager needs, and the page of the package has links that lead somewhere."""

from __future__ import annotations

import email
import re
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.building import MORE, SOURCES, copy_sources, run_clean
from tests.support.paths import ROOT

REPOSITORY = "https://github.com/hermes-store/hermes-store/blob/main/"
#: Where the files themselves are, for images.
CONTENT = "https://raw.githubusercontent.com/hermes-store/hermes-store/main/"


def links(text: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", text)


def test_readme_links_are_absolute_and_lead_to_files() -> None:
    found = links((ROOT / "README.md").read_text(encoding="utf-8"))
    assert [link for link in found if not link.startswith("https://")] == []
    for start, least in ((REPOSITORY, 6), (CONTENT, 2)):
        ours = [link.removeprefix(start).partition("#")[0] for link in found if link.startswith(start)]
        assert len(ours) >= least
        assert [path for path in ours if not (ROOT / path).exists()] == []


@pytest.mark.slow
def test_the_source_distribution_is_complete_and_passes_tests(tmp_path: Path) -> None:
    source = copy_sources(tmp_path / "source", *SOURCES, *MORE)
    run_clean(sys.executable, "-m", "build", "--sdist", "--outdir", tmp_path / "dist", source, cwd=tmp_path)
    [built] = (tmp_path / "dist").iterdir()
    with tarfile.open(built) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    [root] = (tmp_path / "out").iterdir()
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    expected = {
        path.relative_to(ROOT).as_posix()
        for name in (*SOURCES, *MORE)
        for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and ".hypothesis" not in path.parts
    }
    assert expected - there == set()
    description = email.message_from_bytes((root / "PKG-INFO").read_bytes()).get_payload()
    assert [link for link in links(str(description)) if not link.startswith("https://")] == []
    tests = ["tests/properties/test_records.py", "tests/cli/test_times.py", "tests/contract/test_clock.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-k", "not postgresql", *tests]
    said = run_clean(*command, cwd=root, PYTHONPATH=str(root))
    assert " passed" in said
