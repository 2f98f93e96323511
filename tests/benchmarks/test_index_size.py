"""The program that measures the size of the index runs on any text."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import index_size


def test_it_prints_the_size_for_each_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "先做数据库迁移，再测试。\n\n" * 30
    file = tmp_path / "book.md"
    file.write_text(f"{text}```\ncode that is left out\n```\n", encoding="utf-8")
    index_size.main(["--prose", str(file)])
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" of ")[0] for line in lines] == ["3 messages", "1 messages", "1 messages"]
    assert all(0 < float(line.rpartition(" ")[2]) < 2 for line in lines)
