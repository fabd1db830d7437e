"""The authorizer as the gateway calls it, and what the service believes of what the gateway hands over."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from chalicelib.api.auth import caller_from, context_of
from chalicelib.model.errors import Refused
from chalicelib.model.users import Profile
from chalicelib.transactions.context import Caller
from tests.support.forging import AUDIENCE, ISSUER, KEYS, handmade, token


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """app.py as a new process loads it; other tests load it with their own environment."""
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": KEYS}))
    for name, setting in {"JWKS": str(file), "JWT_ISSUER": ISSUER, "JWT_AUDIENCE": AUDIENCE}.items():
        monkeypatch.setenv(name, setting)
    spec = importlib.util.spec_from_file_location("app_of_this_test", Path(__file__).parents[2] / "app.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def authorize(service: ModuleType, authorization: str) -> Any:
    """As API Gateway calls a TOKEN authorizer."""
    arn = "arn:aws:execute-api:us-east-1:1:api/api/POST/v1/pools/p/claim"
    return service.authorizer({"type": "TOKEN", "authorizationToken": authorization, "methodArn": arn}, None)


def test_the_authorizer_returns_tenant_user_and_role_as_text(service: ModuleType) -> None:
    answer = authorize(service, token(tenant="acme", roles=["admin"]))

    assert answer["principalId"] == "alice"
    assert answer["context"] == {"tenant": "acme", "user": "alice", "admin": "true"}
    assert {each["Effect"] for each in answer["policyDocument"]["Statement"]} == {"Allow"}


def test_the_authorizer_maps_any_subject_to_an_id_the_gateway_can_carry(service: ModuleType) -> None:
    answer = authorize(service, token(sub="auth0|张三\n" * 200))

    assert answer["principalId"] == answer["context"]["user"]
    assert re.fullmatch("u_[a-z2-7]{26}", answer["principalId"])
    assert caller_from({"authorizer": answer["context"]}).user == answer["principalId"]


def test_the_authorizer_passes_name_address_and_department_as_ascii(service: ModuleType) -> None:
    stated = {"name": "张三 %41\u2028é", "email": "zhang@example.com", "department": "销售"}

    answer = authorize(service, token(**stated, picture="https://example.com", nickname="Z"))

    assert answer["context"].keys() == {"tenant", "user", "admin", *stated}
    assert all(text.isascii() and text.isprintable() for text in answer["context"].values())
    assert caller_from({"authorizer": answer["context"]}).profile == Profile(**stated)


@pytest.mark.parametrize(
    "claim", [None, "", " ", "\u3164", "a\n", "\u202ea", 7, ["Alice"], {"a": 1}, "x" * 201, True], ids=ascii
)
def test_a_claim_that_is_no_name_is_left_out_and_denies_nobody_access(service: ModuleType, claim: object) -> None:
    answer = authorize(service, token(name=claim, department=claim, email="a@b.cn"))

    assert answer["context"] == {"tenant": "main", "user": "alice", "admin": "false", "email": "a%40b.cn"}


@pytest.mark.parametrize("text", [7, None, ["a"], "%00", "%", "%E5", "x" * 201, ""])
def test_a_malformed_name_in_the_context_is_left_out(text: object) -> None:
    caller = caller_from({"authorizer": VOUCHED | {"name": text, "department": "Sales"}})

    assert caller.profile.department == "Sales"
    assert caller.profile.name in (None, "%", "\ufffd")


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", handmade({"alg": "none"}, "{}"), token(exp=1)], ids=["", "x", "none", "ended"]
)
def test_the_authorizer_raises_the_message_that_the_gateway_maps_to_401(
    service: ModuleType, authorization: str
) -> None:
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(service, authorization)


@pytest.mark.parametrize(
    "caller", [Caller("acme", "alice", True, Profile("Alice", "a@b.cn", "R&D")), Caller("main", "bob", False)]
)
def test_the_authorizer_context_yields_the_caller(caller: Caller) -> None:
    assert caller_from({"authorizer": context_of(caller)}) == caller


VOUCHED: dict[str, Any] = {"tenant": "main", "user": "alice", "admin": "false"}


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"authorizer": None},
        {"authorizer": "alice"},
        {"authorizer": []},
        {"authorizer": {}},
        {"authorizer": {"claims": VOUCHED}},
        *({"authorizer": {name: text for name, text in VOUCHED.items() if name != left_out}} for left_out in VOUCHED),
        *(
            {"authorizer": VOUCHED | {"admin": each}}
            for each in (True, False, "True", "yes", "1", "", None, list[str](), "true ")
        ),
        *({"authorizer": VOUCHED | {"user": user}} for user in ("", "a#b", 7, None, "alice\n", ["alice"])),
        *({"authorizer": VOUCHED | {"tenant": tenant}} for tenant in ("", "a#b", 7, None, "x" * 65)),
    ],
    ids=str,
)
def test_an_incomplete_authorizer_context_is_unauthenticated(context: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        caller_from(context)

    assert refused.value.refusal.reason == "unauthenticated"


def test_the_authorizer_verifies_a_token_without_loading_the_parser_of_certificates(tmp_path: Path) -> None:
    key_set = tmp_path / "jwks.json"
    key_set.write_text(json.dumps({"keys": KEYS}))
    program = (
        "import sys; from chalicelib.api.auth import Verifier\n"
        "Verifier(*sys.argv[1:4]).caller(sys.argv[4])\n"
        "module = sys.modules['cryptography.x509']\n"
        "kind = type(module).__name__\n"
        "print(kind, module.load_pem_x509_certificate.__name__, type(module).__name__)"
    )
    given = [str(key_set), ISSUER, AUDIENCE, token()]

    done = subprocess.run([sys.executable, "-c", program, *given], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("_LazyModule load_pem_x509_certificate module\n", "")
