"""A receiver of calls, on the loopback address that the operator opened for these tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Receiver:
    """What it answers, and what it got: (headers, body) of each call."""

    port: int
    statuses: list[int] = field(default_factory=list)
    location: str = ""
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    settings.WEBHOOKS_BY_HTTP = True
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known.calls.append(({**self.headers, "path": self.path}, body))
            self.send_response(known.statuses.pop(0) if known.statuses else 204)
            if known.location:
                self.send_header("Location", known.location)
            self.end_headers()

        def log_message(self, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Receiver(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join()
