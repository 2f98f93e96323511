"""The index of the words of messages and titles, as each kind of database has it.

It finds candidates: `words.matching` decides which of them match. So it may find more than what matches, never less.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final, Literal, NamedTuple

from ..words.folding import Words
from ..words.query import Query

if TYPE_CHECKING:
    from .unit_of_work import UnitOfWork

#: What is indexed: the texts of messages, by their row ids, and the titles of sessions, by theirs.
Kind = Literal["messages", "titles"]
#: How many words of a phrase the index is asked for.
MOST_WORDS: Final = 64


class Document(NamedTuple):
    """The words of a message or a title, and its row id."""

    row_id: int
    words: Words


class WordIndex(ABC):
    """An index of words."""

    #: Whether removing messages from it takes the words that they had.
    needs_removed_words: ClassVar[bool]
    #: Whether messages and titles are added many at once, and those that were inserted last are pending. Their row ids
    #: say which these are, so they have to be in the order of the commits.
    is_batched: ClassVar[bool]

    @abstractmethod
    def add_messages(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        """Add messages that the index reaches (see `search_state_table`): those just inserted, for example."""

    @abstractmethod
    def replace_message(self, unit: UnitOfWork, row_id: int, before: Words | None, after: Words | None) -> None:
        """Write the words of a message that was changed, if the index has to have it; None for a text without words."""

    @abstractmethod
    def remove_messages(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        """Remove messages that the index has; with the words that they have, where `needs_removed_words`."""

    @abstractmethod
    def add_titles(self, unit: UnitOfWork, documents: Sequence[Document]) -> None:
        """Add titles that it does not have."""

    @abstractmethod
    def put_title(self, unit: UnitOfWork, document: Document) -> None:
        """Add a title, or overwrite it; nothing, if the index does not have to have it yet."""

    @abstractmethod
    def remove_title(self, unit: UnitOfWork, session: int) -> None:
        """Remove a title, if it is there."""

    @abstractmethod
    def find(self, unit: UnitOfWork, kind: Kind, query: Query, before: int, limit: int) -> list[int]:
        """Return the largest row ids below `before` of what may match, at most `limit`, the largest first."""

    def is_damage(self, error: BaseException) -> bool:
        """Whether an error of the driver says that the index does not fit what it was told to remove."""
        return False

    @abstractmethod
    def clear(self, unit: UnitOfWork) -> None:
        """Remove everything from it."""

    @abstractmethod
    def count(self, unit: UnitOfWork, kind: Kind) -> int:
        """Return how many messages or titles are in it."""

    @abstractmethod
    def holds(self, unit: UnitOfWork, document: Document) -> bool:
        """Whether a message is in it with some of its words."""
