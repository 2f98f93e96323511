"""What a peer is: another library that keeps chat sessions in a SQLite file, used through its public interface."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

#: A function, or a coroutine function.
Verb = Callable[..., Any]


class Peer(ABC):
    """A peer with its own settings, on a file. Its session "s" is there once a message was appended to it.

    `verbs` has what it can do:

    - "append" a message to session "s", "append many" of them, "read" all, and the "tail" of 50;
    - "create" a session of an id, or "delete" it; "get" session "s", or "rename" it;
    - "list" the 50 last written, and "list all";
    - "search" messages for words, and return the first 20.
    """

    name: ClassVar[str]
    #: The distribution that has to be installed.
    distribution: ClassVar[str]
    #: Whether it lists sessions.
    lists: ClassVar[bool] = True

    @abstractmethod
    def __init__(self, path: Path) -> None:
        self.verbs: dict[str, Verb]

    def close(self) -> None:  # noqa: B027 - some have nothing to close
        """Close the file."""
