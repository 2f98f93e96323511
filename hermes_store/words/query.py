"""What a person types to search, as terms.

Words are separated by spaces. `"words in quotes"` are found next to each other, `begin*` by its beginning, and messages
with `-without` are left out. Everything else is text: no query is wrong.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from .folding import words_of

#: How many characters and terms of a query are read.
QUERY_CHARACTERS: Final = 1_000
_MOST_TERMS: Final = 32
#: A quoted text, whose last quote may be missing, or what is between spaces.
_ITEM: Final = re.compile(r'(-?)"([^"]*)(?:"|$)|(\S+)')


class Phrase(NamedTuple):
    """Words that follow each other."""

    words: tuple[str, ...]
    #: Whether the last one is only the beginning of a word.
    is_prefix: bool = False


#: Phrases of which one has to be there: a word with capitals inside is found by its parts and as a whole.
Term = tuple[Phrase, ...]


class Query(NamedTuple):
    """What has to be in a text, and what must not be. Without a term it finds nothing."""

    terms: tuple[Term, ...]
    without: tuple[Term, ...]


def parse(text: str) -> Query:
    """Return what a person typed as a query; only the first `QUERY_CHARACTERS` are read, and the first 32 terms."""
    terms: dict[Term, None] = {}
    without: dict[Term, None] = {}
    for excludes, quoted, word in _ITEM.findall(text[:QUERY_CHARACTERS]):
        is_excluded = excludes == "-" or (not quoted and word.startswith("-"))
        term = _term(quoted, is_prefix=False) if quoted else _term(word, is_prefix=_is_prefix(word))
        if term is not None and len(terms) + len(without) < _MOST_TERMS:
            (without if is_excluded else terms)[term] = None
    return Query(tuple(terms), tuple(without))


def _is_prefix(word: str) -> bool:
    return len(word) > 1 and word.endswith("*") and words_of(word[-2]).text.strip() != ""


def _term(text: str, *, is_prefix: bool) -> Term | None:
    found = words_of(text)
    words = tuple(found.text.split())
    if not words:
        return None
    wholes = found.wholes.split()
    phrases = [Phrase(words, is_prefix)]
    # "getName" is also "getname"; "a.getName" is not, as wholes are not next to anything.
    if len(wholes) == 1 and wholes[0] == "".join(words):
        phrases.append(Phrase((wholes[0],), is_prefix))
    return tuple(phrases)
