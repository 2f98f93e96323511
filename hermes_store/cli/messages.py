"""A message on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from rich.console import RenderableType
from rich.text import Text

from ..conversations import parts
from ..quoting import size
from ..transcripts import json_codec
from .table import cut
from .text import json_line, moment, printable, shortened

_ROLE_STYLES: Final = {"user": "bold green", "assistant": "bold cyan", "tool": "yellow", "system": "magenta"}

#: The width of a heading where there is no terminal.
_HEADING: Final = 80


def render_message(position: int, message: Any, *, width: int | None) -> Iterator[RenderableType]:
    """Yield the parts of a message, its heading first.

    Args:
        width: of the terminal, for which long texts of tools are shortened. Without one, everything is whole.
    """
    return _Renderer(width).message(parts.read_message(position, message), is_object=isinstance(message, dict))


@dataclass(frozen=True)
class _Renderer:
    width: int | None

    def message(self, message: parts.Message, *, is_object: bool) -> Iterator[RenderableType]:
        name = printable(message.role or "no role") if is_object else f"message {message.position}"
        time = "" if message.time is None else moment(message.time)
        yield from self._heading(name, time, _ROLE_STYLES.get(name, "bold") if is_object else "bold red")
        for note in message.notes:
            yield _aside(f"[{note}]")
        for part in message.parts:
            if isinstance(part, parts.Value):
                yield _plain(json_line(part.value))
            else:
                yield from self._part(part)

    def _heading(self, name: str, time: str, style: str) -> Iterator[RenderableType]:
        yield ""
        shown = name if self.width is None else cut(name, 40)
        text = Text.assemble((shown, style), (f"  {time}" if time else "", "dim"), " ")
        text.append("─" * max(2, (self.width or _HEADING) - text.cell_len), "dim")
        if self.width is not None:
            text.truncate(self.width)
        yield text

    def _part(self, part: parts.Part) -> Iterator[RenderableType]:
        match part:
            case parts.Text(text):
                yield _plain(text)
            case parts.Thought(text):
                yield _aside(f"thinking: {self._shortened(printable(text), lines=1, characters=300)}")
            case parts.Call(name, arguments):
                given = self._shortened(_inline(arguments), lines=1, characters=160)
                yield Text.assemble(("→ ", "yellow"), (_inline(name), "bold yellow"), (f" {given}", "yellow"))
            case parts.Result(name, content):
                yield from self._result(name, content)
            case parts.Medium(kind, source, whole):
                yield _aside(f"[{printable(kind)}: {_place(source, whole)}]")
            case parts.Attachment(name):
                yield _aside(f"[attached: {_inline(name)}]")
            case parts.Value(value):
                yield _plain(self._shortened(json_line(value), lines=8, characters=800))

    def _result(self, name: Any, content: Any) -> Iterator[RenderableType]:
        """Yield a tool's answer after the tool's name."""
        if isinstance(content, tuple):
            for part in content:
                yield from self._part(part)
            return
        whole = parts.text_of_value(content)
        text = printable(self._shortened(whole, lines=6, characters=400), lines=True).strip()
        yield Text.assemble(("← ", "yellow"), (f"{_inline(name)} " if name else "", "bold yellow"), (text, "dim"))

    def _shortened(self, text: str, *, lines: int, characters: int) -> str:
        return text if self.width is None else shortened(text, lines=lines, characters=characters)


def _place(source: Any, part: Any) -> str:
    """Return what is known of a picture, a sound or a file without showing it."""
    if isinstance(source, str) and source.startswith("data:"):
        kind = printable(source[5:60].partition(";")[0].partition(",")[0])
        return f"{kind}, {size(len(source.partition(',')[2]) * 3 // 4)}"
    if isinstance(source, str) and len(source) <= 200:
        return printable(source)
    return size(len(json_codec.encode(part)))


def _plain(text: str) -> Text:
    return Text(printable(text, lines=True).strip("\n"))


def _aside(text: str) -> Text:
    return Text(printable(text), style="dim italic")


def _inline(value: Any) -> str:
    """Return a value in one printable line."""
    return printable(parts.text_of_value(value))
