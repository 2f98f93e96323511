"""JSON as hermes-webui writes it."""

from __future__ import annotations

import json
from typing import Any

from ..transcripts import json_codec


def json_text(value: Any) -> str:
    """Return a value's JSON as the WebUI writes it. If it has lone surrogates, all of it is ASCII, with escapes."""
    try:
        text = json.dumps(value, ensure_ascii=False, indent=2)
        text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=2)
    except RecursionError:  # nested deeper than the standard library writes
        return json_codec.encode(value).decode("utf-8")
    return text
