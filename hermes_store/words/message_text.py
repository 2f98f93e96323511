"""The text of a message that a person reads, and that is searched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

#: How many characters of a message are searched; what comes after them is not found.
SEARCHED_CHARACTERS: Final = 100_000
#: How many values of a message are looked at.
_MOST_VALUES: Final = 10_000
#: Keys of parts of a message whose values are data.
_DATA_KEYS: Final = frozenset({"data", "image_url", "url", "file_data", "signature", "encrypted_content", "id"})


def text_of(message: Any) -> str:
    """Return the text of a message: its content, the text in the parts of it, and what tools were given and returned.

    Only the first `SEARCHED_CHARACTERS` are returned. Parts are separated by line breaks.
    """
    if isinstance(message, dict):
        content = message.get("content")
        if isinstance(content, str) and _TOOL_KEYS.isdisjoint(message):
            return content[:SEARCHED_CHARACTERS]
        return _joined(_of_object(message))
    return message[:SEARCHED_CHARACTERS] if isinstance(message, str) else _joined(_texts(message))


_TOOL_KEYS: Final = frozenset({"tool_calls", "function_call"})


def _joined(texts: Iterator[str]) -> str:
    found, size = [], 0
    for text in texts:
        found.append(text)
        size += len(text) + 1
        if size > SEARCHED_CHARACTERS:
            break
    return "\n".join(found)[:SEARCHED_CHARACTERS]


def _of_object(message: dict[str, Any]) -> Iterator[str]:
    content = message.get("content", message.get("text"))
    yield from _texts(content)
    for key in sorted(message.keys() & _TOOL_KEYS):
        yield from _texts(message[key], tools=True)


def _texts(value: Any, *, tools: bool = False) -> Iterator[str]:
    """Yield the texts in a value, in their order, however deep; of objects in a content, those of parts with text.

    Args:
        tools: it is what a tool was given: the texts of all its keys are read.
    """
    left = [(value, tools)]
    for _ in range(_MOST_VALUES):
        if not left:
            return
        found, tools = left.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, list):
            left.extend((item, tools) for item in reversed(found))
        elif isinstance(found, dict):
            left.extend(reversed([*_members(found, tools)]))


def _members(part: dict[str, Any], tools: bool) -> Iterator[tuple[Any, bool]]:
    if tools:
        kind = part.get("type")
        skipped = {"type"} if isinstance(kind, str) and kind in {"function", "tool_call"} else frozenset[str]()
        yield from ((value, True) for key, value in part.items() if key not in _DATA_KEYS and key not in skipped)
        return
    for key in ("text", "name", "content"):
        if key in part:
            yield part[key], False
    for key in ("input", "arguments", "args", "output", "result"):
        if key in part:
            yield part[key], True
