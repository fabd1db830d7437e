"""The service over HTTP on this machine, as it is behind API Gateway: `with LocalApi(app) as api: api.url`.

Only sockets here: what an answer says is decided in `tools.local.lambda_proxy`. No request, however broken, ends in a
traceback, a 500, or a connection that gives the next request a wrong answer. Listens on loopback only.
"""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any, Self

from chalice.app import Chalice

from tools.local.http_body import BodyMalformed, BodyTooLarge, declared_length, read_body, refuse_broken
from tools.local.lambda_proxy import Answer, LambdaProxy
from tools.problems import Unusable

HOST = "127.0.0.1"
IDLE_TIMEOUT = 60  # seconds without a byte before a connection is closed
DRAIN_SECONDS = 5.0  # how long an unwanted body is read and thrown away, so that its sender sees our answer
FINISH_WITHIN = 10.0  # seconds that requests under way have to finish when the server stops

RequestLog = Callable[[str, str, int, float], None]
"""Called after each request with method, path without query, status and seconds."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "customer-pool"
    sys_version = ""
    # A request line that cannot be read is answered with headers, not as HTTP/0.9 was.
    default_request_version = "HTTP/1.0"
    timeout = IDLE_TIMEOUT
    # One packet per answer, sent at once: without these two a keep-alive request stalls for 44 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_any(self) -> None:
        started = time.monotonic()
        with self.server.counting():
            try:
                refuse_broken(self.headers)
                body = read_body(self.headers, self.rfile)
            except BodyTooLarge:
                self.refuse("payload_too_large")
                return
            except (BodyMalformed, OSError):
                self.refuse("invalid_request")
                return
            # Spaces around a header's value are none of it; the standard library leaves those after it.
            headers = {name: value.strip(" \t") for name, value in self.headers.items()}
            answer = self.server.proxy.answer(self.command, self.path, headers, body)
            self.send_answer(answer)
            self.server.log_request(self.command, self.path, answer.status, time.monotonic() - started)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = handle_any

    def send_answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()

    def refuse(self, code: str) -> None:
        """Answer a request that cannot be read to its end, and give up the connection."""
        self.close_connection = True
        headers = getattr(self, "headers", None)
        answer = self.server.proxy.problem(code, headers.get("accept-language") if headers else None)
        self.send_answer(answer)
        self.server.log_request(self.command or "?", getattr(self, "path", "?"), answer.status, 0.0)
        self._drain()

    def _drain(self) -> None:
        # Closing with unread data makes the kernel reset the connection, and our answer would be lost with it.
        deadline = time.monotonic() + DRAIN_SECONDS
        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(1.0)
            while time.monotonic() < deadline and self.connection.recv(1 << 16):
                pass
        except OSError:
            pass

    def handle_expect_100(self) -> bool:
        try:
            declared_length(self.headers.get_all("content-length", []))
        except BodyTooLarge:
            self.refuse("payload_too_large")
            return False
        except BodyMalformed:
            self.refuse("invalid_request")
            return False
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The standard library's way of refusing what it cannot parse; an unknown method comes this way too."""
        self.refuse("not_found" if code == HTTPStatus.NOT_IMPLEMENTED else "invalid_request")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the server's own log has one line per request and no query in it."""


class Server(ThreadingMixIn, HTTPServer):
    """Accepts connections, knows which are open and how many requests are under way."""

    daemon_threads = True
    # The default of 5 makes the sixth of fifty clients wait a second for its connection.
    request_queue_size = 128

    def __init__(self, port: int, proxy: LambdaProxy, log: RequestLog | None) -> None:
        self.proxy = proxy
        self._log = log
        self._connections: set[Any] = set()
        self._under_way = 0
        self._changed = threading.Condition()
        super().__init__((HOST, port), Handler)

    def server_bind(self) -> None:
        # HTTPServer asks DNS for our own name here, which can take seconds and serves nothing.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.socket.getsockname()[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._changed:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no event; anything else is told in one line."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"connection dropped: {error!r}", file=sys.stderr)

    def log_request(self, method: str, path: str, status: int, seconds: float) -> None:
        if self._log:
            self._log(method, path.partition("?")[0], status, seconds)

    def counting(self) -> _UnderWay:
        return _UnderWay(self)

    def count(self, change: int) -> None:
        with self._changed:
            self._under_way += change
            self._changed.notify_all()

    def finish(self) -> None:
        """Let requests under way end, then close every connection that is still open."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0, FINISH_WITHIN)
            connections = list(self._connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class _UnderWay:
    """One request being served."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __enter__(self) -> None:
        self._server.count(1)

    def __exit__(self, *exc: object) -> None:
        self._server.count(-1)


class LocalApi:
    """The app served in a thread, from `start` (or `with`) to `stop`. `port` 0 takes a free one.

    Raises `Unusable` when the port is taken.
    """

    def __init__(self, app: Chalice, port: int = 0, log: RequestLog | None = None) -> None:
        try:
            self._server = Server(port, LambdaProxy(app), log)
        except OSError as error:
            raise Unusable(f"port {port} on {HOST} cannot be used: {error.strerror}; choose another one") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="local-api", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._server.finish()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()
