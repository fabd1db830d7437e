"""Deployments: settings from the environment or the issuer's discovery document, and changes that are refused."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib import bootstrap
from tools.deploy.change_sets import STATEFUL, Change, change_of, refuse_loss, summary
from tools.deploy.package import Package, runtime_warning
from tools.deploy.settings import digest, effective, refuse_unusable, settings
from tools.local.oidc import key_set_of
from tools.paths import PROJECT
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


def test_an_empty_optional_setting_is_given_as_empty_and_an_empty_required_one_is_not() -> None:
    assert settings({"WEB_ACL": "", "JWT_ISSUER": "", "JWT_AUDIENCE": "", "JWKS": ""}, never) == {"WebAcl": ""}


# Parameters


@pytest.fixture
def template(tmp_path: Path) -> Path:
    declared = {"Given": {"Default": "a"}, "Kept": {"Default": "b"}, "Reset": {"Default": "c"}, "New": {}}
    (tmp_path / "sam.yaml").write_text(json.dumps({"Parameters": declared}))
    return tmp_path / "sam.yaml"


def test_a_parameter_is_as_given_or_as_kept_or_its_default(template: Path) -> None:
    kept = {"Given": "old", "Kept": "kept", "Reset": "old", "Removed": "old"}

    values = effective(template, kept, {"Given": "new", "Reset": ""})

    assert values == {"Given": "new", "Kept": "kept", "Reset": "c", "New": ""}


def test_a_version_has_a_digest_of_its_code_its_template_and_its_parameters(template: Path, tmp_path: Path) -> None:
    code = tmp_path / "code.zip"
    code.write_bytes(b"code")
    made = Package(template, code, "arm64")

    first = digest(made, {"A": "1", "B": "2"})
    same = digest(made, {"B": "2", "A": "1"})
    configured = digest(made, {"A": "1", "B": "3"})
    code.write_bytes(b"other code")

    assert first == same and re.fullmatch("[0-9a-f]{64}", first)
    assert len({first, configured, digest(made, {"A": "1", "B": "2"})}) == 3


PLAIN = {"SnapStart": "off", "DomainName": "", "DomainCertificate": ""}


def test_snapshots_need_python_3_12() -> None:
    refuse_unusable(PLAIN | {"SnapStart": "on"}, python=(3, 12))
    refuse_unusable(PLAIN, python=(3, 11))
    with pytest.raises(Unusable, match=r"SNAP_START=on needs Python 3\.12"):
        refuse_unusable(PLAIN | {"SnapStart": "on"}, python=(3, 11))


@pytest.mark.parametrize("name", ["DomainName", "DomainCertificate"])
def test_a_domain_name_and_its_certificate_are_given_together(name: str) -> None:
    refuse_unusable(PLAIN | {"DomainName": "pool.example.com", "DomainCertificate": "arn"})
    with pytest.raises(Unusable, match="DOMAIN_NAME needs DOMAIN_CERTIFICATE"):
        refuse_unusable(PLAIN | {name: "given"})


@pytest.mark.parametrize("python", [(3, 12), (3, 13), (3, 14)])
def test_packaging_with_a_current_python_warns_about_nothing(python: tuple[int, int]) -> None:
    assert runtime_warning(python) is None


def test_packaging_warns_about_a_python_that_lambda_deprecates_and_refuses_one_that_it_does_not_have() -> None:
    warning = runtime_warning((3, 11))

    assert warning is not None and "Lambda deprecates Python 3.11 on 2027-06-30" in warning
    with pytest.raises(Unusable, match=r"Lambda has no Python 3\.15: .* PYTHON=python3\.14"):
        runtime_warning((3, 15))


def test_chalice_deploy_is_refused_with_one_line_that_names_the_right_command() -> None:
    command = [sys.executable, "-c", "from chalice.cli import main; main()", "deploy"]

    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Use `make deploy STAGE=dev`: `chalice deploy` leaves out the table (docs/operations.md, Deploying)"
    ]


def test_a_process_that_is_restored_from_a_snapshot_gets_random_numbers_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hooks: list[Callable[[], object]] = []
    monkeypatch.setitem(sys.modules, "snapshot_restore_py", SimpleNamespace(register_after_restore=hooks.append))
    bootstrap.reseed_restored()
    state = random.getstate()
    first = random.random()
    random.setstate(state)

    for hook in hooks:
        hook()

    assert random.random() != first


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
