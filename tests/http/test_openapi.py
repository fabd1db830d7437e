"""The published OpenAPI document is valid, complete, and the one that is served.

`conformance` checks every response of every test against it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from jsonschema_rs import Draft202012Validator
from msgspec import Struct
from msgspec.structs import fields
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from chalicelib.api.openapi import document
from chalicelib.api.routes import ROUTES
from chalicelib.api.routing import POOL, Answer, NoBody, Route
from chalicelib.model import pool_responses, responses, times
from chalicelib.model.policy import Policy
from tests.support.conformance import compiled, operation, resolved
from tests.support.every_route import named
from tests.support.world import World
from tools.docs.openapi import COMMITTED, rendered

DOCUMENT: Any = json.loads(rendered())


def test_the_committed_document_is_the_one_the_service_serves(world: World) -> None:
    served = world.request(None, "GET", "/v1/openapi.json")

    assert (served.status, served.headers["Content-Type"]) == (200, "application/json")
    assert served.json == DOCUMENT
    assert COMMITTED.read_text(encoding="utf-8") == rendered(), "run: make openapi"


def test_the_document_does_not_depend_on_docstring_indentation() -> None:
    assert "\\n  " not in rendered()


def test_the_document_is_valid_openapi_3_1() -> None:
    validate(DOCUMENT, cls=OpenAPIV31SpecValidator)


def test_every_schema_of_the_document_is_a_valid_json_schema() -> None:
    for name in DOCUMENT["components"]["schemas"]:
        compiled({"$ref": f"#/components/schemas/{name}"})


def objects_in(of: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in the document, with the path to it."""
    if isinstance(of, dict):
        yield at, of
    for name, each in of.items() if isinstance(of, dict) else enumerate(of) if isinstance(of, list) else ():
        yield from objects_in(each, f"{at}/{name}")


