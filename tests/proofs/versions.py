"""Proof: the first release and this code on one database lose nothing, and each says what it cannot do.

The first release is taken from the history of this repository.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

from hermes_store import SchemaOutdatedError, StaleSessionError, Store
from hermes_store.maintenance import verify
from hermes_store.maintenance.reports import FindingKind
from tests.proofs.result import Result
from tests.support.paths import ROOT

_FIRST_RELEASE: Final = "8a4afc5"
#: Reads a call from each line, and prints what it returned, or the error.
_PROGRAM: Final = """
import json, sys
from hermes_store import Store
store = Store.open(sys.argv[1], busy_timeout=30)
print('"open"', flush=True)
for line in sys.stdin:
    noun, verb, arguments, named = json.loads(line)
    try:
        result = getattr(getattr(store, noun), verb)(*arguments, **named)
        shown = list(result) if verb == "read" and noun == "messages" else getattr(result, "revision", None)
        print(json.dumps(shown), flush=True)
    except Exception as error:
        print(json.dumps({"module": type(error).__module__, "error": type(error).__name__}), flush=True)
"""


def why_not() -> str:
    """Return why the first release is not here; nothing if it is."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return "the first release is in the history of the repository, and this is no clone of it"
    done = subprocess.run(["git", "-C", ROOT, "cat-file", "-e", _FIRST_RELEASE], capture_output=True, check=False)
    return "" if done.returncode == 0 else "this clone has no history that goes back to the first release"


def prove(*, rounds: int) -> Result:
    """Let both write in turn; `rounds` is how often."""
    if reason := why_not():
        return Result(skipped=reason)
    result = Result()
    with tempfile.TemporaryDirectory(prefix="versions-") as name:
        folder = Path(name)
        git = ["git", "-C", str(ROOT), "archive", "--format=zip", _FIRST_RELEASE, "hermes_store", "migrations"]
        archive = subprocess.run(git, capture_output=True, check=True).stdout
        zipfile.ZipFile(io.BytesIO(archive)).extractall(folder / "first-release")
        _before_the_upgrade(result, folder)
        _in_turn(result, folder, rounds)
    return result


class _FirstRelease:
    """A process of the first release that has a database open."""

    def __init__(self, folder: Path, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, path],
            env={**os.environ, "PYTHONPATH": str(folder / "first-release")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.is_open = self._process.stdout.readline() != ""

    def call(self, noun: str, verb: str, *arguments: Any, **named: Any) -> Any:
        """Call a verb there, and return what it returned: messages, a revision, or the error's name."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([noun, verb, arguments, named]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def end(self) -> str:
        """Close it, and return what it printed as errors."""
        return self._process.communicate()[1]


def _before_the_upgrade(result: Result, folder: Path) -> None:
    """Without an upgrade this code refuses the old database, and after it the first release refuses the new one."""
    path = folder / "refused.db"
    old = _FirstRelease(folder, path)
    old.call("sessions", "create", session_id="s", title="Trip")
    for options in ({"migrate": False}, {"read_only": True}):
        try:
            Store.open(path, **options).close()  # type: ignore[arg-type]
            result.problems.append(f"an old database was opened with {options}")
        except SchemaOutdatedError:
            result.count("refusals")
    old.call("messages", "append", "s", "still")
    old.end()
    with Store.open(path) as store:
        if list(store.messages.read("s")) != ["still"]:
            result.problems.append("an upgrade lost what the first release wrote")
    before = path.read_bytes()
    refused = _FirstRelease(folder, path)
    if refused.is_open or "UnsupportedDatabaseError" not in refused.end():
        result.problems.append("the first release opened an upgraded database")
    if path.read_bytes() != before:
        result.problems.append("the first release changed what it refused")
    result.count("refusals")


def _in_turn(result: Result, folder: Path, rounds: int) -> None:
    """The first release has the database open while this code upgrades it, and both go on."""
    path = folder / "in-turn.db"
    old = _FirstRelease(folder, path)
    old.call("sessions", "create", session_id="s", title="Trip")
    expected = []
    with Store.open(path, busy_timeout=30) as store:
        for number in range(rounds):
            for writer in ("this", "first release"):
                message = {"role": "user", "content": f"{writer} {number}"}
                done = store.messages.append("s", message) if writer == "this" else _appended(old, message)
                if isinstance(done, dict):
                    result.count("typed errors of the first release")
                    if not done["module"].startswith("hermes_store"):
                        result.problems.append(f"the first release ended in {done}")
                    continue
                expected.append(message)
                result.count(f"appends of {writer}")
            _require_stale(result, store, old, number)
            if list(store.messages.read("s")) != expected or old.call("messages", "read", "s") != expected:
                result.problems.append(f"round {number}: one of them reads other messages")
        old.end()
        # The first release keeps neither the times of activity, nor the count of the user's messages, nor the index of
        # words, and nothing is lost by that.
        derived = (FindingKind.TIMES, FindingKind.USER_MESSAGE_COUNT, FindingKind.SEARCH)
        findings = [one for one in verify(store).findings if one.kind not in derived]
        result.problems += [f"verify: {one.kind} {one.problem}" for one in findings]


def _appended(old: _FirstRelease, message: Any) -> Any:
    return old.call("messages", "append", "s", message)


def _require_stale(result: Result, store: Store, old: _FirstRelease, number: int) -> None:
    """What the first release wrote is not overwritten by somebody who has not read it."""
    read = store.messages.read("s")
    if isinstance(old.call("sessions", "update", "s", title=f"Title {number}"), dict):
        return
    try:
        store.messages.replace("s", [*read, {"role": "user", "content": "lost"}], expected_revision=read.revision)
        result.problems.append(f"round {number}: a write went over what the first release wrote")
    except StaleSessionError:
        result.count("writes that were refused as stale")
