"""The program that measures the parts of verbs names those that there are."""

from __future__ import annotations

import pytest

from benchmarks import parts


def test_it_prints_the_parts_of_each_verb(capsys: pytest.CaptureFixture[str]) -> None:
    parts.main(["--rounds", "1"])
    _, _, *rows = capsys.readouterr().out.splitlines()
    cells = [row.removeprefix("| ").removesuffix(" |").split(" | ") for row in rows]
    of_verb = {verb: said for verb, _, _, said in cells}
    assert len(of_verb) == 9
    for verb, part in {
        "get a session": "statements",
        "last 50 of 1,000 messages": "digests",
        "search a word of one message": "index of words",
        "search a frequent word": "words",
        "change a title": "index of words",
        "append 1 message": "encoding",
    }.items():
        assert part in of_verb[verb], verb
    assert all("statements" in said and "rest" in said for said in of_verb.values())