def schemas_with(member: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the schemas with that member. Objects under `properties` or `examples` are no schemas."""
    return [
        (at, each)
        for at, each in objects_in(DOCUMENT)
        if member in each and not at.endswith(("/properties", "/examples"))
    ]


def test_every_array_schema_declares_its_items() -> None:
    arrays = [(at, each) for at, each in schemas_with("type") if each["type"] == "array"]

    assert len(arrays) > 20
    assert [at for at, each in arrays if "items" not in each] == []


def test_every_enum_and_constant_schema_declares_its_type() -> None:
    listed = [*schemas_with("enum"), *schemas_with("const")]

    assert len(listed) > 20
    assert [at for at, each in listed if "type" not in each] == []


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_operation_has_a_name_in_snake_case_a_summary_a_description_and_tags(route: Route) -> None:
    spec = operation(route)

    words = spec["operationId"].split("_")
    assert all(re.fullmatch("[a-z]+", word) and not re.fullmatch(".+(batch|pool|next)", word) for word in words)
    assert spec["summary"] and spec["description"].startswith(spec["summary"]) and spec["tags"]
    assert ("batch" in words) == (
        route.body.__name__ not in ("ImportBody", "UndoBody", "NoBody") and "results" in members_of(route)
    )


def members_of(route: Route) -> tuple[str, ...]:
    return getattr(route.answers, "__struct_fields__", ())


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_parameter_has_a_description(route: Route) -> None:
    given = [resolved(each) for each in operation(route).get("parameters", [])]

    assert [each["name"] for each in given if not each.get("description")] == []


def test_operation_ids_are_unique_and_the_document_names_license_and_contact() -> None:
    ids = [operation(route)["operationId"] for route in ROUTES]

    assert len(set(ids)) == len(ids)
    assert DOCUMENT["info"]["license"]["identifier"] == "Apache-2.0"
    assert DOCUMENT["info"]["contact"]["name"]


def test_a_user_path_parameter_accepts_any_subject() -> None:
    pattern = DOCUMENT["components"]["parameters"]["user"]["schema"]["pattern"]

    assert all(re.search(pattern, subject) for subject in ("alice", "auth0|alice", "张三"))
    assert not re.search(pattern, "a\tb")


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_route_has_a_one_sentence_summary_and_declared_responses(route: Route) -> None:
    spec = operation(route)

    assert route.answers is not None, "give it answers="
    assert spec["operationId"] == route.handler.__name__
    assert spec["summary"] == route.handler.__doc__ and spec["summary"].endswith("."), "give it one line of docstring"
    assert set(spec["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_only_public_routes_declare_no_token(route: Route) -> None:
    spec = operation(route)

    assert spec.get("security", DOCUMENT["security"]) == ([] if route.public else [{"token": []}])
    assert ("401" in spec["responses"]) != route.public


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_write_and_no_read_declares_an_idempotency_key(route: Route) -> None:
    names = [resolved(each)["name"] for each in operation(route).get("parameters", ())]

    assert ("Idempotency-Key" in names) == (route.method != "GET")
    assert len(set(names)) == len(names)


def test_a_pool_change_requires_if_match() -> None:
    takes_version = {
        named(route): header.get("required", False)
        for route in ROUTES
        for each in operation(route).get("parameters", ())
        if (header := resolved(each))["name"] == "If-Match"
    }

    for name, required in takes_version.items():
        assert required == (name == "PATCH /pools/{pool}"), name
    assert {
        "PATCH /pools/{pool}",
        "POST /pools/{pool}/customers/{customer}/claim",
        "PUT /pools/{pool}/members/{user}",
    } <= takes_version.keys()


@pytest.mark.parametrize("route", [each for each in ROUTES if each.body is not NoBody], ids=named)
def test_no_body_accepts_an_undeclared_field(route: Route) -> None:
    schema = resolved(operation(route)["requestBody"]["content"]["application/json"]["schema"])

    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == {each.encode_name for each in fields(route.body)}


def subclasses(kind: type[Struct]) -> Iterator[type[Struct]]:
    """Yield all subclasses, also those of subclasses."""
    for each in kind.__subclasses__():
        yield each
        yield from subclasses(each)


def test_response_schemas_are_closed_and_list_required_members() -> None:
    schema_map = DOCUMENT["components"]["schemas"]
    ours = {kind.__name__ for kind in subclasses(responses.Schema)} & schema_map.keys()

    assert {"Customer", "Member", "Pool", "Event", "RefusalBody", "Batch"} <= ours
    for name in ours:
        assert schema_map[name]["additionalProperties"] is False
        assert schema_map[name]["required"], name


def test_a_pool_shows_every_rule_of_its_policy() -> None:
    shown = DOCUMENT["components"]["schemas"]["Pool"]["properties"]["policy"]

    assert shown["required"] == list(Policy.__struct_fields__)


DURATION = Draft202012Validator({"type": "string", "pattern": times.DURATION_PATTERN, "maxLength": 32})


@given(st.one_of(st.text("PTWDHMS019 \n", max_size=12), st.from_regex(r"\AP(\d{1,3}[WD])?(T(\d{1,2}[HMS]){1,2})?\Z")))
@example("P")
@example("PT")
@example("P1D\n")
@example("P٣D")
@example("P1DT")
def test_the_published_duration_pattern_matches_accepted_durations(text: str) -> None:
    assert DURATION.is_valid(text) == is_duration(text)


def is_duration(text: str) -> bool:
    """Return True if the service accepts the duration, or rejects it only for its length, which a pattern cannot
    express.
    """
    try:
        times.duration_ms(text)
    except ValueError as error:
        return str(error) == "duration_length"
    return True


def test_an_unset_rule_has_no_default_in_the_document() -> None:
    """A default in a policy change would turn the rule off."""
    rules = DOCUMENT["components"]["schemas"]["Policy"]["properties"]

    assert set(rules) == set(Policy.__struct_fields__)
    assert not any("default" in each for each in rules.values())


def test_a_new_route_is_described_by_its_types_and_its_docstring() -> None:
    def pause() -> Answer:
        """Pause a pool."""
        return Answer()

    spec = document((Route("POST", POOL + "/pause", pause, answers=pool_responses.Pool),))["paths"][POOL + "/pause"][
        "post"
    ]

    assert (spec["operationId"], spec["summary"]) == ("pause", "Pause a pool.")
    assert spec["responses"]["200"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Pool"}
    assert {"$ref": "#/components/parameters/If-Match"} in spec["parameters"]
    assert {"403", "404", "409", "412"} <= spec["responses"].keys()


def test_a_status_is_declared_with_its_own_codes_only() -> None:
    conflict = resolved({"$ref": "#/components/responses/Refused409"})["content"]["application/problem+json"]["schema"]
    problem = {
        "type": "urn:customer-pool:problem:already_claimed", "title": "t", "status": 409, "detail": "d",
        "instance": "/", "code": "already_claimed",
    }  # fmt: skip

    assert compiled(conflict).is_valid(problem)
    assert not compiled(conflict).is_valid(problem | {"code": "not_found"})
    assert not compiled(conflict).is_valid(problem | {"surprise": 1})
