"""What is at the path of a database, where that is no file: the error says what it is, and nothing is opened."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from hermes_store import DatabaseUnavailableError, HermesStoreError, Store
from tests.support.processes import become_nobody, run_function


def refused(path: Path, *, read_only: bool = False) -> str:
    with pytest.raises(DatabaseUnavailableError) as caught:
        Store.open(path, read_only=read_only)
    return str(caught.value)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_directory_is_not_opened_as_a_database(tmp_path: Path, read_only: bool) -> None:
    said = refused(tmp_path, read_only=read_only)
    assert said.startswith(f"{tmp_path} is a directory, and a database is a file.")
    assert f"such as {tmp_path}/hermes.db." in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [True, False])
def test_a_pipe_does_not_hang_the_opening(tmp_path: Path, read_only: bool) -> None:
    os.mkfifo(tmp_path / "pipe.db")
    assert "is a pipe, and a database is a regular file" in refused(tmp_path / "pipe.db", read_only=read_only)


def test_sockets_and_devices_are_not_opened(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        assert "is a socket" in refused(tmp_path / "s")
    assert "is a device" in refused(Path(os.devnull))


def test_a_path_through_a_file_names_the_file(sqlite_path: Path) -> None:
    said = refused(sqlite_path / "folder" / "other.db")
    assert f"{sqlite_path} is a file, not a directory" in said


@pytest.mark.parametrize("name", ["x" * 300, "/".join(["y" * 200] * 30)])
def test_a_name_that_is_too_long_is_reported(tmp_path: Path, name: str) -> None:
    assert "cannot be opened: File name too long" in refused(tmp_path / name)


def test_links_in_a_circle_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a.db").symlink_to(tmp_path / "b.db")
    (tmp_path / "b.db").symlink_to(tmp_path / "a.db")
    assert "Too many levels of symbolic links" in refused(tmp_path / "a.db")


def open_as_nobody(*paths: str) -> None:
    """Print how the opening of each path fails."""
    become_nobody()
    for path in paths:
        for read_only in (True, False):
            try:
                Store.open(path, read_only=read_only).close()
            except HermesStoreError as error:
                print(type(error).__name__, error)
            else:
                print("opened")


def test_what_belongs_to_another_user_is_said_to(public_folder: Path, sqlite_template: Path) -> None:
    public_folder.chmod(0o755)
    private, unreadable = public_folder / "private", public_folder / "unreadable.db"
    private.mkdir(mode=0o700)
    shutil.copy(sqlite_template, private / "inside.db")
    (private / "inside.db").chmod(0o644)
    shutil.copy(sqlite_template, unreadable)
    unreadable.chmod(0o600)
    if os.geteuid() != 0:
        private.chmod(0)
        unreadable.chmod(0)
    done = run_function(open_as_nobody, private / "inside.db", private / "none.db", unreadable)
    private.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    for line in lines[:4]:
        assert line.startswith("DatabaseUnavailableError")
        assert f"you may not look into {private}, which belongs to" in line
    for line in lines[4:]:
        assert f"DatabaseUnavailableError {unreadable} may not be read by you: it belongs to " in line
