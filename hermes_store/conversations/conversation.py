"""A session as a person reads it: its title, a few facts, and its messages."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from ..arguments import items_of, mapping_of
from ..records import UNTITLED
from ..transcripts import json_codec
from ..transcripts.encoding import parse_time
from .parts import Message, read_message


class Conversation(NamedTuple):
    """A session to be written down."""

    title: str
    #: Names and values.
    facts: list[tuple[str, str]]
    messages: Iterator[Message]


def read_conversation(session: Any) -> Conversation:
    """Return what is shown of a session's JSON object.

    Raises:
        InvalidInputError: it is no object, or its messages are no list.
        InvalidPayloadError: something in it is not a JSON value.
    """
    given = mapping_of(session, "The values of a session")
    messages = given.pop("messages", None)
    messages = [] if messages is None else items_of(messages, "messages", "Nothing was written.")
    # What is read back from JSON, so that what a caller's classes do is no matter.
    values: dict[str, Any] = json_codec.decode(json_codec.encode(given, "session"))
    read: list[Any] = json_codec.decode(json_codec.encode(messages, "messages"))
    title = values.get("title")
    return Conversation(
        title if isinstance(title, str) and title.strip() else UNTITLED,
        list(_facts(values, len(read))),
        (read_message(position, message) for position, message in enumerate(read)),
    )


def _facts(values: Mapping[str, Any], messages: int) -> Iterator[tuple[str, str]]:
    """Yield what is known of a session. Where its files were is left out: a page may be shared."""
    for name in ("created_at", "updated_at"):
        time = parse_time(values.get(name))
        if time is not None:
            yield ("Created" if name == "created_at" else "Changed"), moment(time)
    if isinstance(values.get("model"), str) and values["model"]:
        yield "Model", values["model"]
    yield "Messages", f"{messages:,}"


def moment(time: float) -> str:
    """Return a time as date and time of day, in UTC: a page is read in any zone."""
    return f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%d %H:%M} UTC"


_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def clean(text: str) -> str:
    """Return a text without what no page may have: control characters, and halves of characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub(
        lambda match: chr(0x2400 + ord(match[0])) if match[0] < " " else "\N{REPLACEMENT CHARACTER}", text
    )


class Code(NamedTuple):
    """A fenced block of code in a text."""

    language: str
    text: str


_OPENING: Final = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*([^`\n]*)")


def blocks(text: str) -> Iterator[str | Code]:
    """Yield a text's paragraphs and its fenced blocks of code, as in Markdown.

    A block that is not closed goes to the end.
    """
    plain: list[str] = []
    code: list[str] | None = None
    fence = language = ""
    for line in clean(text).split("\n"):
        if code is not None:
            stripped = line.strip(" \t")
            is_end = len(line) - len(line.lstrip(" ")) <= 3 and len(stripped) >= len(fence)
            if is_end and stripped == fence[0] * len(stripped):
                yield Code(language, "\n".join(code))
                code = None
            else:
                code.append(line)
            continue
        opening = _OPENING.fullmatch(line)
        if opening is None:
            plain.append(line)
            continue
        if any(map(str.strip, plain)):
            yield "\n".join(plain).strip("\n")
        plain, code = [], []
        fence, language = opening[1], opening[2].strip()
    if code is not None:
        yield Code(language, "\n".join(code))
    elif any(map(str.strip, plain)):
        yield "\n".join(plain).strip("\n")


def arguments_text(arguments: Any) -> str:
    """Return the arguments of a call, each on a line of its own where they are an object."""
    if isinstance(arguments, str):
        try:
            decoded = json_codec.decode(arguments.encode("utf-8", "surrogatepass"))
        except ValueError:
            return arguments
        if not isinstance(decoded, dict):
            return arguments
        arguments = decoded
    if isinstance(arguments, dict):
        return "\n".join(f"{name}: {_argument(value)}" for name, value in arguments.items())
    return _argument(arguments)


def _argument(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json_codec.encode(value).decode("utf-8", "replace")


_IMAGE: Final = re.compile(r"data:image/(png|jpeg|jpg|gif|webp|avif);base64,([A-Za-z0-9+/]+={0,2})")
_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_REMOTE: Final = re.compile(r"https?://[^\s\x00-\x20\"'<>`\\^{|}()\[\]]{1,2000}", re.IGNORECASE)


def safe_image(source: Any) -> str | None:
    """Return the ``data:`` URL of a picture whose type browsers show as pixels and nothing else; else None."""
    if not isinstance(source, str) or not source.startswith("data:image/"):
        return None
    compact = _BLANKS.sub("", source)
    return compact if _IMAGE.fullmatch(compact) else None


def remote_address(source: Any) -> str | None:
    """Return a source that is an address on the web; else None."""
    return source if isinstance(source, str) and _REMOTE.fullmatch(source) else None


def source_text(source: Any) -> str:
    """Return a source that is not shown, as a text: a ``data:`` URL by its type alone."""
    if not isinstance(source, str):
        return "not shown"
    if source.startswith("data:"):
        kind = source[5:60].partition(";")[0].partition(",")[0]
        return f"{kind}, not shown"
    return source if len(source) <= 200 else f"{source[:200]}…"
