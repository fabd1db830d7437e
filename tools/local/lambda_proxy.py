"""API Gateway between HTTP and the Lambda function, built on chalice's `LocalGateway`.

Unlike chalice's, its own refusals are problem+json with CORS, as in the deployed API. Contains no sockets and no rules
of the service.
"""

from __future__ import annotations

import base64
import logging
import threading
import uuid
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from chalice.app import Chalice, CORSConfig, Response
from chalice.config import Config
from chalice.local import (
    ForbiddenError,
    LambdaContext,
    LambdaEventConverter,
    LocalGateway,
    LocalGatewayAuthorizer,
    MatchResult,
    NotAuthorizedError,
)

from chalicelib.api import problems
from chalicelib.observability import exception_summary
from tools.compression import compressed

GATEWAY_TIMEOUT = 29  # seconds: then API Gateway responds without the function
NO_ROUTE = "-"  # in the log, for a request that no route matches
MAX_BODY = 10 * 1024 * 1024  # bytes

logger = logging.getLogger("local.gateway")


@dataclass(frozen=True)
class Answer:
    """An HTTP response, ready to be sent, and the pattern of the route that matched the request."""

    status: int
    headers: dict[str, str]
    body: bytes
    route: str = NO_ROUTE


class LambdaProxy(LocalGateway):
    """Turn an HTTP request into a call of the app, and the result into an `Answer`. Threads may share it."""

    def __init__(self, app: Chalice) -> None:
        share_between_threads(app)
        super().__init__(app, Config.create(lambda_timeout=GATEWAY_TIMEOUT, lambda_memory_size=512))
        self.event_converter = _Base64EventConverter(self.event_converter._route_matcher)
        self._authorizer = _StrictAuthorizer(app)
        self._cors = _cors_headers(app)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """Return the response; headers have lower-case names. Never raises: each error becomes a problem."""
        answer = self._answer(method, path, headers, body, headers.get("accept-language"))
        sent, content = compressed(answer.headers, answer.body, headers.get("accept-encoding"))
        return replace(answer, headers=sent, body=content)

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes, language: str | None) -> Answer:
        if len(body) > MAX_BODY:
            return self.problem("payload_too_large", language)
        path = path.replace(";", "%3B")  # part of the path; chalice would cut the path there
        match = self._match(path)
        if match is None or not self._serves(match, method):
            return self.problem("not_found", language)
        return replace(self._call(match.route, method, path, headers, body, language), route=match.route)

    def _call(
        self, route: str, method: str, path: str, headers: dict[str, str], body: bytes, language: str | None
    ) -> Answer:
        try:
            return self._to_answer(self.handle_request(method, path, headers, body or None))
        except NotAuthorizedError:
            return self.problem("unauthenticated", language)
        except ForbiddenError:
            return self.problem("not_a_member", language)
        except Exception as error:
            logger.error("the gateway could not answer %s %s: %s", method, route, exception_summary(error))
            return self.problem("store_unavailable", language)

    def problem(self, code: str, language: str | None) -> Answer:
        """Return the response of API Gateway itself, without a call of the app."""
        response: Response = problems.gateway_response(code, language)
        response.headers["X-Request-Id"] = new_request_id()
        return self._to_answer(response.to_dict(self._app_object.api.binary_types))

    def _match(self, path: str) -> MatchResult | None:
        try:
            match = self.event_converter._route_matcher.match_route(path)
        except ValueError:
            return None
        # API Gateway does not match an empty segment with a path parameter.
        return match if all(match.captured.values()) else None

    def _serves(self, match: MatchResult, method: str) -> bool:
        return method == "OPTIONS" or method in self._app_object.routes[match.route]

    def _to_answer(self, response: dict[str, Any]) -> Answer:
        body = response["body"] or b""
        if response.get("isBase64Encoded"):
            body = base64.b64decode(body)
        elif isinstance(body, str):
            body = body.encode()
        headers = dict(response["headers"])
        for name, values in response.get("multiValueHeaders", {}).items():
            headers[name] = ", ".join(values)
        if response["statusCode"] == HTTPStatus.UNAUTHORIZED:
            headers = {"WWW-Authenticate": "Bearer"} | headers
        return Answer(response["statusCode"], self._cors | headers, body)


def new_request_id() -> str:
    return str(uuid.uuid4())


class _Base64EventConverter(LambdaEventConverter):
    """Encode the body as base64, as API Gateway does for binary types, so that every byte arrives."""

    def create_lambda_event(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> dict[str, Any]:
        event: dict[str, Any] = super().create_lambda_event(method, path, headers, None)
        event["requestContext"]["requestId"] = new_request_id()
        event["pathParameters"] = {name: unquote(value) for name, value in event["pathParameters"].items()}
        if body is not None:
            event["body"] = base64.b64encode(body).decode("ascii")
            event["isBase64Encoded"] = True
        return event


class _StrictAuthorizer(LocalGatewayAuthorizer):
    """Accept only callers that a built-in authorizer accepts; chalice's own accepts all callers in other cases."""

    def authorize(
        self, raw_path: str, lambda_event: dict[str, Any], lambda_context: LambdaContext
    ) -> tuple[dict[str, Any], LambdaContext]:
        try:
            pair: tuple[dict[str, Any], LambdaContext] = super().authorize(raw_path, lambda_event, lambda_context)
            return pair
        except Exception as error:
            # API Gateway responds 401 to exactly this message; any other error is a fault of the authorizer.
            if str(error) == "Unauthorized":
                raise NotAuthorizedError({}) from None
            raise


class _PerThread:
    """An attribute with one value per thread, None until a thread sets it."""

    def __init__(self) -> None:
        self._values = threading.local()

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(self._values, "value", None)

    def __set__(self, instance: object, value: Any) -> None:
        self._values.value = value


def share_between_threads(app: Chalice) -> None:
    """Give each thread its own current request. Chalice stores it on the app: a Lambda serves one request at a time."""
    if isinstance(type(app).__dict__.get("current_request"), _PerThread):
        return
    attributes = {"current_request": _PerThread(), "lambda_context": _PerThread()}
    app.__class__ = type("SharedChalice", (type(app),), attributes)


def _cors_headers(app: Chalice) -> dict[str, str]:
    """Return the CORS headers of every response: the app's setting, or the one that its routes share."""
    on_routes = [entry.cors for methods in app.routes.values() for entry in methods.values()]
    cors = next((setting for setting in [app.api.cors, *on_routes] if setting), None)
    if cors is None:
        return {}
    config = cors if isinstance(cors, CORSConfig) else CORSConfig()
    headers: dict[str, str] = config.get_access_control_headers()
    return headers
