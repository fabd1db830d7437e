"""HTTP itself, as the local gateway serves it: connections, bodies, malformed requests, concurrency and shutdown."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any

import pytest
from chalice.app import Chalice, Response

from tools.local.gateway import LocalApi
from tools.local.lambda_proxy import MAX_BODY

MALFORMED = {
    "no HTTP": b"hello\r\n\r\n",
    "a method in lower case": b"get /length HTTP/1.1\r\n\r\n",
    "a header without a colon": b"POST /length HTTP/1.1\r\nbroken\r\n\r\n",
    "a space before the colon": b"POST /length HTTP/1.1\r\nContent-Length : 3\r\n\r\nabc",
    "a bare line feed in a header": b"POST /length HTTP/1.1\r\nX: a\nContent-Length: 3\r\n\r\nabc",
    "a signed length": b"POST /length HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc",
    "two lengths": b"POST /length HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a chunk size that is not hexadecimal": b"POST /length HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "a negative chunk size": b"POST /length HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
}


class Meeting:
    """An app whose route `/meet` answers once `people` have arrived there."""

    def __init__(self, people: int) -> None:
        self.app = Chalice(app_name="meeting")
        self.entered, self.barrier = threading.Event(), threading.Barrier(people)
        self.app.route("/length", methods=["POST"], content_types=["*/*"])(self.length)
        self.app.route("/meet", methods=["GET"], content_types=["*/*"])(self.meet)
        self.app.route("/people/{person}", methods=["GET"], content_types=["*/*"])(self.person)

    def length(self) -> Response:
        assert self.app.current_request is not None
        return Response({"length": len(self.app.current_request.raw_body)})

    def meet(self) -> Response:
        self.entered.set()
        self.barrier.wait(20)
        return Response({"met": True})

    def person(self, person: str) -> Response:
        return Response({"found": person != ""})


@contextmanager
def connected(api: LocalApi) -> Iterator[HTTPConnection]:
    connection = HTTPConnection(api.url.removeprefix("http://"), timeout=30)
    try:
        yield connection
    finally:
        connection.close()


@pytest.fixture
def api() -> Iterator[LocalApi]:
    with LocalApi(Meeting(1).app) as api:
        yield api


def request(connection: HTTPConnection, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, bytes]:
    connection.request(method, path, body, {"Content-Type": "application/octet-stream"}, **options)
    response = connection.getresponse()
    return response.status, response.read()


def sent_raw(api: LocalApi, text: bytes) -> bytes:
    """Return everything that the server sends until it closes the connection."""
    host, _, port = api.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 30) as raw:
        raw.sendall(text)
        received = b""
        while piece := raw.recv(1 << 16):
            received += piece
        return received


def test_one_connection_serves_many_requests(api: LocalApi) -> None:
    with connected(api) as connection:
        assert request(connection, "POST", "/length", b"abc") == (200, b'{"length":3}')
        used = connection.sock

        assert request(connection, "GET", "/nothing")[0] == 404
        assert request(connection, "HEAD", "/meet") == (404, b"")
        assert request(connection, "BREW", "/length")[0] == 404
        assert request(connection, "GET", "/meet") == (200, b'{"met":true}')

        assert connection.sock is used


def test_a_chunked_body_arrives_whole(api: LocalApi) -> None:
    with connected(api) as connection:
        chunks = iter([b"x" * 70_000, b"y", b"z" * 5])

        assert request(connection, "POST", "/length", chunks, encode_chunked=True) == (200, b'{"length":70006}')


@pytest.mark.parametrize("size", [MAX_BODY, MAX_BODY + 1])
def test_a_body_of_more_than_ten_megabytes_is_too_large(api: LocalApi, size: int) -> None:
    with connected(api) as connection:
        status, text = request(connection, "POST", "/length", b"x" * size)
        again = request(connection, "POST", "/length", b"")

    answer = json.loads(text)
    assert (status, answer.get("length")) == (200, size) or (status, answer.get("code")) == (413, "payload_too_large")
    assert (status == 200) == (size <= MAX_BODY)
    assert again == (200, b'{"length":0}')


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_gets_a_400_and_closes_only_its_connection(api: LocalApi, text: bytes) -> None:
    response = sent_raw(api, text + b"POST /length HTTP/1.1\r\nContent-Length: 0\r\n\r\n")

    assert response.startswith(b"HTTP/1.") and response.split(b" ", 2)[1] == b"400"
    assert response.count(b"HTTP/1.") == 1
    with connected(api) as connection:
        assert request(connection, "POST", "/length", b"ab") == (200, b'{"length":2}')


def test_a_client_that_disconnects_midway_disturbs_nobody(api: LocalApi) -> None:
    host, _, port = api.url.removeprefix("http://").partition(":")
    for part in (b"POST /len", b"POST /length HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"):
        with socket.create_connection((host, int(port)), 30) as raw:
            raw.sendall(part)

    with connected(api) as connection:
        assert request(connection, "POST", "/length", b"ab") == (200, b'{"length":2}')


def test_requests_are_served_concurrently() -> None:
    with LocalApi(Meeting(20).app) as api, ThreadPoolExecutor(20) as clients:

        def meet(number: int) -> tuple[int, bytes]:
            with connected(api) as connection:
                return request(connection, "GET", "/meet")

        assert set(clients.map(meet, range(20))) == {(200, b'{"met":true}')}


def test_a_stopping_server_finishes_the_request_under_way_and_closes_idle_connections() -> None:
    meeting = Meeting(2)
    api = LocalApi(meeting.app).start()
    with connected(api) as busy, connected(api) as idle, ThreadPoolExecutor(2) as others:
        assert request(idle, "POST", "/length", b"")[0] == 200
        under_way = others.submit(request, busy, "GET", "/meet")
        assert meeting.entered.wait(20)
        stopping = others.submit(api.stop)
        assert not wait([stopping], 0.3).done
        meeting.barrier.wait(20)

        assert under_way.result(20) == (200, b'{"met":true}')
        stopping.result(20)
        assert idle.sock.recv(1) == b""
    with pytest.raises(OSError), connected(api) as late:
        late.connect()


def test_each_request_is_logged_by_its_route_without_path_and_query() -> None:
    logged: list[tuple[str, str, int]] = []

    with LocalApi(Meeting(1).app, log=lambda *line: logged.append(line[:3])) as api, connected(api) as connection:
        request(connection, "GET", "/meet?token=secret")
        request(connection, "GET", "/people/13812345678")
        request(connection, "GET", "/people/zhang%40example.com?x")
        request(connection, "POST", "/people/13812345678")
        request(connection, "GET", "/13812345678")

    people = "/people/{person}"
    assert logged == [
        ("GET", "/meet", 200), ("GET", people, 200), ("GET", people, 200), ("POST", "-", 404), ("GET", "-", 404),
    ]  # fmt: skip
