"""What a process knows of the messages and titles that are not in the index of words yet.

It says when the database has to be asked how many there are, so that most appends need not do that.
"""

from __future__ import annotations

from typing import NamedTuple


class PendingWords(NamedTuple):
    """Where they began when it was looked at last, as row ids of a message and a session. They begin there or later."""

    messages_from: int = 0
    titles_from: int = 0
    #: How many bytes of messages this process wrote since they began.
    size: int = 0
