"""Renders refusals in the client's language: as problem+json (RFC 9457), or as an item of a batch result.

Codes, statuses and sentences come from `model.errors`. Nothing here knows a route or a request.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from chalice.app import Response
from msgspec import UNSET
from msgspec.structs import asdict

from chalicelib.model.errors import Refusal
from chalicelib.model.responses import Problem, RefusalBody
from chalicelib.model.times import rfc3339
from chalicelib.model.validation import sentence

MEDIA: Final = "application/problem+json"


def language_of(accepted: str | None) -> str:
    """Return `zh` if the Accept-Language header prefers Chinese, or names it first among equals; else `en`."""
    weights: dict[str, float] = {}
    for part in (accepted or "").lower().split(","):
        tag, _, parameter = part.partition(";")
        weight = re.fullmatch(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", parameter.strip() or "q=1")
        name = tag.strip().partition("-")[0]
        if weight and name in ("en", "zh"):
            weights[name] = max(weights.get(name, 0.0), float(weight[1]))
    best = max(weights, key=lambda name: weights[name], default="en")
    return best if weights.get(best) else "en"


def content_language(language: str) -> str:
    return "zh-CN" if language == "zh" else "en"


def refusal_body(refusal: Refusal, language: str) -> RefusalBody:
    """Return the members that a problem and a batch result share."""
    errors = [sentence(each, language) for each in refusal.errors]
    detail = getattr(refusal.meaning, language)
    if errors:
        detail += f"{'；'.join(errors)}。" if language == "zh" else f" {'; '.join(errors)}."
    return RefusalBody(
        code=refusal.code,
        detail=detail,
        retry_at=UNSET if refusal.retry_at is None else rfc3339(refusal.retry_at),
        limit=UNSET if refusal.limit is None else refusal.limit,
        used=UNSET if refusal.used is None else refusal.used,
        errors=errors or UNSET,
    )


def problem(refusal: Refusal, language: str, path: str = "/", occurrence: str | None = None) -> Problem:
    """Return the problem body. `instance` names the route, and for a fault also the request (`occurrence`)."""
    where = re.sub(r"\{(\w+)\}", r":\1", path)
    return Problem(
        type=f"urn:customer-pool:problem:{refusal.code}",
        title=getattr(refusal.meaning, language),
        status=refusal.meaning.status,
        instance=where if occurrence is None else f"{where}#{occurrence}",
        **asdict(refusal_body(refusal, language)),
    )


def problem_response(refusal: Refusal, language: str, path: str = "/", occurrence: str | None = None) -> Response:
    """Return a refusal or fault as a response; for a fault, `occurrence` is the request id."""
    headers: dict[str, str | list[str]] = {
        "Content-Type": MEDIA,
        "Content-Language": content_language(language),
        "Cache-Control": "no-store",
    }
    if refusal.meaning.retry_after is not None:
        headers["Retry-After"] = str(refusal.meaning.retry_after)
    if refusal.meaning.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(problem(refusal, language, path, occurrence)).decode()
    return Response(body, headers, refusal.meaning.status)


def gateway_response(code: str, accept_language: str | None) -> Response:
    """Return the response that API Gateway itself gives before any route runs."""
    return problem_response(Refusal(code), language_of(accept_language))
