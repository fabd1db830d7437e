"""What the deployed gateway answers by itself, without calling a function: problem+json with CORS, like every answer.

Made of `problems`, as the local gateway's answers are, so that code, status and sentence are written once. The
gateway knows one language, English. Only the description for the template here; no rules.
"""

from __future__ import annotations

from typing import Any

from chalice.app import CORSConfig

from chalicelib.api import problems

# The gateway's own types (https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html)
# and the reason that each is told as. An unknown address is a "missing authentication token" to API Gateway.
REASONS = {
    "UNAUTHORIZED": "unauthenticated",
    "ACCESS_DENIED": "not_a_member",
    "EXPIRED_TOKEN": "not_a_member",
    "INVALID_API_KEY": "not_a_member",
    "INVALID_SIGNATURE": "not_a_member",
    "WAF_FILTERED": "not_a_member",
    "MISSING_AUTHENTICATION_TOKEN": "not_found",
    "RESOURCE_NOT_FOUND": "not_found",
    "REQUEST_TOO_LARGE": "payload_too_large",
    "THROTTLED": "throttled",
    "QUOTA_EXCEEDED": "throttled",
    "DEFAULT_4XX": "malformed",
    # The authorizer could not do its work: the function was not called, so nothing was changed.
    "AUTHORIZER_FAILURE": "store_unavailable",
    "AUTHORIZER_CONFIGURATION_ERROR": "store_unavailable",
    # The function was called, or may have been, and said nothing that could be passed on.
    "DEFAULT_5XX": "outcome_unknown",
}


def gateway_responses(cors: CORSConfig) -> dict[str, Any]:
    """For `x-amazon-apigateway-gateway-responses` of the API's description."""
    return {kind: _answer(reason, cors) for kind, reason in REASONS.items()}


def _answer(reason: str, cors: CORSConfig) -> dict[str, Any]:
    problem = problems.gateway_response(reason, None)
    headers = cors.get_access_control_headers() | problem.headers
    said = {name: f"'{value}'" for name, value in headers.items()} | {"X-Request-Id": "context.requestId"}
    return {
        "statusCode": str(problem.status_code),
        "responseParameters": {f"gatewayresponse.header.{name}": said[name] for name in sorted(said)},
        "responseTemplates": {"application/json": problem.body},
    }
