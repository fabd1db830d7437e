"""What the wire leaves out of botocore's calls, and what it must not."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from chalicelib import __version__
from chalicelib.domain.rules import held, pk
from chalicelib.dynamodb.client import Client
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Action, Check, Delete, Put, Table, Update


def test_a_client_without_credentials_is_rebuilt_once_they_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    wire = Client("pool", "us-east-1", None)
    without = wire.client

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "late")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "late")

    assert wire.client is not without
    assert wire.client is wire.client


def test_the_client_sends_the_bytes_that_botocore_sends(real_table: Table) -> None:
    key, other, third, fourth = (Key(f"T#main#P#p#C#{name}", "-") for name in "abcd")
    wire, sent = real_table.connection, list[Any]()
    actions: list[Action] = [
        Put(key, {"name": {"S": "ü"}, "rows": {"B": b"\x00\xff"}}, pk.does_not_exist()),
        Update(other, [held.add(1)], (held < 5) & pk.exists()),
        Check(third, pk.does_not_exist()),
        Delete(fourth),
    ]

    def keep(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), Body(b"{}"))

    wire.client.meta.events.register("before-send.dynamodb", keep)
    wire.transact(actions, "token")
    settings = Config(retries={"mode": "standard"})
    plain: Any = botocore.session.get_session().create_client(
        "dynamodb", "us-east-1", endpoint_url=wire.client.meta.endpoint_url, config=settings
    )
    plain.meta.events.register("before-send.dynamodb", keep)
    items = json.loads(sent[0].body)["TransactItems"]
    items[0]["Put"]["Item"]["rows"]["B"] = b"\x00\xff"
    plain.transact_write_items(TransactItems=items, ClientRequestToken="token")

    ours, theirs = sent
    assert json.loads(ours.body) == json.loads(theirs.body)
    assert (ours.url, ours.method) == (theirs.url, theirs.method)
    assert set(ours.headers) == set(theirs.headers)
    for name in ("X-Amz-Target", "Content-Type"):
        assert ours.headers[name] == theirs.headers[name]
    assert ours.headers["User-Agent"].startswith(f"customer-pool/{__version__} ".encode())


class Body:
    """An answer's content, as botocore reads it."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def stream(self) -> list[bytes]:
        return [self.content]
