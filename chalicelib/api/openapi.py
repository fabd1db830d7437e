"""Generates the OpenAPI 3.1 document from the declarations of the routes.

Pure: routes in, document out. No route is named here: types declare requests and responses, `public` declares access,
and possible errors follow from the kind of request. A new route needs no change here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from chalicelib import __version__
from chalicelib.api.json_schema import Schema, portable, typed, without_null
from chalicelib.api.routing import ANY_MEDIA, JSON, NoBody, Route
from chalicelib.model import responses
from chalicelib.model.errors import CATALOG
from chalicelib.model.identities import USER_SCHEMA
from chalicelib.model.model import Identifier
from chalicelib.model.responses import REFERENCE

ABOUT: Final = """\
A pool of customers that a team shares: two people never hold the same customer, and nobody holds more than they may.

Durations are ISO 8601, times RFC 3339 in UTC with milliseconds. Unknown request fields are refused; responses may \
gain fields, and clients must ignore unknown ones. Cursors are opaque.

Repeat a request with an `Idempotency-Key` that got 429, 503 or no response with the same key."""
TAGS: Final = {
    "claims": "Actions of members, holders and managers on customers, one by one or in batches.",
    "customers": "Customer records: create, import, list, read, edit, history.",
    "erasures": "Erase customers, and list the erased ones.",
    "members": "Members of a pool, their roles and limits.",
    "pools": "Pools and their policies.",
    "service": "The service itself.",
    "users": "The caller, and the users of the tenant.",
}
LICENSE: Final = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
CONTACT: Final = {"name": "The maintainers of customer-pool"}
PATH_PARAMETERS: Final = {
    "pool": "The id of a pool.",
    "customer": "The id of a customer.",
    "user": "A user, by id or by the subject of their token. `me` is the caller when reading a member.",
    "import_id": "The id of an import, from its response.",
    "file": "The name of a file, from the page.",
}
DONE: Final = {200: "Done.", 201: "Created.", 202: "The rest is done later: read the progress."}

RETRY_AFTER: Final = (429, 503)
KEPT: Final = (403, 404, 409, 412, 422)  # stored under an Idempotency-Key; the others decide nothing
HEADERS: Final[dict[str, Schema]] = {
    "ETag": {"description": "The version.", "required": True, "schema": {"type": "string", "pattern": '^"[0-9]+"$'}},
    "Idempotent-Replayed": {
        "description": "Present if this is the first response to this Idempotency-Key, replayed.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before the same request is sent again.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    },
    "Content-Language": {
        "description": "The language of `title` and `detail`.",
        "required": True,
        "schema": {"type": "string", "enum": ["en", "zh-CN"]},
    },
    "X-Request-Id": {
        "description": "The id of this request, by which the operators find it in their logs.",
        "required": True,
        "schema": {"type": "string"},
    },
    "WWW-Authenticate": {"required": True, "schema": {"type": "string", "enum": ["Bearer"]}},
}


@cache
def document(routes: tuple[Route, ...]) -> dict[str, Any]:
    """Return the document of these routes, cached per process."""
    schemas, components = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Customer pool",
            "version": __version__,
            "description": ABOUT,
            "contact": CONTACT,
            "license": LICENSE,
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": components,
            "parameters": _parameters(routes),
            "headers": HEADERS,
            "responses": {_refused(status): _refusals_of(status) for status in _statuses()},
        },
    }


def _schemas(routes: Sequence[Route]) -> tuple[dict[Any, Schema], dict[str, Schema]]:
    """Return the schema of each request and response type, and the named schemas they refer to."""
    taken = [kind for route in routes for kind in (route.body, route.row) if kind is not NoBody]
    kinds = list(dict.fromkeys([*taken, *(route.answers for route in routes if route.answers), *responses.ALL]))
    each, named = msgspec.json.schema_components(kinds, ref_template=REFERENCE)
    components: dict[str, Schema] = portable(named | responses.NAMED)
    return dict(zip(kinds, each, strict=True)), dict(sorted(components.items()))


# One operation


def _operation(route: Route, schemas: dict[Any, Schema]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": (route.handler.__doc__ or "").partition("\n")[0],
        "description": _description(route),
        "tags": [_tag(route)],
    }
    if route.public:
        operation["security"] = []
    if parameters := [*_named_parameters(route), *_query_parameters(route)]:
        operation["parameters"] = parameters
    if route.body is not NoBody:
        required = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"required": required, "content": _json(schemas[route.body])}
    return operation | {"responses": dict(_responses(route, schemas))}


def _description(route: Route) -> str:
    """Return the docstring of the handler, and sentences that follow from the kind of request."""
    sentences = [inspect.cleandoc(route.handler.__doc__ or "")]
    sentences.append("No token is needed." if route.public else "A token is needed.")
    if "next_cursor" in _members(route.answers):
        sentences.append("The list ends where `next_cursor` is null.")
    if "results" in _members(route.answers):
        sentences.append("Returns one result for each input, in the order of the request.")
    if _atomic(route):
        sentences.append("With `atomic`, all succeed or none.")
    if route.method != "GET":
        sentences.append("A request repeated with the same `Idempotency-Key` has no further effect.")
    return " ".join(sentences)


def _tag(route: Route) -> str:
    module = route.handler.__module__.rpartition(".")[2]
    if module == "pools" and "{" not in route.path and not route.path.endswith("/pools"):
        return "service"
    if "/members" in route.path:
        return "members"
    return module


def _json(schema: Schema, kind: str = JSON) -> dict[str, Any]:
    return {kind: {"schema": schema}}


# Parameters


def _named_parameters(route: Route) -> Iterator[Schema]:
    names = _path_parameters(route)
    if route.method != "GET":
        names.append("Idempotency-Key")
    if route.versioned:
        names.append("If-Match-of-a-pool" if _changes_a_pool(route) else "If-Match")
    if not route.public:
        names.append("Accept-Language")
    return ({"$ref": f"#/components/parameters/{name}"} for name in names)


def _path_parameters(route: Route) -> list[str]:
    return re.findall(r"\{(\w+)\}", route.path)


def _changes_a_pool(route: Route) -> bool:
    return route.method == "PATCH" and route.path.endswith("/{pool}")


def _shows_a_version(route: Route) -> bool:
    return not route.public and "version" in _members(route.answers)


def _members(kind: type | None) -> tuple[str, ...]:
    return getattr(kind, "__struct_fields__", ())


def _query_parameters(route: Route) -> Iterator[Schema]:
    schema = portable(msgspec.json.schema_components([route.query])[1][route.query.__name__])
    for name, property_ in schema["properties"].items():
        required = name in schema.get("required", ())
        schema_of_value = without_null(property_)
        described = {"description": schema_of_value.pop("description")} if "description" in schema_of_value else {}
        yield {"name": name, "in": "query", "required": required, **described, "schema": schema_of_value}


def _parameters(routes: Sequence[Route]) -> dict[str, Schema]:
    identifier = portable(msgspec.json.schema(Identifier))
    version = {"type": "string", "examples": ['"3"']}
    in_paths = {
        name: {
            "name": name,
            "in": "path",
            "description": PATH_PARAMETERS[name],
            "required": True,
            "schema": {"user": USER_SCHEMA, "file": {"type": "string"}}.get(name, identifier),
        }
        for route in routes
        for name in _path_parameters(route)
    }
    return in_paths | {
        "Idempotency-Key": _header(
            "Idempotency-Key",
            "The same key with the same body returns the first response again, for 24 hours.",
            identifier,
        ),
        "If-Match": _header(
            "If-Match", "The version that the client has read: the change is made only if it is current.", version
        ),
        "If-Match-of-a-pool": _header("If-Match", "The version of the pool that the client has read.", version)
        | {"required": True},
        "Accept-Language": _header(
            "Accept-Language", "The language of `title` and `detail`: en or zh-CN.", {"type": "string"}
        ),
    }


def _header(name: str, description: str, schema: Schema) -> Schema:
    return {"name": name, "in": "header", "description": description, "schema": schema}


# Responses

_FILES: Final = ("text/javascript", "text/css", "application/json")  # of the console: generators reject `*/*`


def _responses(route: Route, schemas: dict[Any, Schema]) -> Iterator[tuple[str, Schema]]:
    names = ["ETag"] if _shows_a_version(route) else []
    names += [] if route.method == "GET" else ["Idempotent-Replayed"]
    names += ["Content-Language"] if {"results", "blocking"} & {*_members(route.answers)} else []
    media = _FILES if route.media == ANY_MEDIA else (route.media,)
    done: Schema = {"content": {each: {"schema": schemas.get(route.answers, {})} for each in media}}
    for status in (route.status, 202) if route.continues else (route.status,):
        yield str(status), {"description": DONE[status], **done, "headers": _headers([*names, "X-Request-Id"])}
    for status in _may_refuse_with(route):
        refused: Schema = {"$ref": f"#/components/responses/{_refused(status)}"}
        yield str(status), _refused_batch() if status == 409 and _atomic(route) else refused


def _may_refuse_with(route: Route) -> list[int]:
    """Return the error statuses, by the kind of request. Every request may be throttled or meet a fault."""
    writes = route.method != "GET"
    about_a_pool = "{" in route.path
    reasons = {
        400: writes or "cursor" in _members(route.query),
        401: True,
        403: about_a_pool or writes or route.admins,
        404: about_a_pool or "pool" in _members(route.body),
        409: writes or "filter" in _members(route.query),  # a change of a field is at work
        412: route.versioned,
        413: writes,
        422: True,
    }
    return [*(status for status, may in reasons.items() if may and (status == 404 or not route.public)), *RETRY_AFTER]


def _atomic(route: Route) -> bool:
    return "atomic" in _members(route.body)


def _refused_batch() -> Schema:
    """Return the response for a refused request, or a refused atomic batch with a result for each id."""
    batch = {"$ref": REFERENCE.format(name="RefusedBatch"), "properties": {"status": typed({"const": 409})}}
    schema = {"anyOf": [_refusal(409), batch]}
    return _refusals_of(409) | {"content": _json(schema, "application/problem+json")}


def _refused(status: int) -> str:
    return f"Refused{status}"


def _statuses() -> list[int]:
    return sorted({meaning.status for meaning in CATALOG.values()})


def _refusals_of(status: int) -> Schema:
    """Return the response of that status, which describes its codes."""
    lines = [f"- `{code}`: {sentence}" for code, sentence in _codes(status).items()]
    names = ["Content-Language", "X-Request-Id"]
    names += ["Idempotent-Replayed"] if status in KEPT else []
    names += ["Retry-After"] if status in RETRY_AFTER else []
    names += ["WWW-Authenticate"] if status == 401 else []
    return {
        "description": "\n".join(lines),
        "headers": _headers(names),
        "content": _json(_refusal(status), "application/problem+json"),
    }


def _refusal(status: int) -> Schema:
    """Return the schema of a problem with that status and its codes."""
    only = {"status": typed({"const": status}), "code": typed({"enum": list(_codes(status))})}
    return {"$ref": REFERENCE.format(name="Problem"), "properties": only}


def _codes(status: int) -> dict[str, str]:
    """Return the codes of that status, each with the sentence of its first reason."""
    found: dict[str, str] = {}
    for reason, meaning in CATALOG.items():
        if meaning.status == status:
            found.setdefault(meaning.code or reason, meaning.en)
    return found


def _headers(names: Sequence[str]) -> Schema:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
