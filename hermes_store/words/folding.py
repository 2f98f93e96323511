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
    has_long = _LONG_RUN.match(text) is not None
    if has_long and ("data:" in text or _LONG_DATA.match(text)):
        text = _DATA.sub(" ", text)
    if not text.isascii():
        text = _NOT_ASCII.sub(_fold_run, text)
    wholes = ""
    if _CAPITAL_INSIDE.search(text):
        wholes = " ".join([word[:WORD_LIMIT] for word in RUN.findall(text) if _has_capital_inside(word)]).lower()
        text = _CAPITAL_INSIDE.sub(_after_space, text)
    folded = text.encode("utf-8", "replace").translate(_ASCII).decode()
    if has_long and _LONG_WORD.match(folded):
        folded = _LONG.sub(_cut, folded)
    return Words(folded, wholes)


def _has_block(characters: str, size: int) -> re.Pattern[str]:
    """Return a pattern for texts that have a block of `size` such characters, beginning at a multiple of `size`.

    Each run of 2 * size - 1 of them has one. To look at blocks takes a fraction of the time of looking for runs.
    """
    return re.compile(rf"(?s:.{{{size}}})*?{characters}{{{size}}}")


# ── Data ──

#: URIs with data; long runs of the characters of Base64; several lines of them.
_DATA: Final = re.compile(
    r"data:[\w.+/-]{0,80}(?:;[\w.=+-]{1,80}){0,4},[^\s\"'<>()\\]*"
    r"|(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/=_-]{200,}|(?:[A-Za-z0-9+/]{60,}[\r\n]+){2,}[A-Za-z0-9+/=]*)"
)
#: Texts that may have 47 characters without a space in between. Only there data is looked for, and words are cut.
_LONG_RUN: Final = _has_block(r"[^ \n]", 24)
#: Texts that may have 60 characters of Base64 in a row.
_LONG_DATA: Final = _has_block("[A-Za-z0-9+/=_-]", 30)


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
#: Texts that may have one of these.
_LONG_WORD: Final = _has_block("[^ ]", WORD_LIMIT // 2)


def _has_capital_inside(word: str) -> bool:
    return not word.islower() and _CAPITAL_INSIDE.search(word) is not None


def _after_space(match: re.Match[str]) -> str:
    return f" {match[0]}"


def _cut(match: re.Match[str]) -> str:
    return match[0][:WORD_LIMIT]


# ── Other characters ──

#: (Without `+`, as a pattern that begins with one character takes a third of the time where there is none.)
_NOT_ASCII: Final = re.compile("[^\x00-\x7f][^\x00-\x7f]*")
#: Accents of Latin, Greek and Cyrillic letters; points of Hebrew and Arabic, which most texts leave out; the line by
#: which Arabic words are stretched.
_ACCENTS: Final = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u0640]"
)
#: Letters with strokes, which Unicode does not take apart.
_STROKES: Final = dict(zip("øØłŁđĐħĦŧŦı", "oOlLdDhHtTi", strict=True)) | {"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE"}
_STROKED: Final = re.compile(f"[{''.join(_STROKES)}]")
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
#: Runs that were folded before: accented letters, and words.
_folded: Final[dict[str, str]] = {}
_MOST: Final = 8192
#: How many characters such a run has at most.
_MOST_CHARACTERS: Final = 16


def _fold_run(match: re.Match[str]) -> str:
    run = match[0]
    found = _folded.get(run)
    if found is None:
        found = _fold(run)
        if len(run) <= _MOST_CHARACTERS:
            if len(_folded) >= _MOST:
                _folded.clear()
            _folded[run] = found
    return found


def _fold(run: str) -> str:
    """Return a run of characters that are not ASCII with the words in it separated; ASCII letters keep their case."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", run))
    plain = _STROKED.sub(lambda match: _STROKES[match[0]], plain)
    plain = _NOT_ASCII.sub(lambda match: match[0].casefold(), plain)
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", plain)).translate(_separated)
