"""An import from a path that is no state directory: the error says what is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hermes_store import FilesError, HermesStoreError, Store
from hermes_store.files import import_directory
from tests.support.processes import become_nobody, run_function


def refused(store: Store, path: Path) -> str:
    with pytest.raises(FilesError) as caught:
        import_directory(store, path)
    said = str(caught.value)
    assert said.startswith(str(path))
    return said


def test_the_error_says_why_the_path_is_refused(sqlite_store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert "it does not exist. Name the directory that" in refused(sqlite_store, tmp_path / "none")
    for name in ("file", "pipe"):
        assert "it is no directory. Name" in refused(sqlite_store, tmp_path / name)
    assert "it has neither sessions/" in refused(sqlite_store, tmp_path)
    assert "File name too long" in refused(sqlite_store, tmp_path / ("x" * 300))


def import_as_nobody(path: str) -> None:
    """Print how the import fails."""
    with Store.open(":memory:") as store:
        become_nobody()
        try:
            import_directory(store, path)
        except HermesStoreError as error:
            print(type(error).__name__, error)


@pytest.mark.slow
def test_another_users_directory_is_reported_as_permission_denied(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700 if os.geteuid() == 0 else 0)
    done = run_function(import_as_nobody, private)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"FilesError {private} cannot be looked at: Permission denied.")
