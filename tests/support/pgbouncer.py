"""PgBouncer in front of the tests' PostgreSQL server, where the machine has it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def pgbouncer(server: sa.URL, **settings: str) -> Iterator[sa.URL]:
    """Run PgBouncer as long as the block, with its own defaults but for some settings, and give its URL."""
    if PROGRAM is None:
        pytest.skip("there is no pgbouncer; Debian and Ubuntu have it as a package of that name")
    host = server.query.get("host") or server.host or "127.0.0.1"
    with tempfile.TemporaryDirectory(prefix="hermes-bouncer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        place = f"host={host} port={server.port or 5432} user={server.username}"
        place += f" password={server.password}" if server.password else ""
        options = {"listen_addr": "127.0.0.1", "listen_port": port, "unix_socket_dir": "", "auth_type": "any"}
        lines = [f"* = {place}", "[pgbouncer]", *(f"{key} = {value}" for key, value in {**options, **settings}.items())]
        (folder / "pgbouncer.ini").write_text("\n".join(["[databases]", *lines, ""]))
        (folder / "pgbouncer.ini").chmod(0o644)
        # It does not run as root; the server's own user can reach the server's socket.
        place_of_server = Path(str(host))
        owner = place_of_server.owner() if place_of_server.is_dir() else "nobody"
        user = ["-u", owner if owner != "root" else "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen(
            [PROGRAM, *user, str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            _wait(port, process)
            yield sa.URL.create("postgresql", server.username, host="127.0.0.1", port=port, database=server.database)
        finally:
            process.terminate()
            process.communicate()


def _wait(port: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate()[1])
