"""Run the package like Lambda: AWS's own runtime in a clean interpreter, which gets its events from this process.

Nothing else is installed there, so a package with a missing module fails here and not on AWS.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.local.engines import HOST

ANSWER_WITHIN = 60.0
FUNCTION_ARN = "arn:aws:lambda:us-east-1:000000000000:function:alone"
# -I and -S: only the standard library, the package and the runtime can be imported, in that order.
START = """
import sys
sys.path[:0] = [sys.argv[1]]
sys.path.append(sys.argv[2])
from awslambdaric.__main__ import main
main(["awslambdaric", sys.argv[3]])
"""


class FunctionFailed(Exception):
    """The error that the function reported, or its log if it ended without one."""


class LambdaRuntime:
    """One function of the package unpacked at `root`, inside a `with`. `runtime` is the folder with AWS's runtime.

    The function has that many seconds for an event, and the ARN `arn`.
    """

    def __init__(
        self,
        root: Path,
        runtime: Path,
        handler: str,
        settings: dict[str, str],
        *,
        seconds: float = 30,
        arn: str = FUNCTION_ARN,
    ) -> None:
        self._command = [sys.executable, "-I", "-S", "-c", START, str(root), str(runtime), handler]
        self._root, self._settings, self._handler_name = root, settings, handler
        self._seconds, self._arn = seconds, arn
        self._events: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._answers: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self._events, self._answers, self._seconds, self._arn))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        environment = self._settings | {
            "_HANDLER": self._handler_name,
            "AWS_LAMBDA_RUNTIME_API": f"{HOST}:{self._server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": "alone",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_LOG_LEVEL": "INFO",
            "LAMBDA_TASK_ROOT": str(self._root),
        }
        self._process = subprocess.Popen(
            self._command, env=environment, cwd=self._root, stdout=self._log, stderr=subprocess.STDOUT
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()
        self._log.close()

    def invoke(self, event: dict[str, Any]) -> Any:
        """Return the response of the function. Raises `FunctionFailed`."""
        self._events.put((str(uuid.uuid4()), json.dumps(event).encode()))
        deadline = time.monotonic() + ANSWER_WITHIN
        while time.monotonic() < deadline:
            try:
                kind, answer = self._answers.get(timeout=0.2)
            except queue.Empty:
                if self._process.poll() is not None:
                    break
            else:
                if kind == "response":
                    return answer
                raise FunctionFailed(answer)
        raise FunctionFailed("\n".join(self.log()))

    def log(self) -> list[str]:
        """Return the lines written so far."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace").splitlines()


def _handler(
    events: queue.Queue[tuple[str, bytes]], answers: queue.Queue[tuple[str, Any]], seconds: float, arn: str
) -> type[BaseHTTPRequestHandler]:
    class RuntimeApi(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            request_id, event = events.get()
            headers = {
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": arn,
                "Content-Type": "application/json",
            }
            self._answer(200, headers, event)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kind = "response" if self.path.endswith("/response") else "error"
            answers.put((kind, json.loads(body or b"null")))
            self._answer(202, {"Content-Type": "application/json"}, b'{"status":"OK"}')

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    return RuntimeApi
