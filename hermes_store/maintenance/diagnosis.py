"""What `doctor` found."""

from __future__ import annotations

import enum

from ..record_base import Record


class Severity(enum.StrEnum):
    """How bad something is."""

    OK = "ok"
    NOTE = "note"
    """It is worth knowing."""
    WARNING = "warning"
    """It may become a problem."""
    PROBLEM = "problem"
    """Something is wrong now."""


class Diagnosis(Record):
    """Something that was looked at."""

    #: What was looked at, in one or two words.
    check: str
    severity: Severity
    #: What was found, as a sentence.
    text: str
    #: What it means, and what to do, as sentences; empty where nothing is to be done.
    advice: str = ""


class DoctorReport(Record):
    """What `doctor` found."""

    #: The database.
    target: str
    #: In the order in which it was looked at.
    items: list[Diagnosis]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether there is no warning and no problem."""
        return not any(item.severity in (Severity.WARNING, Severity.PROBLEM) for item in self.items)
