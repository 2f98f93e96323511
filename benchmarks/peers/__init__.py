"""Other libraries that keep chat sessions. One that is not installed is left out, and that is noted."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from ..timing import call
from ..workload import message
from .agno import Agno
from .base import Peer
from .google_adk import GoogleADK
from .hermes_agent import HermesAgent
from .langchain import LangChain
from .llm import Llm
from .openai import OpenAISQLAlchemy, OpenAISQLite

KINDS: tuple[type[Peer], ...] = (OpenAISQLite, OpenAISQLAlchemy, LangChain, GoogleADK, Agno, HermesAgent, Llm)

__all__ = ["KINDS", "Peer", "PeerSet", "versions"]


def versions() -> dict[str, str]:
    """Return the versions of the peers that are installed, by their distribution."""
    found = {}
    for name in dict.fromkeys(kind.distribution for kind in KINDS):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class PeerSet:
    """The peers that work here.

    Args:
        folder: where their databases are made.
        note: called with a text for each peer that is left out.
    """

    def __init__(self, folder: Path, note: Callable[[str], object]) -> None:
        self._folder = folder
        self._note = note
        self._usable = [kind for kind in KINDS if self._is_installed(kind)]

    def _is_installed(self, kind: type[Peer]) -> bool:
        if kind.distribution in versions():
            return True
        self._note(f"{kind.name} is left out: {kind.distribution} is not installed.")
        return False

    def open(self, stack: ExitStack, folder: Path, *, messages: int = 0, sessions: int = 0) -> list[Peer]:
        """Open peers on copies of databases that they filled themselves, until the stack is closed.

        Args:
            folder: where the copies are made.
            messages: how many messages session "s" has.
            sessions: how many other sessions there are. If any, only the peers that can list them are opened.
        """
        opened = []
        for kind in [*self._usable]:
            if sessions and not kind.lists:
                continue
            try:
                peer = self._open(kind, folder, messages, sessions)
            except Exception as error:  # whatever a version raises that works differently
                self._note(f"{kind.name} is left out: {type(error).__name__}: {error}")
                self._usable.remove(kind)
                continue
            stack.callback(peer.close)
            opened.append(peer)
        return opened

    def _open(self, kind: type[Peer], folder: Path, messages: int, sessions: int) -> Peer:
        filled = self._folder / f"{kind.__name__}-{messages}-{sessions}"
        if not filled.exists():
            unfinished = filled.with_suffix(".tmp")
            unfinished.mkdir()
            peer = kind(unfinished / "peer.db")
            for number in range(messages):
                call(peer.verbs["append"], message(number))
            for number in range(sessions):
                call(peer.verbs["create"], f"s{number}")
            peer.close()
            unfinished.rename(filled)
        return kind(Path(shutil.copytree(filled, folder / kind.__name__)) / "peer.db")
