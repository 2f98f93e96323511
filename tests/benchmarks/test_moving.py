"""The program that measures moves to PostgreSQL runs, at a small scale."""

from __future__ import annotations

import pytest

from benchmarks import moving

pytestmark = pytest.mark.slow


def test_the_program_says_what_it_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(moving, "_SECONDS", 0.05)
    monkeypatch.setattr(moving, "_WRITERS", (1,))
    moving.main(["20", "2"])
    said = capsys.readouterr().out
    assert said.count("to PostgreSQL: ") == said.count("back: ") == 2
    assert "1 processes, PostgreSQL: " in said
