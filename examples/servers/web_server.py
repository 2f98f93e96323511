"""A web server over a store, to run several times: python web_server.py [PORT]

``GET /sessions`` lists sessions, ``GET /sessions/ID`` reads messages, ``POST /sessions`` creates a session, and
``POST /sessions/ID`` appends a message, which is the body. It has no users and no passwords: it is an example.
"""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hermes_store import HermesStoreError, Store
from hermes_store.paths import default_target
from hermes_store.webui import http_status

store = Store.open(default_target())


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    def do_GET(self) -> None:
        self._answer(lambda name: list(store.messages.read(name)) if name else _listed())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))

        def write(name: str) -> Any:
            if not name:
                return store.sessions.create(title=body.decode("utf-8", "replace") or "Untitled").session_id
            return store.messages.append(name, {"role": "user", "content": body.decode("utf-8", "replace")}).revision

        self._answer(write)

    def _answer(self, respond: Any) -> None:
        folder, _, name = self.path.strip("/").partition("/")
        try:
            status, value = (200, respond(name)) if folder == "sessions" else (404, "There is nothing here.")
        except HermesStoreError as error:
            status, value = http_status(error), str(error)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())


def _listed() -> list[Any]:
    return [session.model_dump() for session in store.sessions.list(limit=50).items]


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    ThreadingHTTPServer(("", port), Handler).serve_forever()
