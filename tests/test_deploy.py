"""Whose tokens a deployment believes: what is said, or what the issuer's discovery document says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tools.deploy import settings
from tools.oidc import key_set_of
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
    said = {"JWKS": "https://keys.example.com", "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "a", "ALARM_TOPIC": "arn:x"}

    assert settings(said, never) == {
        "Jwks": "https://keys.example.com", "JwtIssuer": ISSUER, "JwtAudience": "a", "AlarmTopic": "arn:x",
    }  # fmt: skip


def test_a_later_deployment_says_nothing_and_asks_nobody() -> None:
    assert settings({"HOME": "/", "JWKS": ""}, never) == {}


def test_keys_at_an_address_that_anybody_could_answer_for_are_refused() -> None:
    with pytest.raises(Unusable, match="https"):
        settings({"JWKS": "http://keys.example.com"}, never)
