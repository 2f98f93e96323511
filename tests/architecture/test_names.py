"""The name of each test says the behaviour that it proves, in few words."""

from __future__ import annotations

import ast
from pathlib import Path

import tests

TESTS = Path(tests.__path__[0])
MOST_WORDS = 8


def test_names_of_tests_have_few_words() -> None:
    names = {
        f"{path.relative_to(TESTS)}::{node.name}"
        for path in TESTS.rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    assert len(names) > 2_000
    long = {name for name in names if name.count("_", name.index("::test_") + len("::test_")) >= MOST_WORDS}
    assert long == set()
