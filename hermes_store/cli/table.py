"""Tables that fit the terminal: each column says how narrow it may get, and which vanish first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from .text import printable


@dataclass(frozen=True, kw_only=True, eq=False)
class Column:
    """A column. Columns stand in the order in which they are given, and shrink from the least important one up."""

    header: str
    cells: Sequence[str]
    #: 1 never vanishes, and is the last to shrink; higher ones vanish and shrink earlier.
    rank: int
    #: It shrinks no further; where that is not enough, columns vanish.
    least: int = 1
    #: It gets more only when every column has enough.
    enough: int = 40
    #: It is shown only where all columns have enough.
    luxury: bool = False
    #: How many spaces follow it.
    gap: int = 2
    right: bool = False
    #: Which end of its texts is cut off.
    cut: Literal["start", "end"] = "end"
    #: Its texts are never cut, wherever the table is shown: ids are there to be copied.
    whole: bool = False
    style: str = ""

    @property
    def natural(self) -> int:
        """The width of its longest text."""
        return max(map(cell_len, [self.header, *self.cells]))

    @property
    def wanted(self) -> int:
        """The width with which it has enough."""
        return min(self.natural, self.enough)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it."""
        return not any(self.cells)


#: Elsewhere than on a terminal, columns are aligned up to this width. A longer text moves the rest of its row.
_ALIGNED: Final = 60


def print_table(console: Console, columns: Sequence[Column], row_styles: Sequence[str]) -> None:
    """Print a table that is no wider than the terminal, if that can be. Elsewhere, no text in it is cut."""
    filled = [column for column in columns if not column.is_empty]
    cuts = console.is_terminal
    widths = _widths(filled, console.width) if cuts else [min(column.natural, _ALIGNED) for column in filled]
    shown = [(column, width) for column, width in zip(filled, widths, strict=True) if width]
    rows = [[Text(_aligned(column.header, width, column, cuts=cuts)) for column, width in shown]]
    for index in range(len(row_styles)):
        cells = [(_aligned(column.cells[index], width, column, cuts=cuts), column.style) for column, width in shown]
        rows.append([Text(cell, style) for cell, style in cells])
    gaps = [" " * column.gap for column, _ in shown]
    for row, style in zip(rows, ["bold", *row_styles], strict=True):
        text = Text.assemble(*(part for pair in zip(row, gaps, strict=True) for part in pair))
        text.rstrip()
        console.print(text, style=style, soft_wrap=True)


def id_column(ids: Sequence[str]) -> Column:
    """Return the column of ids, which goes last: a long one makes its row longer than the others, not the table."""
    return Column(header="Id", rank=1, enough=40, whole=True, cells=[cell(one) for one in ids], style="cyan")


def print_facts(console: Console, facts: Mapping[str, str | None]) -> None:
    """Print names with their values, each on a line; nothing for those without a value."""
    width = max(map(len, facts))
    for name, value in facts.items():
        if value:
            console.print(Text.assemble((f"{name:{width}}  ", "dim"), printable(value)), soft_wrap=True)


def _widths(columns: Sequence[Column], room: int) -> list[int]:
    """Return each column's width; 0 for those that vanish."""
    widths = {column: column.wanted for column in columns}
    room += columns[-1].gap  # the last column needs none
    while _sum(widths) > room and (luxuries := [column for column in widths if column.luxury]):
        del widths[max(luxuries, key=_rank)]
    if _sum(widths) > room:
        widths = {column: column.wanted if column.whole else min(column.least, column.wanted) for column in widths}
    while _sum(widths) > room and len(widths) > 1 and (last := max(widths, key=_rank)).rank > 1:
        del widths[last]
    spare = room - _sum(widths)
    if spare < 0 and (cut := [column for column in widths if not column.whole]):
        widest = max(cut, key=lambda column: widths[column])
        widths[widest] += spare
        if widths[widest] < _NARROWEST:
            del widths[widest]
        spare = max(0, room - _sum(widths))
    for limited in (True, False):
        for column in sorted(widths, key=_rank):
            more = max(0, min(spare, (column.wanted if limited else column.natural) - widths[column]))
            widths[column] += more
            spare -= more
    return [widths.get(column, 0) for column in columns]


#: A column that would be narrower vanishes.
_NARROWEST: Final = 4


def _rank(column: Column) -> int:
    return column.rank


def _sum(widths: Mapping[Column, int]) -> int:
    return sum(width + column.gap for column, width in widths.items())


def _aligned(text: str, width: int, column: Column, *, cuts: bool) -> str:
    """Return `text` as `width` cells, cut or filled up."""
    if cuts and not column.whole:
        text = cut(text, width, column.cut)
    fill = " " * (width - cell_len(text))
    return fill + text if column.right else text + fill


def cut(text: str, width: int, end: Literal["start", "end"] = "end") -> str:
    """Return `text` in at most `width` cells, with an ellipsis where it was cut."""
    if cell_len(text) <= width:
        return text
    kept, used = "", 1
    for character in text if end == "end" else reversed(text):
        used += cell_len(character)
        if used > width:
            break
        kept += character
    if end == "end":
        return f"{kept.rstrip()}…"
    kept = kept[::-1]
    if not text.removesuffix(kept).endswith("-"):  # words are left out whole: "…opus-4.6", not "…de-opus-4.6"
        kept = kept.partition("-")[2] or kept
    return f"…{kept}"


def cell(value: str | None) -> str:
    """Return a value as the text of a cell."""
    return printable(value or "")
