"""A service of AWS between the functions and the emulator: it refuses what a drill wants to be refused."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias

from tools.local.engines import HOST

Refuse: TypeAlias = Callable[[str], str | None]  # the code with which an operation is refused; None lets it through
PASSED_ON = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization", "X-Amz-Security-Token")


@dataclass
class FaultyAws:
    """At `address`, what the emulator at `endpoint` answers, or the refusals of `refuse`. `refused` counts them."""

    endpoint: str
    address: str = ""
    refuse: Refuse = lambda operation: None
    refused: Counter[str] = field(default_factory=Counter)

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, bytes, str]:
        operation = headers.get("X-Amz-Target", "").rpartition(".")[2]
        code = self.refuse(operation)
        if code is not None:
            self.refused[operation] += 1
            return 400, json.dumps({"__type": code, "message": "refused"}).encode(), "application/x-amz-json-1.0"
        request = urllib.request.Request(self.endpoint, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as done:
                return done.status, done.read(), done.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers["Content-Type"]


@contextmanager
def faulty(endpoint: str) -> Iterator[FaultyAws]:
    aws = FaultyAws(endpoint)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            status, content, kind = aws.answer(headers, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A function that ends closes its connections."""

    with Server((HOST, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        aws.address = f"http://{HOST}:{server.server_port}"
        yield aws
        server.shutdown()
