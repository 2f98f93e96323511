"""What `doctor` says of a database: one condition, and how bad it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

#: "ok"; "note": worth knowing; "warning": it may become a problem; "problem": something is wrong now.
Severity = Literal["ok", "note", "warning", "problem"]


class Condition(NamedTuple):
    """Something that was looked at."""

    #: What was looked at, in one or two words.
    check: str
    severity: Severity
    #: What was found, as a sentence.
    text: str
    #: What it means, and what to do, as sentences; empty where nothing is to be done.
    advice: str = ""
