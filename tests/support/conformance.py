"""Check every response of every test against the published OpenAPI document (I8). Each schema is compiled once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator, Registry, ValidationError

from chalicelib.api.openapi import document
from chalicelib.api.routes import ROUTES
from chalicelib.api.routing import ANY_MEDIA, HTML, Route
from tests.support import tally

DOCUMENT = "urn:document"


def assert_conforms(route: Route, request: bytes, status: int, headers: Mapping[str, str], text: str) -> None:
    """Check that the document declares this response for the route and that the request was valid."""
    tally.count("answers held against the document")
    place = f"{route.method} {route.path} {status}"
    validator, media, header_schemas = response_schema(route, status)
    assert media in (headers["Content-Type"], ANY_MEDIA), place
    for name, (required, schema) in header_schemas.items():
        assert name in headers or not required, f"{place} without {name}"
        assert name not in headers or schema.is_valid(headers[name]), f"{place} {name}: {headers[name]}"
    body = text if media in (HTML, ANY_MEDIA) else json.loads(text)
    _assert_valid(validator, body, place)
    if route.method != "GET" and status < 300 and _all_done(body):
        _assert_valid(request_schema(route), json.loads(request or b"{}"), f"{place} to")


def _all_done(body: Any) -> bool:
    """Return False if one row of an import failed: its request need not be valid."""
    return not body.get("summary", {}).get("failed")


def _assert_valid(validator: Draft202012Validator, body: Any, place: str) -> None:
    try:
        validator.validate(body)
    except ValidationError as error:
        raise AssertionError(f"{place} {error.message} at {error.instance_path}: {body}") from None


@cache
def response_schema(
    route: Route, status: int
) -> tuple[Draft202012Validator, str, dict[str, tuple[bool, Draft202012Validator]]]:
    """Return the validator of the body, the content type, and whether each header is required, with its validator."""
    responses = operation(route)["responses"]
    assert str(status) in responses, f"{route.method} {route.path} does not declare {status}"
    response = resolved(responses[str(status)])
    (media, content), *others = response["content"].items()
    headers = {name: resolved(header) for name, header in response.get("headers", {}).items()}
    header_schemas = {
        name: (header.get("required", False), compiled(header["schema"])) for name, header in headers.items()
    }
    return compiled(content["schema"]), ANY_MEDIA if others else media, header_schemas


@cache
def request_schema(route: Route) -> Draft202012Validator:
    body = operation(route).get("requestBody")
    return compiled({"maxProperties": 0} if body is None else body["content"]["application/json"]["schema"])


def operation(route: Route) -> Any:
    return document(tuple(ROUTES))["paths"][route.path][route.method.lower()]


def resolved(part: Any) -> Any:
    """Return the part of the document that a reference points to."""
    while "$ref" in part:
        found: Any = document(tuple(ROUTES))
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def compiled(schema: Any) -> Draft202012Validator:
    return Draft202012Validator(_absolute(schema), registry=registry(), validate_formats=True)


@cache
def registry() -> Registry:
    """Return the named schemas under a URN."""
    return Registry([(DOCUMENT, {"components": document(tuple(ROUTES))["components"]})])


def _absolute(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_absolute(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: DOCUMENT + part if name == "$ref" else _absolute(part) for name, part in schema.items()}
