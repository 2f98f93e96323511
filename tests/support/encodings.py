"""What a function encodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

from hermes_store.transcripts import json_codec


def encoded_by(work: Callable[[], object]) -> list[bytes]:
    """Run a function, and return the JSON of each value that is encoded meanwhile."""
    found: list[bytes] = []
    encode = json_codec.encode

    def note(value: Any, *arguments: Any) -> bytes:
        found.append(encode(value, *arguments))
        return found[-1]

    with mock.patch.object(json_codec, "encode", note):
        work()
    return found
