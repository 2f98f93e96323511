"""The plots, as SVG files that are the same for the same results. Needs matplotlib, from the extra `bench`."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, StrMethodFormatter

from . import report
from .peers import KINDS
from .results import FLOOR, JSON_FILES, OURS, Comparison, Results

_NAMES: Final = {FLOOR: "SQL by hand"}
_COLOURS: Final = {OURS: "#1f6feb", FLOOR: "#8c959f", JSON_FILES: "#bf8700"}
_PEER_COLOUR: Final = "#d0d7de"
#: Characters in a line of a title above bars, which has the width of its panel.
_TITLE_WIDTH: Final = 32
_STYLE: Final[dict[str, Any]] = {
    "svg.hashsalt": "hermes_store",  # otherwise ids in the file are random
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
#: The curves, their titles, and what their sizes count.
_CURVES: Final = (
    ("append", "Append 1 message, normal durability", "messages in the session"),
    ("list", "List 50 sessions", "sessions in the database"),
)


def draw(results: Results, folder: Path) -> None:
    """Write "size.svg", cost against size, and "works.svg", all contenders, if there are results for them."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        curves = [(results.curve(name), title, counted) for name, title, counted in _CURVES]
        if all(len(points) > 1 for points, _, _ in curves):
            _save(_sizes(curves), folder / "size.svg")
        works = [one for one in results.comparisons if one.peers()]
        if works:
            _save(_bars(works), folder / "works.svg")


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None}, facecolor="white")
    # matplotlib ends lines with spaces
    text = path.read_text(encoding="utf-8")
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")


def _sizes(curves: Sequence[tuple[list[Comparison], str, str]]) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axes, (points, title, counted) in zip(figure.subplots(1, len(curves)), curves, strict=True):
        for name in (JSON_FILES, OURS, FLOOR):
            there = [one for one in points if name in one.contenders]
            sizes, measured = [one.size for one in there], [one.cpu(name) for one in there]
            axes.plot(sizes, measured, marker="o", markersize=4, color=_COLOURS[name], label=_NAMES.get(name, name))
        axes.set(xscale="log", yscale="log", title=title, xlabel=counted, ylabel="ms of processor time")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        times = [one.cpu for point in points for one in point.contenders.values()]
        axes.set_ylim(min(times) / 3, max(times) * 3)
        axes.legend(frameon=False)
    return figure


def _bars(works: Sequence[Comparison]) -> Figure:
    names = [FLOOR, OURS, JSON_FILES, *(kind.name for kind in KINDS)]
    columns = 3
    rows = -(-len(works) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.3 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, one in zip(panels, works, strict=False):
        there = [name for name in names if name in one.contenders]
        times = [one.contenders[name].cpu for name in there]
        colours = [_COLOURS.get(name, _PEER_COLOUR) for name in there]
        labels = [report.number(time) for time in times]
        axes.bar_label(axes.barh([_NAMES.get(name, name) for name in there], times, color=colours), labels, padding=3)
        axes.set_title(textwrap.fill(one.work.removesuffix(", all contenders"), _TITLE_WIDTH), fontsize=9)
        axes.invert_yaxis()
        axes.margins(x=0.2)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
    for axes in panels[len(works) :]:
        axes.set_axis_off()
    figure.supxlabel("ms of processor time")
    return figure
