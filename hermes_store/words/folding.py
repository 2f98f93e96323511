"""Text as words, in the form in which they are indexed and compared.

- Case and accents are folded, and compatibility forms are replaced (Unicode's NFKC): "Ｃａｆé" is "cafe".
- In scripts that are written without spaces (Chinese, Japanese, Korean, Thai and others), and of emoji, each character
  is a word. A text in them is found as a phrase, so that substrings of any length are.
- What is neither a letter nor a digit separates words. `snake_case`, `a.b.c` and paths are their parts, one after the
  other; a query for the whole is a phrase of them. `camelCase` is its parts, too, and also a whole word: its parts are
  not seen any more in a query without capitals.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, NamedTuple

#: Longer words are cut to this number of characters.
WORD_LIMIT: Final = 64


class Words(NamedTuple):
    """The words of a text, separated by spaces."""

    #: In the order of the text.
    text: str
    #: The words that have capitals inside, as wholes.
    wholes: str


def words_of(text: str) -> Words:
    """Return the words of a text. Data in Base64, and URIs that have data in them, are left out."""
    has_long = _has_long_run(text)
    if has_long:
        text = _DATA.sub(" ", text)
    if not text.isascii():
        text = _NOT_ASCII.sub(_fold_run, text)
    wholes = ""
    if _CAPITAL_INSIDE.search(text):
        found: list[str] = []
        text = _split_capitals(text, found)
        wholes = " ".join(found).lower()
    folded = text.encode("utf-8", "replace").translate(_ASCII).decode()
    if has_long:
        folded = _LONG.sub(_cut, folded)
    return Words(folded, wholes)


# ── Data ──

#: URIs with data; long runs of the characters of Base64; several lines of them.
_DATA: Final = re.compile(
    r"data:[\w.+/-]{0,80}(?:;[\w.=+-]{1,80}){0,4},[^\s\"'<>()\\]*"
    r"|(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/=_-]{200,}|(?:[A-Za-z0-9+/]{60,}[\r\n]+){2,}[A-Za-z0-9+/=]*)"
)
_BLOCK: Final = 24


def _has_long_run(text: str) -> bool:
    """Whether there may be 48 characters without a space in between; it looks at blocks, as that is quick."""
    return any(
        " " not in block and "\n" not in block
        for block in [text[start : start + _BLOCK] for start in range(0, len(text) - _BLOCK + 1, _BLOCK)]
    )


# ── ASCII ──

_ASCII: Final = bytes(
    code if code >= 128 else ord(chr(code).lower()) if chr(code).isalnum() else ord(" ") for code in range(256)
)
#: Where a word has a capital inside: "getName", "HTTPServer", "utf8Decoder". (Beginning with the capital, of which
#: there are few, it takes a tenth of the time.)
_CAPITAL_INSIDE: Final = re.compile(r"[A-Z](?:(?<=[a-z][A-Z])|(?<=[A-Z0-9][A-Z])(?=[a-z]))")
BOUNDARY: Final = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z0-9])(?=[A-Z][a-z])")
RUN: Final = re.compile("[A-Za-z0-9]+")
_LONG: Final = re.compile(rf"[^ ]{{{WORD_LIMIT + 1},}}")


def _split_capitals(text: str, wholes: list[str]) -> str:
    def split(match: re.Match[str]) -> str:
        word = match[0]
        parts = BOUNDARY.sub(" ", word)
        if len(parts) != len(word):
            wholes.append(word[:WORD_LIMIT])
        return parts

    return RUN.sub(split, text)


def _cut(match: re.Match[str]) -> str:
    return match[0][:WORD_LIMIT]


# ── Other characters ──

_NOT_ASCII: Final = re.compile("[^\x00-\x7f]+")
#: Accents of Latin, Greek and Cyrillic letters; points of Hebrew and Arabic, which most texts leave out; the line by
#: which Arabic words are stretched.
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u0640]+"
)
#: Letters with strokes, which Unicode does not take apart.
_STROKES: Final = str.maketrans("øØłŁđĐħĦŧŦıŒœÆæ", "oOlLdDhHtTiOoAa") | {
    ord("œ"): "oe",
    ord("Œ"): "OE",
    ord("æ"): "ae",
    ord("Æ"): "AE",
}
#: The blocks of scripts in which words are not separated by spaces, and of emoji.
_SINGLES: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1100, 0x11FF),  # Hangul, apart
    (0x1780, 0x17FF),  # Khmer
    (0x2600, 0x27BF),  # symbols
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3040, 0x31FF),  # Kana, Bopomofo, Hangul
    (0x3400, 0x4DBF),  # Chinese characters
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),
    (0x1B000, 0x1B2FF),  # more Kana
    (0x1F000, 0x1FAFF),  # emoji
    (0x20000, 0x3FFFF),  # more Chinese characters
)


class _Separated(dict[int, str]):
    """What stands for each character: itself, itself between spaces, a space, or nothing."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        kind = unicodedata.category(character)
        if code < 128:
            found = character
        elif kind in {"Cf", "Me"} or 0xFE00 <= code <= 0xFE0F:  # joiners, soft hyphens; what chooses the look of emoji
            found = "" if code != _ZERO_WIDTH_SPACE else " "
        elif any(first <= code <= last for first, last in _SINGLES) and kind[0] in "LNMS":
            found = f" {character} "
        else:
            found = character if kind[0] in "LNM" else " "
        self[code] = found
        return found


_ZERO_WIDTH_SPACE: Final = 0x200B
_separated: Final = _Separated()
#: Runs that were folded before, such as single accented letters.
_folded: Final[dict[str, str]] = {}
_MOST: Final = 4096


def _fold_run(match: re.Match[str]) -> str:
    run = match[0]
    found = _folded.get(run)
    if found is None:
        found = _fold(run)
        if len(run) <= 4:
            if len(_folded) >= _MOST:
                _folded.clear()
            _folded[run] = found
    return found


def _fold(run: str) -> str:
    """Return a run of characters that are not ASCII with the words in it separated; ASCII letters keep their case."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", run)).translate(_STROKES)
    plain = _NOT_ASCII.sub(lambda match: match[0].casefold(), plain)
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", plain)).translate(_separated)
