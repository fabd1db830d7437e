"""Decode requests: body, query, headers and path. Request types that several routes share.

Everything that a client sends is checked here. A `FieldError` names the invalid member and never repeats its value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any, ClassVar, Final

import msgspec
from chalice.app import Request
from msgspec import Meta, Struct
from msgspec.structs import replace

from chalicelib.api.routing import JSON, Route
from chalicelib.dynamodb import keys
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import decode_user, user_named
from chalicelib.model.text import IDENTIFIER, LONGEST_FIELD_NAME, NAME_PATTERN, is_blank, is_field_name, is_too_deep
from chalicelib.model.validation import FieldError, Value, from_msgspec
from chalicelib.transactions.context import Caller
from chalicelib.transactions.idempotency import NO_KEY, IdempotencyRecord

MAX_BODY_BYTES: Final = 256 * 1024
MAX_BATCH: Final = 100

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=NAME_PATTERN)]
Search = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(max_length=500)]
Limit = Annotated[int, Meta(ge=1, le=100)]
Priority = Annotated[int, Meta(ge=-1000, le=1000)]
FieldName = Annotated[str, Meta(min_length=1, max_length=LONGEST_FIELD_NAME, pattern=NAME_PATTERN)]
Fields = dict[FieldName, Any]  # a key without a definition keeps any JSON value (rule 35)
# `check_batch_size` refuses with a code of its own.
Batched: Final = Meta(extra_json_schema={"minItems": 1, "maxItems": MAX_BATCH})


class PageQuery(Struct, frozen=True, forbid_unknown_fields=True):
    limit: Annotated[Limit, Meta(description="The maximum number of items in a page.")] = 20
    cursor: Annotated[str | None, Meta(description="The `next_cursor` of the previous page.")] = None
    REPEATABLE: ClassVar[frozenset[str]] = frozenset()  # the parameters that a request may give several times


class BatchBody(Struct, frozen=True, forbid_unknown_fields=True):
    customer_ids: Annotated[list[str], Batched]
    atomic: bool = False
    claim_id: ClassVar[None] = None  # a batch has several claims


# Checks that types of a body cannot express


def checked_name(name: str | None) -> None:
    """Raise ValueError for a name without a visible character. In `__post_init__`, it makes the body invalid."""
    checked_visible(name, "name")


def checked_visible(text: str | None, member: str) -> None:
    """Raise ValueError for text without a visible character in that member of a body."""
    if text is not None and is_blank(text):
        raise ValueError(f"Expected `str` with a visible character - at `$.{member}`")


def checked_field_names(fields: Fields) -> None:
    """Raise ValueError for a field whose name has no visible character, or whose value is nested too deep."""
    if not all(map(is_field_name, fields)):
        raise ValueError("Expected `str` with a visible character - at `key` in `$.fields`")
    if any(map(is_too_deep, fields.values())):
        raise ValueError("too_deep - at `$.fields[...]`")


# Decoding


def body_of(request: Request, kind: type) -> Any:
    raw = request.raw_body or b""
    raw = raw.encode() if isinstance(raw, str) else raw
    check_size(len(raw) if len(raw) <= MAX_BODY_BYTES else getattr(kind, "size", len)(raw))
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if raw and media != JSON:
        raise invalid("content_type")
    return decode(raw or b"{}", kind, names=True)


def check_size(used: int) -> None:
    if used > MAX_BODY_BYTES:
        raise Refused(Refusal("payload_too_large", limit=MAX_BODY_BYTES, used=used))


def decode(
    raw: bytes | msgspec.Raw, kind: Any, reason: str = "invalid_request", *, names: bool = False, within: str = ""
) -> Any:
    """Decode JSON as a type. Raises Refused: `malformed` for invalid JSON, `reason` for another type.

    An unknown member is named only with `names`: idempotency records must not store personal data. `within` is the
    path of the value in the body.
    """
    try:
        try:
            return msgspec.json.decode(raw, type=kind, dec_hook=decode_user)
        except msgspec.ValidationError as error:
            # Decoding stops at the first wrong type: the rest may not be JSON.
            msgspec.json.decode(raw)
            found = from_msgspec(error, kind, names)
            raise Refused(Refusal(reason, errors=(replace(found, path=within + found.path),))) from error
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise Refused(Refusal("malformed")) from error


def query_of(request: Request, kind: type) -> Any:
    params = request.query_params
    lists = {} if params is None else {name: params.getlist(name) for name in params}
    repeatable: frozenset[str] = getattr(kind, "REPEATABLE", frozenset())
    for name, texts in lists.items():
        if len(texts) > 1 and name not in repeatable:
            raise invalid("repeated", name)
    given = {name: texts if name in repeatable else texts[0] for name, texts in lists.items()}
    try:
        query: Any = msgspec.convert(given, kind, strict=False, dec_hook=decode_user)
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused(Refusal("invalid_request", errors=(from_msgspec(error, kind, names=True),))) from error
    for field in msgspec.structs.fields(kind) if given else ():  # slow, and most requests have no query
        name, value = field.encode_name, getattr(query, field.name)
        if name in given and value is None:  # msgspec converts the text "null"
            raise invalid("null_parameter", name)
        if name in given and type(value) is int and given[name] != str(value):  # msgspec also converts 1e1
            raise invalid("not_digits", name)
    return query


def invalid(kind: str, path: str = "", *values: Value) -> Refused:
    """Return the refusal of an invalid request with one validation error."""
    return Refused(Refusal("invalid_request", errors=(FieldError(kind, path, values),)))


def with_user_id(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Return the path parameters with the user's id, if the path contains the user's subject.

    Text that is no valid user stays unchanged: no id equals it, so the route responds `not_found`.
    """
    if "user" not in parameters:
        return parameters
    try:
        return {**parameters, "user": user_named(parameters["user"])}
    except ValueError:
        return parameters


_IF_MATCH = re.compile(r'(?:W/)?"?([1-9][0-9]{0,15})"?', re.ASCII)


def if_match_of(request: Request) -> int | None:
    text = request.headers.get("if-match")
    if text is None or text.strip() == "*":
        return None
    match = _IF_MATCH.fullmatch(text.strip())
    if match is None:
        raise Refused(Refusal("version_conflict"))
    return int(match[1])


def idempotency_record(
    request: Request, route: Route, parameters: Mapping[str, str], caller: Caller, now: int
) -> IdempotencyRecord:
    """Return the record of this request's Idempotency-Key; its scope is tenant, user and resource."""
    given = request.headers.get("idempotency-key")
    if given is None or route.method == "GET":
        return NO_KEY
    if IDENTIFIER.fullmatch(given) is None:
        raise invalid("identifier", "Idempotency-Key")
    if not all(IDENTIFIER.fullmatch(part) for part in parameters.values()):
        raise Refused(Refusal("not_found"))
    resource = f"{route.method} {route.path.format(**parameters)}"
    queried = None if request.query_params is None else dict(request.query_params)
    compared = [_canonical_json(request.raw_body or b"{}"), request.headers.get("if-match"), queried]
    fingerprint = blake2b(msgspec.json.encode(compared, order="sorted"), digest_size=16).hexdigest()
    return IdempotencyRecord(
        lambda part: keys.idempotency_record_key(caller.tenant, caller.user, resource, given, part), fingerprint, now
    )


def _canonical_json(raw: bytes | str) -> Any:
    """Return the decoded body, so that spelling does not matter; invalid JSON as it is."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return repr(raw)
