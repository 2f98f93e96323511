"""What `verify` found and `repair` left, for people."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console

from .output import say

if TYPE_CHECKING:
    from ..maintenance import Finding


def place_of(session_id: str | None) -> str:
    """Return where something was found: in a session, or in the database as a whole."""
    return "database" if session_id is None else f"session {session_id}"


def print_findings(console: Console, findings: Iterable[Finding], verb: str = "") -> None:
    """Print each finding on a line, and what to do once for those that follow each other with the same advice."""
    start = f"{verb} " if verb else ""
    for advice, group in groupby(findings, lambda finding: finding.advice):
        lines = [f"{start}{place_of(finding.session_id)}: {finding.problem}." for finding in group]
        if len(lines) == 1:
            say(console, f"{lines[0]} {advice}", "red")
            continue
        for line in lines:
            say(console, line, "red")
        say(console, f"Of these {len(lines):,}: {advice}")
