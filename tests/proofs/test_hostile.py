"""Requests made up from the published document, good and bad, by everybody: no fault, and no answer that it does not
declare. The gateway's part is played by a few lines of WSGI around the one wrapper."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from chalice.app import Request
from hypothesis import HealthCheck, Phase, given, settings, strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chalicelib.api.handler import respond
from chalicelib.api.openapi import document
from chalicelib.api.routes import ROUTES
from chalicelib.transactions.context import Caller
from tests.conftest import new_table
from tests.support import tally
from tests.support.canaries import FIELDS, NAME
from tests.support.conformance import assert_conforms
from tests.support.every_route import AUTHENTICATED, named
from tests.support.world import World, another_with, everything, find, gateway_event

pytestmark = pytest.mark.exhaustive  # it takes minutes

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
PEOPLE = {
    "root": Caller("main", "root", True),
    "mona": Caller("main", "mona", False),
    "alice": Caller("main", "alice", False),
    "stranger": Caller("main", "stranger", False),
    "acme": Caller("acme", "mona", True),
}
KNOWN = {"pool": ["p", "p", "q"], "customer": ["c1", "c2", "c3", "c4"], "user": ["me", "alice", "bob", "mona"]}
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
CASES, MANY = 8, 60  # for each route: whenever tests are run, and where slow ones are


class Gateway:
    """What stands before the service, as a WSGI application: finds the route and the caller, and calls the wrapper.
    The bearer token is a name. What no route is for the real gateway answers."""

    world: World

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()  # by the first digit of the status

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("RAW_URI", environ["PATH_INFO"]).partition("?")[0]
        try:
            route, parameters = find(environ["REQUEST_METHOD"], path)
        except LookupError:
            start("403 Forbidden", [("Content-Type", "application/json")])
            return [b'{"message": "Missing Authentication Token"}']
        headers = {name[5:].replace("_", "-"): text for name, text in environ.items() if name.startswith("HTTP_")}
        content = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if content:
            headers["content-type"] = environ.get("CONTENT_TYPE", "")
        who = PEOPLE.get(headers.pop("AUTHORIZATION", "").removeprefix("Bearer "))
        query = environ.get("QUERY_STRING", "")
        event = gateway_event(route, parameters, who, route.path, content, headers)
        event["multiValueQueryStringParameters"] = parsed(query)
        reply = respond(lambda: self.world.service, route, Request(event), parameters).to_dict()
        assert_conforms(route, content, reply["statusCode"], reply["headers"], reply["body"])
        self.answered[f"{reply['statusCode']}"[0]] += 1
        tally.count("requests made up")
        start(f"{reply['statusCode']} {HTTPStatus(reply['statusCode']).phrase}", list(reply["headers"].items()))
        return [reply["body"].encode()]


def parsed(query: str) -> dict[str, list[str]] | None:
    """As the gateway decodes a query string."""
    pairs = [part.partition("=")[::2] for part in query.split("&") if part]
    return {unquote(name.replace("+", " ")): [unquote(text.replace("+", " "))] for name, text in pairs} or None


def peopled(endpoint: str) -> World:
    """Two pools with customers in several states."""
    world = World(new_table(endpoint))
    for pool in ("p", "q"):
        mona = world.pool(pool, claim_ttl="P7D", members_may_extend=True, extension="P1D", pin_limit=2, max_returns=3)
        for number in range(1, 5):
            mona.create(f"c{number}", name=NAME, fields=FIELDS, on_duplicate="allow")
        world.user("alice", pool=pool).claim_batch(["c1", "c2"])
        world.user("alice", pool=pool).post("/customers/c2/win")
    return world


GATEWAY = Gateway()


@pytest.fixture(scope="module")
def people(ministack: str) -> list[dict[str, Any]]:
    return list(everything(peopled(ministack).table))


@pytest.fixture
def gateway(ministack: str, people: list[dict[str, Any]]) -> Gateway:
    """The one gateway, as the schema knows one; with a world for each test, which the requests change as they go."""
    GATEWAY.world = another_with(new_table(ministack), people)
    GATEWAY.answered.clear()
    return GATEWAY


# Errors of a request are reported after those of its version, and never as a 5xx.
REJECTED = {"negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 409, 412, 413, 422]}}
SCHEMA = schemathesis.openapi.from_dict(
    json.loads(json.dumps(document(tuple(ROUTES)))), config=schemathesis.Config.from_dict({"checks": REJECTED})
)
SCHEMA.app = GATEWAY


def sensible(case: Any, data: st.DataObject) -> None:
    """With ids that there are, no matter what was made up, and a version that is likely: to come further than 404."""
    parameters, body, headers = case.path_parameters or {}, case.body, case.headers
    for name in parameters.keys() & KNOWN.keys():
        parameters[name] = data.draw(st.sampled_from(KNOWN[name]))
    if headers is not None and headers.pop("If-Match", None) is not None and case.method == "PATCH":
        headers["If-Match"] = data.draw(st.sampled_from(["*", "1", '"1"', "2"]))
    if isinstance(body, dict):
        if isinstance(body.get("customer_ids"), list):
            body["customer_ids"][:1] = data.draw(st.lists(st.sampled_from(KNOWN["customer"]), max_size=2))
        if isinstance(body.get("to"), str):
            body["to"] = data.draw(st.sampled_from(KNOWN["user"]))


def attacked(gateway: Gateway, route: Any, cases: int) -> Counter[str]:
    """That many requests to that route, good ones and bad ones. How they were answered."""
    operation = SCHEMA[route.path][route.method]

    @settings(
        max_examples=cases, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(MODES))))
        checks = CHECKS
        if data.draw(st.integers(0, 3)):
            sensible(case, data)
            checks = [check for check in CHECKS if check is not negative_data_rejection]  # it may be good by now
        signed_in = checks is not CHECKS or "Authorization" in case.headers  # or that is what is wrong with it
        who = data.draw(st.sampled_from([*PEOPLE, "mona", "mona", "alice"])) if signed_in else "nobody"
        case.call_and_validate(headers={"Authorization": f"Bearer {who}"}, checks=checks)

    attack()
    return gateway.answered


@pytest.mark.parametrize("route", AUTHENTICATED, ids=named)
def test_no_generated_request_gets_a_5xx_or_an_undocumented_response(gateway: Gateway, route: Any) -> None:
    assert attacked(gateway, route, CASES).total() >= CASES


@pytest.mark.parametrize("route", AUTHENTICATED, ids=named)
def test_no_generated_request_of_many_gets_a_5xx(gateway: Gateway, route: Any) -> None:
    answered = attacked(gateway, route, MANY)

    assert answered.total() >= MANY and answered["4"], dict(answered)
