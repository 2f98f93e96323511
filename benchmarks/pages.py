"""Writes the results into the documentation: the tables between markers, the JSON file and the plots."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from . import report
from .results import Results

ROOT: Final = Path(__file__).parents[1]
#: The folder of the plots, inside the repository.
PLOTS: Final = "docs/benchmarks"
RESULTS: Final = f"{PLOTS}/results.json"
PAGE: Final = "docs/benchmarks.md"
README: Final = "README.md"
_BEGIN, _END = "<!-- results: written by `python -m benchmarks --docs` -->", "<!-- end of results -->"


def draw(results: Results, root: Path = ROOT) -> None:
    """Write the plots.

    Args:
        root: the folder of the repository.
    """
    from . import plots

    plots.draw(results, root / PLOTS)


def write(results: Results, root: Path = ROOT) -> None:
    """Write the JSON file, and the tables of the README and of the page; as `draw`."""
    results.write(root / RESULTS)
    stored = Results.load(root / RESULTS)  # the tables show what the file has, which is rounded
    _replace(root / PAGE, page_text(stored))
    _replace(root / README, readme_text(stored))


def page_text(results: Results) -> str:
    """Return all tables, in Markdown."""
    parts = [report.about_line(results) + "."]
    for title, comparisons, measurements in results.sections():
        parts.append(f"### {title}")
        parts += [report.as_markdown(table) for table in report.tables(comparisons, measurements)]
    if results.notes:
        parts.append("\n".join(f"- {note}" for note in results.notes))
    return "\n\n".join(parts)


def readme_text(results: Results) -> str:
    """Return the short table, in Markdown."""
    return f"{report.as_markdown(report.short_table(results))}\n\n{report.about_line(results)}."


def _replace(page: Path, text: str) -> None:
    """Replace what is between the markers of a page.

    Raises:
        ValueError: the page does not have both markers, once each.
    """
    before = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    after, found = pattern.subn(lambda _: f"{_BEGIN}\n\n{text}\n\n{_END}", before)
    if found != 1:
        raise ValueError(f"{page} has no place for the results, which is between {_BEGIN} and {_END}")
    page.write_text(after, encoding="utf-8")
