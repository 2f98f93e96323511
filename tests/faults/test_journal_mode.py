"""The journal mode: of a new file WAL, of an older one what it has, and on shared file systems never WAL by itself."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hermes_store import InvalidInputError, Store
from hermes_store.storage.dialects import sqlite_file
from hermes_store.storage.dialects.file_systems import shared_file_system

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:5 / {folder} rw - {kind} server:/export rw
broken line
"""


def mounted(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(MOUNTS.format(folder=str(tmp_path / "a share").replace(" ", "\\040"), kind=kind))
    (tmp_path / "a share" / "within").mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "fuse.grpcfuse"])
def test_shared_file_systems_are_recognised(tmp_path: Path, kind: str) -> None:
    mounts = mounted(tmp_path, kind)
    assert shared_file_system(tmp_path / "a share", mounts) == kind
    assert shared_file_system(tmp_path / "a share" / "within", mounts) == kind
    (tmp_path / "a share2").mkdir()
    assert shared_file_system(tmp_path / "a share2", mounts) is None


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", "zfs"])
def test_other_file_systems_are_not(tmp_path: Path, kind: str) -> None:
    assert shared_file_system(tmp_path / "a share", mounted(tmp_path, kind)) is None
    assert shared_file_system(tmp_path, tmp_path / "no such list") is None


def test_new_files_on_shared_file_systems_avoid_wal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mounts = mounted(tmp_path, "virtiofs")
    monkeypatch.setattr(sqlite_file, "shared_file_system", lambda folder: shared_file_system(folder, mounts))
    path = tmp_path / "a share" / "h.db"
    with caplog.at_level(logging.WARNING, "hermes_store"):
        for _ in range(2):
            with Store.open(path) as store:
                assert store.info().journal_mode == "delete"
    (warning,) = caplog.records
    assert "virtiofs" in warning.getMessage()
    with Store.open(path, journal_mode="wal") as store:
        assert store.info().journal_mode == "wal"
    with Store.open(path) as store:  # it was chosen
        assert store.info().journal_mode == "wal"


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist"])
def test_a_file_with_data_keeps_its_mode(sqlite_path: Path, mode: str) -> None:
    with closing(sqlite3.connect(sqlite_path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
    for _ in range(2):
        with Store.open(sqlite_path) as store:
            store.sessions.create()
            # Of the older modes, the file does not say which; WAL it does.
            assert store.info().journal_mode == "delete"


def test_a_mode_that_is_named_is_set(tmp_path: Path) -> None:
    for mode in ("wal", "delete", "wal"):
        with Store.open(tmp_path / "h.db", journal_mode=mode) as store:
            assert store.info().journal_mode == mode
    with Store.open(tmp_path / "h.db", journal_mode="delete", read_only=True) as store:
        assert store.info().journal_mode == "wal"


@pytest.mark.parametrize("mode", ["off", "memory", "WAL", None, 1, []])
def test_any_other_mode_is_refused(tmp_path: Path, mode: Any) -> None:
    with pytest.raises(InvalidInputError, match="journal_mode"):
        Store.open(tmp_path / "h.db", journal_mode=mode)
    assert list(tmp_path.iterdir()) == []
