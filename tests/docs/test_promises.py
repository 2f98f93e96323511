"""What the README says one can rely on is proved by tests that exist, and the page on the proofs names all of them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.proofs.__main__ import LONG
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


def _rows() -> list[list[str]]:
    """The rows of the README's table, as cells."""
    table = README.split("## What you can rely on")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def _tests_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_each_promise_names_tests_that_exist() -> None:
    rows = _rows()
    assert len(rows) >= 8
    for promise, proof, exception in rows:
        assert promise.endswith(".")
        assert exception.endswith(".")
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", proof)
        assert named, promise
        for path, name in named:
            assert name in _tests_of(ROOT / path), f"{path}::{name}"


def test_each_proof_has_its_command_on_the_page() -> None:
    missing = [name for name in LONG if f"python -m tests.proofs {name}" not in PAGE]
    assert missing == []
