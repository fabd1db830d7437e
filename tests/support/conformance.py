"""Holds what the service answers against the document that it publishes: I8, on every request of every test.

The schemas are compiled once, each when it is first needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft202012Validator, Registry, ValidationError

from chalicelib.api.openapi import document
from chalicelib.api.routes import ROUTES
from chalicelib.api.routing import HTML, Route
from tests.support import tally

DOCUMENT = "urn:document"


def assert_conforms(route: Route, request: bytes, status: int, headers: Mapping[str, str], text: str) -> None:
    """Check that the document declares this response for the route and that the request was valid."""
    tally.count("answers held against the document")
    where = f"{route.method} {route.path} {status}"
    validator, media, named = answer(route, status)
    assert headers["Content-Type"] == media, where
    for name, (required, told) in named.items():
        assert name in headers or not required, f"{where} without {name}"
        assert name not in headers or told.is_valid(headers[name]), f"{where} {name}: {headers[name]}"
    body = text if media == HTML else json.loads(text)
    _assert_valid(validator, body, where)
    if route.method != "GET" and status < 300 and _all_done(body):
        _assert_valid(question(route), json.loads(request or b"{}"), f"{where} to")


def _all_done(body: Any) -> bool:
    """One bad row of an import fails alone."""
    return not body.get("summary", {}).get("failed")


def _assert_valid(validator: Draft202012Validator, body: Any, where: str) -> None:
    try:
        validator.validate(body)
    except ValidationError as error:
        raise AssertionError(f"{where} {error.message} at {error.instance_path}: {body}") from None


@cache
def answer(route: Route, status: int) -> tuple[Draft202012Validator, str, dict[str, tuple[bool, Draft202012Validator]]]:
    """What checks the body, the content type, and the headers by name: whether they have to be there, and how."""
    responses = operation(route)["responses"]
    assert str(status) in responses, f"{route.method} {route.path} never answers {status}, says the document"
    response = resolved(responses[str(status)])
    ((media, content),) = response["content"].items()
    headers = {name: resolved(header) for name, header in response.get("headers", {}).items()}
    named = {name: (header.get("required", False), compiled(header["schema"])) for name, header in headers.items()}
    return compiled(content["schema"]), media, named


@cache
def question(route: Route) -> Draft202012Validator:
    body = operation(route).get("requestBody")
    return compiled({"maxProperties": 0} if body is None else body["content"]["application/json"]["schema"])


def operation(route: Route) -> Any:
    return document(tuple(ROUTES))["paths"][route.path][route.method.lower()]


def resolved(part: Any) -> Any:
    """What a reference within the document stands for."""
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
    """The named schemas, under an address of their own."""
    return Registry([(DOCUMENT, {"components": document(tuple(ROUTES))["components"]})])


def _absolute(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_absolute(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {name: DOCUMENT + part if name == "$ref" else _absolute(part) for name, part in schema.items()}
