"""A TCP proxy in front of a PostgreSQL server, which breaks connections at a commit, or never answers."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

import sqlalchemy as sa

#: "before": a commit does not reach the server. "after": it does, and its answer does not come back.
Cut = Literal["never", "before", "after"]


class CuttingProxy:
    """Listens on a port of this machine.

    Args:
        server: where the server is.
    """

    def __init__(self, server: sa.URL) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        #: What happens to the next commit. The ones after it are let through.
        self.cut: Cut = "never"
        #: Whether the next answer does not come back, so that what it answers is done.
        self._drops_answer = False
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: str) -> str:
        """Return the URL of a database on the server, through the proxy."""
        url = sa.URL.create(
            "postgresql",
            username=self._server.username,
            password=self._server.password,
            host="127.0.0.1",
            port=self._listener.getsockname()[1],
            database=database,
            query={"sslmode": "disable", "gssencmode": "disable"},
        )
        return url.render_as_string(hide_password=False)

    def close(self) -> None:
        _stop(self._listener)  # else its thread goes on waiting
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = self._connect()
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        with contextlib.suppress(OSError):
            self._forward(client, server)
        for one in (client, server):
            _stop(one)
            one.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65536):
            if b"COMMIT\0" not in data:
                server.sendall(data)
                continue
            cut, self.cut = self.cut, "never"
            if cut == "before":
                return
            self._drops_answer = cut == "after"
            server.sendall(data)

    def _copy(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while (data := server.recv(65536)) and not self._drops_answer:
                self._answer(data, client)
        self._drops_answer = False
        _stop(client)  # the server hung up, or its answer goes nowhere

    def _answer(self, data: bytes, client: socket.socket) -> None:
        client.sendall(data)

    def _connect(self) -> socket.socket:
        host = self._server.query.get("host") or self._server.host or "127.0.0.1"
        assert isinstance(host, str)
        port = self._server.port or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(f"{host}/.s.PGSQL.{port}")
        return connection


def _stop(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def silent_server() -> Iterator[int]:
    """Give the port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
