"""Whose tokens a deployment believes: what is said, or what the issuer's discovery document says. And an index that it
leaves out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, ROSTER
from chalicelib.dynamodb.schema import SCHEMA
from tools.deploy.deploy import leave_out, settings
from tools.local.oidc import key_set_of
from tools.problems import Unusable

ISSUER = "https://id.example.com/realms/sales"
DOCUMENT = {"issuer": ISSUER, "jwks_uri": "https://keys.example.com/sales.json", "token_endpoint": "https://x.example"}
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"


def publishing(document: Any, asked: list[str] | None = None) -> Callable[[str], bytes]:
    """An issuer that answers with that document, and notes what it was asked for."""

    def read(address: str) -> bytes:
        if asked is not None:
            asked.append(address)
        return document if isinstance(document, bytes) else json.dumps(document).encode()

    return read


def never(issuer: str) -> str:
    raise AssertionError(f"{issuer} was asked")


def test_an_issuer_is_asked_where_its_keys_are() -> None:
    asked: list[str] = []

    keys = key_set_of(ISSUER, publishing(DOCUMENT, asked))

    assert keys == DOCUMENT["jwks_uri"]
    assert asked == [f"{ISSUER}/.well-known/openid-configuration"]


def test_a_user_pool_of_cognito_is_an_issuer_like_any_other() -> None:
    document = {"issuer": COGNITO, "jwks_uri": f"{COGNITO}/.well-known/jwks.json"}

    given = settings(
        {"JWT_ISSUER": COGNITO, "JWT_AUDIENCE": "client"}, lambda issuer: key_set_of(issuer, publishing(document))
    )

    assert given == {"Jwks": document["jwks_uri"], "JwtIssuer": COGNITO, "JwtAudience": "client"}


def test_an_issuer_that_ends_with_a_slash_is_believed_as_it_writes_itself() -> None:
    document = DOCUMENT | {"issuer": f"{ISSUER}/"}

    assert key_set_of(f"{ISSUER}/", publishing(document)) == DOCUMENT["jwks_uri"]
    with pytest.raises(Unusable, match="has to be written as it says"):
        key_set_of(ISSUER, publishing(document))


UNBELIEVABLE: dict[str, Any] = {
    "of somebody else": DOCUMENT | {"issuer": "https://elsewhere.example"},
    "of nobody": {"jwks_uri": DOCUMENT["jwks_uri"]},
    "without a key set": {"issuer": ISSUER},
    "with keys that anybody on the way could change": DOCUMENT | {"jwks_uri": "http://keys.example.com"},
    "with keys that are no address": DOCUMENT | {"jwks_uri": ["https://keys.example.com"]},
    "that is a list": [DOCUMENT],
    "that is no JSON": b"<html>",
    "that is no text": b"\xff\xfe",
}


@pytest.mark.parametrize("document", UNBELIEVABLE.values(), ids=list(UNBELIEVABLE))
def test_a_document_that_cannot_be_believed_is_told_in_one_line(document: Any) -> None:
    with pytest.raises(Unusable) as told:
        key_set_of(ISSUER, publishing(document))

    assert "\n" not in str(told.value) and ISSUER in str(told.value)


def test_an_issuer_that_does_not_answer_is_told_in_one_line() -> None:
    def away(address: str) -> bytes:
        raise OSError("no route to host")

    with pytest.raises(Unusable, match=r"no route to host.*JWKS="):
        key_set_of(ISSUER, away)


def test_plain_http_is_never_asked() -> None:
    with pytest.raises(Unusable, match="not an https address"):
        key_set_of("http://id.example.com", never)  # type: ignore[arg-type]


def test_keys_that_are_said_are_taken_and_nobody_is_asked() -> None:
    said = {"JWKS": "https://keys.example.com", "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "a", "ALARM_TOPIC": "arn:x",
            "JWT_CLIENTS": "web app"}  # fmt: skip

    assert settings(said, never) == {
        "Jwks": "https://keys.example.com", "JwtIssuer": ISSUER, "JwtAudience": "a", "AlarmTopic": "arn:x",
        "JwtClients": "web app",
    }  # fmt: skip


def test_a_later_deployment_says_nothing_and_asks_nobody() -> None:
    assert settings({"HOME": "/", "JWKS": ""}, never) == {}


def test_keys_at_an_address_that_anybody_could_answer_for_are_refused() -> None:
    with pytest.raises(Unusable, match="https"):
        settings({"JWKS": "http://keys.example.com"}, never)


# An index that is made anew


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A template with the table and something beside it."""
    made = tmp_path / "sam.json"
    made.write_text(json.dumps({"Resources": {"Table": {"Properties": SCHEMA}, "Other": {"Properties": {}}}}))
    return made


def test_an_index_can_be_left_out_for_one_deployment_and_nothing_else_is(declared: Path) -> None:
    leave_out(DUE, declared)

    left = json.loads(declared.read_text())["Resources"]
    table = left["Table"]["Properties"]
    assert {each["IndexName"] for each in table["GlobalSecondaryIndexes"]} == INDEX_RANGE.keys() - {DUE}
    gone = [each for each in SCHEMA["AttributeDefinitions"] if each not in table["AttributeDefinitions"]]
    assert {each["AttributeName"] for each in gone} == {DUE, INDEX_RANGE[DUE]}
    assert table.keys() == SCHEMA.keys() and left["Other"] == {"Properties": {}}


def test_an_attribute_that_something_else_is_sorted_by_stays(declared: Path) -> None:
    leave_out(ROSTER, declared)

    attributes = json.loads(declared.read_text())["Resources"]["Table"]["Properties"]["AttributeDefinitions"]
    assert {"AttributeName": "pk", "AttributeType": "S"} in attributes


def test_an_index_that_is_not_there_is_told_with_those_that_are(declared: Path) -> None:
    before = declared.read_text()

    with pytest.raises(Unusable, match=r"WITHOUT=duty is no index: choose one of roster, place, due, names, reminder"):
        leave_out("duty", declared)

    assert declared.read_text() == before
