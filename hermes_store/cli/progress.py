"""Progress of long work, shown on a terminal only; and Ctrl-C, which ends the work between two steps."""

from __future__ import annotations

import contextlib
import datetime
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from .exits import CommandError, ExitCode, deferred_interrupt
from .output import is_lively

#: Is called with how many steps are done, of how many (0 if that is not known), and a remark.
Advance = Callable[[int, int, str], None]

#: Seconds between two changes of the bar.
_EVERY: Final = 0.05
#: Seconds without a step, after which lines of the log are shown.
_SILENT: Final = 1.0


@contextlib.contextmanager
def interruptible(
    console: Console, doing: str, noun: str, *, quiet: bool, state: str | Callable[[int], str]
) -> Iterator[Advance]:
    """Draw a bar as `progress` does; Ctrl-C ends the block at its next step, unless that is the last.

    Args:
        state: what is done and what is not, as a sentence; or a function of how many steps were done that returns it.
    """
    done, is_last, advanced = 0, False, 0.0
    try:
        with progress(console, doing, noun, quiet=quiet) as draw, deferred_interrupt() as stop_if_asked:

            def advance(now: int, total: int, remark: str) -> None:
                nonlocal done, is_last, advanced
                done, is_last, advanced = now, 0 < total <= now, time.monotonic()
                draw(now, total, remark)
                if not is_last:
                    stop_if_asked()

            def show(text: str) -> None:
                if time.monotonic() - advanced > _SILENT:  # else the block says itself how far it is
                    draw(0, 0, text)
                if not is_last:
                    stop_if_asked()

            with log_lines_shown(show):
                yield advance
    except KeyboardInterrupt:  # reported here, after the bar is gone
        now = state if isinstance(state, str) else state(done)
        raise CommandError(f"Interrupted. {now}", ExitCode.INTERRUPTED) from None


@contextlib.contextmanager
def log_lines_shown(show: Callable[[str], None]) -> Iterator[None]:
    """Call `show` with each line that says how far this library is, while the block runs: with those of this thread."""
    logger = logging.getLogger("hermes_store")
    handler = _Lines(show)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(before)
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._show = show
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            if threading.get_ident() == self._thread:
                self._show(record.getMessage())
        elif logging.lastResort is not None and not logging.getLogger().handlers:
            logging.lastResort.handle(record)  # as without this handler: on standard error


class _Elapsed(ProgressColumn):
    """The time since it began. (That of rich stands still once all steps of a part of the work are done.)"""

    def __init__(self) -> None:
        super().__init__()
        self._started = time.monotonic()

    def render(self, task: Task) -> Text:
        """Return the time as hours, minutes and seconds."""
        return Text(str(datetime.timedelta(seconds=int(time.monotonic() - self._started))))


@contextlib.contextmanager
def progress(console: Console, doing: str, noun: str, *, quiet: bool) -> Iterator[Advance]:
    """Draw a bar with the time and the rate of `noun` per second while the block runs; it is removed afterwards.

    Args:
        quiet: draw nothing, as when the console is not a terminal.
    """
    if quiet or not is_lively(console):
        yield lambda done, total, remark: None
        return
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        _Elapsed(),
        TextColumn("{task.fields[figures]}"),
        TextColumn("{task.fields[remark]}", style="dim", table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
    )
    task = bar.add_task(doing, total=None, figures="", remark="")
    started = time.monotonic()
    drawn = 0.0

    def advance(done: int, total: int, remark: str) -> None:
        nonlocal drawn
        now = time.monotonic()
        if now - drawn < _EVERY and done < total:
            return
        drawn = now
        rate = done / max(now - started, 1e-3)
        figures = f"{done:,}/{total:,}  {rate:,.0f} {noun}/s" if total else ""
        bar.update(task, completed=done, total=total or None, figures=figures, remark=remark)

    with bar:
        yield advance
