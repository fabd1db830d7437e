"""Deployments: settings from the environment or the issuer's discovery document, and changes that are refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tools.deploy.change_sets import STATEFUL, Change, change_of, refuse_loss, summary
from tools.deploy.deploy import settings
from tools.local.oidc import key_set_of
from tools.problems import Unusable

ISSUER = "https://id.example.com/realms/sales"
DOCUMENT = {"issuer": ISSUER, "jwks_uri": "https://keys.example.com/sales.json", "token_endpoint": "https://x.example"}
COGNITO = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"


def publishing(document: Any, requested: list[str] | None = None) -> Callable[[str], bytes]:
    """Return an issuer that responds with that document and appends each requested address to a list."""

    def read(address: str) -> bytes:
        if requested is not None:
            requested.append(address)
        return document if isinstance(document, bytes) else json.dumps(document).encode()

    return read


def never(issuer: str) -> str:
    raise AssertionError(f"{issuer} was requested")


def test_deploy_discovers_the_key_set_of_an_issuer() -> None:
    requested: list[str] = []

    keys = key_set_of(ISSUER, publishing(DOCUMENT, requested))

    assert keys == DOCUMENT["jwks_uri"]
    assert requested == [f"{ISSUER}/.well-known/openid-configuration"]


def test_deploy_discovers_the_key_set_of_a_cognito_user_pool() -> None:
    document = {"issuer": COGNITO, "jwks_uri": f"{COGNITO}/.well-known/jwks.json"}

    given = settings(
        {"JWT_ISSUER": COGNITO, "JWT_AUDIENCE": "client"}, lambda issuer: key_set_of(issuer, publishing(document))
    )

    assert given == {"Jwks": document["jwks_uri"], "JwtIssuer": COGNITO, "JwtAudience": "client"}


def test_deploy_keeps_the_trailing_slash_of_an_issuer() -> None:
    document = DOCUMENT | {"issuer": f"{ISSUER}/"}

    assert key_set_of(f"{ISSUER}/", publishing(document)) == DOCUMENT["jwks_uri"]
    with pytest.raises(Unusable, match="has another issuer than"):
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
def test_deploy_rejects_an_untrusted_discovery_document_in_one_line(document: Any) -> None:
    with pytest.raises(Unusable) as raised:
        key_set_of(ISSUER, publishing(document))

    assert "\n" not in str(raised.value) and ISSUER in str(raised.value)


def test_deploy_reports_an_unreachable_issuer_in_one_line() -> None:
    def away(address: str) -> bytes:
        raise OSError("no route to host")

    with pytest.raises(Unusable, match=r"no route to host.*JWKS="):
        key_set_of(ISSUER, away)


def test_deploy_never_requests_an_issuer_over_plain_http() -> None:
    with pytest.raises(Unusable, match="not an https address"):
        key_set_of("http://id.example.com", never)  # type: ignore[arg-type]


def test_deploy_uses_a_given_key_set_without_discovery() -> None:
    environment = {
        "JWKS": "https://keys.example.com", "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": "a", "ALARM_TOPIC": "arn:x",
        "JWT_CLIENTS": "web app",
    }  # fmt: skip

    assert settings(environment, never) == {
        "Jwks": "https://keys.example.com", "JwtIssuer": ISSUER, "JwtAudience": "a", "AlarmTopic": "arn:x",
        "JwtClients": "web app",
    }  # fmt: skip


def test_a_later_deployment_needs_no_discovery() -> None:
    assert settings({"HOME": "/", "JWKS": ""}, never) == {}


def test_deploy_rejects_a_key_set_address_without_https() -> None:
    with pytest.raises(Unusable, match="https"):
        settings({"JWKS": "http://keys.example.com"}, never)


# Change sets


def described(action: str, kind: str = "AWS::DynamoDB::Table", **more: Any) -> dict[str, Any]:
    """As CloudFormation describes the change of a resource."""
    return {"LogicalResourceId": "Table", "ResourceType": kind, "Action": action, **more}


@pytest.mark.parametrize("kind", sorted(STATEFUL))
@pytest.mark.parametrize(
    ("effect", "change"),
    [
        ("replaces", {"action": "Modify", "Replacement": "True"}),
        ("may replace", {"action": "Modify", "Replacement": "Conditional"}),
        ("removes", {"action": "Remove"}),
    ],
)
def test_a_change_that_loses_stored_data_is_refused_in_one_line(kind: str, effect: str, change: dict[str, Any]) -> None:
    with pytest.raises(Unusable) as raised:
        refuse_loss([change_of(described(kind=kind, **change))], confirmed=["Queue"])

    assert str(raised.value) == (
        f'refused, since the deployment {effect} Table: to lose that data, add CONFIRM="Table"'
    )


def test_all_losses_of_a_deployment_are_named_at_once_and_confirmed_by_their_names() -> None:
    losses = [Change("Table", "AWS::DynamoDB::Table", "replaces"), Change("Bus", "AWS::Events::EventBus", "removes")]

    with pytest.raises(Unusable, match=r'replaces Table, removes Bus: .* add CONFIRM="Table Bus"'):
        refuse_loss(losses, confirmed=[])
    refuse_loss(losses, confirmed=["Table", "Bus"])


@pytest.mark.parametrize(
    "change",
    [
        described("Add"),
        described("Modify", Replacement="False"),
        described("Modify", "AWS::Lambda::Permission", Replacement="True"),
        described("Remove", "AWS::CloudWatch::Alarm"),
    ],
)
def test_a_change_that_keeps_stored_data_needs_no_confirmation(change: dict[str, Any]) -> None:
    refuse_loss([change_of(change)], confirmed=[])


def test_the_summary_of_a_change_set_names_resources_by_effect_without_those_that_only_get_tags() -> None:
    changes = [
        Change("Table", "AWS::DynamoDB::Table", "replaces"), Change("Api", "AWS::Lambda::Function", "changes"),
        Change("Sweep", "AWS::Lambda::Function", "changes"), change_of(described("Modify", Scope=["Tags"])),
    ]  # fmt: skip

    assert summary(changes) == "  changes: Api Sweep\n  replaces: Table"
