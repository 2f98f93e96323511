"""The program that measures what appends leave on a server runs, at a small scale."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from benchmarks import growth


@pytest.mark.slow
def test_the_program_counts_updates(postgres_server: sa.URL, capsys: pytest.CaptureFixture[str]) -> None:
    server = postgres_server.set(drivername="postgresql").render_as_string(hide_password=False)
    growth.main(["8", "2", server])
    said = capsys.readouterr().out
    assert said.count("appends: ") == 10
    assert re.search(r"8 appends: .* 0 of 8 updates", said)
