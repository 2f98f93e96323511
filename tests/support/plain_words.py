"""The words of a text by the plainest definition: no run is remembered, and nothing is looked at first to save time."""

from __future__ import annotations

import re
import unicodedata

from hermes_store.words import folding
from hermes_store.words.folding import WORD_LIMIT, Words

_BLOCK = 24
_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
_ACCENTS = re.compile(f"{folding._ACCENTS.pattern}+")
_STROKES = str.maketrans(dict(zip("øØłŁđĐħĦŧŦıŒœÆæ", [*"oOlLdDhHtTi", "OE", "oe", "AE", "ae"], strict=True)))


def words_of(text: str) -> Words:
    """Return what `folding.words_of` has to return."""
    blocks = [text[start : start + _BLOCK] for start in range(0, len(text) - _BLOCK + 1, _BLOCK)]
    has_long = any(" " not in block and "\n" not in block for block in blocks)
    if has_long:
        text = folding._DATA.sub(" ", text)
    text = re.sub("[^\x00-\x7f]+", lambda match: _fold(match[0]), text)
    wholes: list[str] = []

    def split(match: re.Match[str]) -> str:
        parts = _BOUNDARY.sub(" ", match[0])
        if parts != match[0]:
            wholes.append(match[0][:WORD_LIMIT])
        return parts

    text = re.sub("[A-Za-z0-9]+", split, text)
    text = re.sub(r"[\x00-\x7f]", lambda match: match[0].lower() if match[0].isalnum() else " ", text)
    text = text.encode("utf-8", "replace").decode()
    if has_long:
        text = re.sub(f"[^ ]{{{WORD_LIMIT + 1},}}", lambda match: match[0][:WORD_LIMIT], text)
    return Words(text, " ".join(wholes).lower())


def _fold(run: str) -> str:
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", run)).translate(_STROKES)
    plain = re.sub("[^\x00-\x7f]+", lambda match: match[0].casefold(), plain)
    plain = unicodedata.normalize("NFKC", _ACCENTS.sub("", plain))
    return plain.translate(folding._Separated())
