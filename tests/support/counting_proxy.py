"""A TCP proxy in front of a PostgreSQL server, which counts how often a client waits for the server."""

from __future__ import annotations

import socket

from tests.support.cutting_proxy import CuttingProxy


class CountingProxy(CuttingProxy):
    """Listens on a port of this machine; for one connection at a time."""

    #: How often a client sent something after the server had answered. Messages that are sent together count once.
    trips = 0
    _is_answered = True

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65536):
            self.trips += self._is_answered
            self._is_answered = False
            server.sendall(data)

    def _answer(self, data: bytes, client: socket.socket) -> None:
        self._is_answered = True
        client.sendall(data)
