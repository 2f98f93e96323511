"""The results as tables: for a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .peers import KINDS
from .results import FLOOR, JSON_FILES, OURS, Comparison, Measurement, Results

Table = list[list[str]]


def number(value: float | None) -> str:
    """Return a number with three digits, or all before the point; an empty text for None."""
    if value is None:
        return ""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def comparison_table(comparisons: Sequence[Comparison]) -> Table:
    """Return a table of processor times, its head first. A contender that does none of the works has no column."""
    found = {name for one in comparisons for name in one.peers()}
    peers = [kind.name for kind in KINDS if kind.name in found]
    others = [JSON_FILES] if any(JSON_FILES in one.contenders for one in comparisons) else []
    table = [["work", FLOOR, OURS, "ratio", "ratio of wall times", *others, *peers]]
    for one in comparisons:
        times = [number(one.cpu(name)) for name in (FLOOR, OURS)]
        ratios = [ratio(one.ratio("cpu")), ratio(one.ratio("wall"))]
        table.append([one.work, *times, *ratios, *(number(one.cpu(name)) for name in (*others, *peers))])
    return table


def measurement_tables(measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Yield tables of measurements, each of those that have the same figures."""
    for head in dict.fromkeys(tuple(one.values) for one in measurements):
        alike = [one for one in measurements if tuple(one.values) == head]
        yield [["work", *head], *([one.work, *map(number, one.values.values())] for one in alike)]


def tables(comparisons: Sequence[Comparison], measurements: Sequence[Measurement]) -> Iterator[Table]:
    """Yield the tables of a section."""
    if comparisons:
        yield comparison_table(comparisons)
    yield from measurement_tables(measurements)


def as_text(table: Table) -> str:
    """Return a table for a terminal: texts to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_markdown(table: Table) -> str:
    """Return a table in Markdown."""
    rule = ["---", *(["---:"] * (len(table[0]) - 1))]
    return "\n".join(f"| {' | '.join(row)} |" for row in [table[0], rule, *table[1:]])


def about_line(results: Results) -> str:
    """Return the date, the versions and the kind of machine in one line."""
    return ", ".join(results.about.values())


def section_text(title: str, comparisons: Sequence[Comparison], measurements: Sequence[Measurement]) -> str:
    """Return a section for a terminal."""
    return "\n\n".join([f"== {title}", *(as_text(table) for table in tables(comparisons, measurements))])


def short_table(results: Results) -> Table:
    """Return a table of the works that peers do, too, with the fastest peer for each."""
    table = [["milliseconds of processor time", "SQL by hand", OURS, JSON_FILES, "fastest other library"]]
    for one in results.comparisons:
        peers = one.peers()
        if not peers:
            continue
        name = min(peers, key=lambda name: peers[name])
        times = [number(one.cpu(contender)) for contender in (FLOOR, OURS, JSON_FILES)]
        table.append([one.work.removesuffix(", all contenders"), *times, f"{number(peers[name])} ({name})"])
    return table
