"""File systems that are really full, read-only or gone: small ones in memory, which only root can make."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hermes_store import (
    DatabaseFullError,
    DatabaseMissingError,
    DatabaseReadOnlyError,
    DatabaseUnavailableError,
    HermesStoreError,
    Store,
)
from hermes_store.maintenance import backup, compact, verify
from tests.proofs.result import Result
from tests.support.processes import function_command, with_tests

_TEXT: Final = "x" * 20_000
_MEGABYTE: Final = 1 << 20


def prove_on_small_disk() -> Result:
    """Run the proof, or say why it cannot be run here."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return Result(figures={"not tried": "file systems that are really full: making them takes root, and unshare"})
    done = subprocess.run(
        ["unshare", "--mount", *function_command(run, ())],
        env=with_tests(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return Result(figures={"not tried": f"file systems that are really full: {done.stderr.splitlines()[-1:]}"})
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def run() -> None:
    """Run the proof in this process, which has its own view of what is mounted."""
    result = Result()
    with tempfile.TemporaryDirectory(prefix="disk-") as name:
        for mode in ("wal", "delete"):
            for case in (_full, _full_target, _no_temporary_files, _read_only, _vanished):
                folder = Path(name) / f"{mode}{case.__name__}"
                folder.mkdir()
                _mount(folder, "size=6m")
                os.environ["SQLITE_TMPDIR"] = name
                with Store.open(folder / "hermes.db", journal_mode=mode, busy_timeout=1) as store:
                    store.sessions.create(session_id="s")
                    for number in range(20):
                        store.messages.append("s", [number, _TEXT])
                    _require(result, f"{mode}{case.__name__}", store, case, folder)
                subprocess.run(["umount", "--lazy", folder], check=True)
                result.count("file systems that were really full, read-only or gone")
    print(json.dumps(dataclasses.asdict(result)))


def _mount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", folder], check=True)


def _require(
    result: Result, name: str, store: Store, case: Callable[[Store, Path], tuple[int, list[str]]], folder: Path
) -> None:
    """Run a case, and check that the same store works afterwards and has every append."""
    try:
        appended, problems = case(store, folder)
        store.messages.append("s", [appended, _TEXT])
        found = store.messages.read("s")
        if [one[0] for one in found] != list(range(appended + 1)):
            problems.append(f"{appended + 1} appends are {len(found)} messages")
        problems += [f"verify: {finding.kind} {finding.problem}" for finding in verify(store).findings]
    except Exception as error:  # whatever it is, it is a problem
        problems = [f"{type(error).__name__}: {error}"]
    result.problems += [f"{name}: {problem}" for problem in problems]


def _refused(problems: list[str], kinds: tuple[type[HermesStoreError], ...], call: Callable[[], object]) -> None:
    """Note a problem unless a call raises an error of some kinds."""
    try:
        call()
    except kinds:
        return
    except Exception as error:
        problems.append(f"{type(error).__name__}: {error}")
    else:
        problems.append("no error")


def _full(store: Store, folder: Path) -> tuple[int, list[str]]:
    """The disk is full, and later it is not."""
    problems: list[str] = []
    (folder / "other").write_bytes(bytes(3 * _MEGABYTE))
    appended = 20
    while appended < 400:
        try:
            store.messages.append("s", [appended, _TEXT])
        except DatabaseFullError:
            break
        appended += 1
    else:
        problems.append("it was never full")
    for _ in range(3):
        _refused(problems, (DatabaseFullError,), lambda: store.messages.extend("s", [["large", _TEXT]] * 100))
    if len(store.messages.read("s")) != appended:
        problems.append("other messages while it was full")
    (folder / "other").unlink()
    return appended, problems


def _full_target(store: Store, folder: Path) -> tuple[int, list[str]]:
    """The backup's disk is full."""
    problems: list[str] = []
    target = folder / "other"
    target.mkdir()
    _mount(target, "size=200k")
    _refused(problems, (DatabaseFullError,), lambda: backup(store, target))
    if [*target.iterdir()]:
        problems.append("a part of the backup was left")
    subprocess.run(["umount", target], check=True)
    backup(store, target)
    return 20, problems


def _no_temporary_files(store: Store, folder: Path) -> tuple[int, list[str]]:
    """The disk of temporary files is full."""
    problems: list[str] = []
    target = folder / "other"
    target.mkdir()
    _mount(target, "size=100k")
    os.environ["SQLITE_TMPDIR"] = str(target)
    _refused(problems, (DatabaseFullError,), lambda: compact(store))
    store.messages.append("s", [20, _TEXT])
    del os.environ["SQLITE_TMPDIR"]
    subprocess.run(["umount", "--lazy", target], check=True)
    return 21, problems


def _read_only(store: Store, folder: Path) -> tuple[int, list[str]]:
    """The system made the file system read-only, as it does after errors of the disk, and somebody undoes it."""
    problems: list[str] = []
    mode = store.info().journal_mode
    for view in (store, None):
        # Descriptors that are open for writing forbid it: these are closed first, as for a fork.
        store.database.dialect.close()
        done = subprocess.run(["mount", "-o", "remount,ro", folder], check=False)
        if done.returncode != 0:
            return 20, ["it could not be made read-only"]
        if view is not None:
            kinds = (DatabaseReadOnlyError, DatabaseUnavailableError)
            _refused(problems, kinds, lambda: store.messages.append("s", "lost"))
        elif mode == "delete":  # the log's index cannot be made there
            with Store.open(folder / "hermes.db", read_only=True) as reader:
                if len(reader.messages.read("s")) != 20:
                    problems.append("other messages while it was read-only")
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    return 20, problems


def _vanished(store: Store, folder: Path) -> tuple[int, list[str]]:
    """The folder is not there any more, as when a disk is unplugged, and then it is."""
    problems: list[str] = []
    inner = folder / "inner"
    inner.mkdir()
    with Store.open(inner / "hermes.db", busy_timeout=1) as other:
        other.sessions.create(session_id="s")
        inner.rename(folder / "away")
        for _ in range(2):
            _refused(
                problems,
                (DatabaseMissingError, DatabaseUnavailableError),
                lambda: other.messages.append("s", "lost"),
            )
        (folder / "away").rename(inner)
        other.messages.append("s", "with its folder")
        if other.messages.read("s") != ["with its folder"]:
            problems.append("other messages once the folder is there again")
    return 20, problems
