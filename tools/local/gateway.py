"""The service over HTTP on this machine, as it is behind API Gateway: `with LocalApi(app) as api: api.url`.

waitress reads and writes HTTP, and `tools.local.lambda_proxy` behaves like API Gateway. Listens on loopback only.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Self

from chalice.app import Chalice
from waitress import wasyncore
from waitress.server import create_server

from chalicelib import services
from chalicelib.model.struct_types import prepare_structs
from tools.local.lambda_proxy import LambdaProxy
from tools.problems import Unusable

HOST = "127.0.0.1"
THREADS = 64  # concurrent requests; more wait
CONNECTIONS = 500  # with waitress's 100, the test under load would run out of connections
FINISH_WITHIN = 10.0  # seconds that requests under way get when the server stops

RequestLog = Callable[[str, str, int, float], None]
"""Called for each request with method, route pattern, status and seconds. A path may contain a phone number."""


class LocalApi:
    """Serve the app in threads, from `start` (or `with`) to `stop`. `port` 0 selects a free one.

    Raises `Unusable` when the port is taken.
    """

    def __init__(self, app: Chalice, port: int = 0, log: RequestLog | None = None) -> None:
        services.import_all()
        prepare_structs()
        self._proxy, self._log = LambdaProxy(app), log
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns whenever a request waits for a thread
        try:
            self._server = create_server(
                self._serve,
                host=HOST,
                port=port,
                ident="customer-pool",
                threads=THREADS,
                connection_limit=CONNECTIONS,
                asyncore_use_poll=True,
                log_socket_errors=False,  # a client that disconnects is normal
            )
        except OSError as error:
            raise Unusable(f"port {port} on {HOST} cannot be used: {error.strerror}; choose another one") from None
        self._thread = threading.Thread(target=self._server.run, name="local-api", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.effective_port}"

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Let requests under way finish, then close all connections."""
        self._server.task_dispatcher.shutdown(timeout=FINISH_WITHIN)
        with suppress(OSError):  # the loop may close the trigger before the last pull writes to it
            self._server.trigger.pull_trigger(lambda: wasyncore.close_all(self._server._map))
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _serve(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        """The WSGI application. It uses the path as it was sent, since WSGI's own has lost `%2F` and `;`."""
        started = time.monotonic()
        method, target = environ["REQUEST_METHOD"], environ["REQUEST_URI"]
        answer = self._proxy.answer(method, target, _headers(environ), environ["wsgi.input"].read())
        length = ("Content-Length", str(len(answer.body)))
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", [*answer.headers.items(), length])
        if self._log:
            self._log(method, answer.route, answer.status, time.monotonic() - started)
        return [] if method == "HEAD" else [answer.body]


def _headers(environ: dict[str, Any]) -> dict[str, str]:
    """Return the request's headers by lower-case name."""
    names = {name: name.removeprefix("HTTP_") for name in environ if name.startswith(("HTTP_", "CONTENT_"))}
    return {header.replace("_", "-").lower(): environ[name] for name, header in names.items()}
