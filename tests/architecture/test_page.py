"""The page on the architecture describes every module of the library and of its storage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hermes_store

PACKAGE = Path(hermes_store.__file__).parent
PAGE = PACKAGE.parent / "docs" / "architecture.md"


@pytest.mark.parametrize("folder", [PACKAGE, PACKAGE / "storage"], ids=lambda folder: folder.name)
def test_every_module_is_on_the_page(folder: Path) -> None:
    described = set(re.findall(r"\w+", " ".join(re.findall(r"```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL))))
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert modules - described == {"__init__", "__main__"} & modules
