"""`python -m benchmarks` on the smallest sizes: it runs every work, and prints and writes what it measured."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa

from benchmarks import pages, peers, timing
from benchmarks.__main__ import WORKS, main
from benchmarks.results import FLOOR, JSON_FILES, OURS, Results
from tests.support.paths import ROOT

FAST = ["save", "read", "size"]
SLOW = [name for name in WORKS if name not in (*FAST, "postgresql")]
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program without peers, and return what it wrote as JSON."""
    # Figures do not matter here, and all that the tests have imported takes long to collect.
    monkeypatch.setattr(timing, "gc", mock.Mock())

    def run(*works: str, options: Sequence[str] = ()) -> dict[str, Any]:
        out = tmp_path / "results.json"
        smallest = ["--scale", "0.0005", "--data", str(tmp_path), "--out", str(out)]
        main([*smallest, *options, "--no-peers", "--only", ",".join(works)])
        written: dict[str, Any] = json.loads(out.read_bytes())
        return written

    return run


def test_it_prints_and_writes_what_contenders_take(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    results = run(*FAST)
    printed = capsys.readouterr().out
    found = {one["work"]: one["contenders"] for one in results["comparisons"]}
    assert {FLOOR, OURS, JSON_FILES} == set(found["read 10 messages"])
    assert {FLOOR, OURS} == set(found["read 10 messages, the floor compares digests too"])
    assert all(each["calls"] and each["wall"] > 0 for contenders in found.values() for each in contenders.values())
    [size] = results["measurements"]
    assert size["values"]["MB of the database"] > size["values"]["MB of JSON text"] / 2
    assert all(f"\n{work}  " in printed for work in [*found, size["work"]])
    [row] = (line for line in printed.splitlines() if line.startswith("read 10 messages "))
    floor, ours, ratio, _, _ = row.removeprefix("read 10 messages").split()
    assert float(ratio) == pytest.approx(float(ours) / float(floor), rel=0.2)
    assert OURS in printed
    assert "SQLite" in printed.splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize("work", SLOW)
def test_works_that_take_long_run_too(run: Run, work: str) -> None:
    results = run(work)
    assert results["comparisons"] or results["measurements"]
    assert results["notes"] == []


@pytest.mark.slow
def test_it_measures_on_a_postgresql_server(run: Run, postgres_server: sa.URL) -> None:
    url = postgres_server.set(drivername="postgresql").render_as_string(hide_password=False)
    results = run("postgresql", options=["--postgres", url])
    assert len(results["comparisons"]) > 5
    assert all(set(one["contenders"]) == {FLOOR, OURS} for one in results["comparisons"])


def test_it_names_the_peers_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peers, "versions", dict)
    main(["--scale", "0.0005", "--data", str(tmp_path), "--only", "size"])
    printed = capsys.readouterr().out
    assert all(f"{kind.name} is left out: {kind.distribution} is not installed" in printed for kind in peers.KINDS)


@pytest.mark.parametrize(
    "wrong", [["--only", "append,nothing"], ["--scale", "0"], ["--scale", "2"], ["--docs", "--quick"]], ids=" ".join
)
def test_it_refuses_what_it_does_not_know(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(wrong)


def test_plots_of_the_same_results_are_the_same(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need the extra `bench`")
    results = Results.load(ROOT / pages.RESULTS)
    for name in ("one", "two"):
        pages.draw(results, tmp_path / name)
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).rglob("*.svg")} for name in ("one", "two"))
    assert sorted(one) == ["size.svg", "works.svg"]
    assert one == two


def test_the_pages_show_the_stored_results() -> None:
    stored = Results.load(ROOT / pages.RESULTS)
    assert pages.page_text(stored) in (ROOT / pages.PAGE).read_text(encoding="utf-8")
    assert pages.readme_text(stored) in (ROOT / pages.README).read_text(encoding="utf-8")
    assert stored.find("append 1 message to 1,000") is not None


def test_only_what_is_between_the_markers_is_written(tmp_path: Path) -> None:
    (tmp_path / pages.PLOTS).mkdir(parents=True)
    for page in (pages.PAGE, pages.README):
        (tmp_path / page).write_bytes((ROOT / page).read_bytes())
    pages.write(Results.load(ROOT / pages.RESULTS), tmp_path)
    for page in (pages.PAGE, pages.README, pages.RESULTS):
        assert (tmp_path / page).read_bytes() == (ROOT / page).read_bytes()
