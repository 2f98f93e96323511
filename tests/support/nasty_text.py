"""Text that no terminal should see as it is, and messages that have it everywhere."""

from __future__ import annotations

import json
from typing import Any

#: Texts that would command a terminal, break a line or a row, or have no bytes in UTF-8.
NASTY = [
    "half \ud83d",
    "\x1b[31mred\x1b[0m \x1b]0;another window title\x07",
    "two\nlines\r\nand\ta tab\rand back",
    "宽" * 500,
    "nul \x00 del \x7f csi \x9b31m",
    "\u202eturned round\u2069\u2028",
    "[bold]no markup[/] :smile: [/nothing]",
    "zero\u200bwidth \u2060\ufeff \u200e\u200f\U000e0041 marks",
    "👩‍👩‍👧‍👦 e\u0301 \ufe0f\u200d",
]


def nasty_messages(text: str) -> list[Any]:
    """Messages with `text` in every place that is shown."""
    call = {"function": {"name": text, "arguments": text}}
    parts = [
        text,
        {"type": "text", "text": text},
        {"type": "image_url", "image_url": {"url": text}},
        {"type": "image", "source": {"data": text}},
        {"type": text, "data": text},
        {"type": "thinking", "thinking": text},
        {"type": "tool_use", "name": text, "input": {text: text}},
        {"type": "tool_result", "content": [{"type": "text", "text": text}]},
        {"no type": text},
        17,
    ]
    return [
        {"role": text, "content": text, "timestamp": text},
        {"role": "user", "content": parts, "attachments": [text, {"name": text}, None], "timestamp": 1e300},
        {"role": "assistant", "content": {text: text}, "reasoning": text, "tool_calls": [call, text, {"name": text}]},
        {"role": "assistant", "tool_calls": text, "content": None},
        {"role": "assistant", "tool_calls": json.dumps([call]), "timestamp": float("nan")},
        {"role": "tool", "name": text, "content": text},
        {"role": ["no", "text"], "content": 2**70},
        {text: text},
        text,
        [text],
        None,
        float("nan"),
    ]
