"""The packaged functions behind a gateway, as Lambda and API Gateway run them, with their logs in `CloudWatch`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tests.e2e.cloudwatch import CloudWatch
from tools.local.lambda_runtime import FunctionFailed, LambdaRuntime

FUNCTIONS = {
    "APIHandler": "app.app",
    "Authorizer": "app.authorizer",
    "SweepExpired": "app.sweep_expired",
    "PublishEvents": "app.publish_events",
}
METHOD_ARN = "arn:aws:execute-api:us-east-1:000000000000:api/api/GET/v1/pools"


@dataclass(frozen=True)
class Functions:
    """Starts functions of the unpacked package with these settings. `runtime` is the folder with AWS's runtime."""

    root: Path
    runtime: Path
    settings: Mapping[str, str]
    cloud: CloudWatch

    @contextmanager
    def start(self, name: str, **settings: str) -> Iterator[Function]:
        """Start an instance of the function. Its log is read when it ends."""
        with LambdaRuntime(self.root, self.runtime, FUNCTIONS[name], {**self.settings, **settings}) as runtime:
            try:
                yield Function(name, runtime, self.cloud)
            finally:
                self.cloud.log(f"{name}Logs", runtime.log())


@dataclass(frozen=True)
class Function:
    name: str
    runtime: LambdaRuntime
    cloud: CloudWatch

    def invoke(self, event: dict[str, Any]) -> Any:
        """Return the response. Raises FunctionFailed, which is an error of the function for Lambda."""
        try:
            return self.runtime.invoke(event)
        except FunctionFailed:
            self.fails(1)
            raise

    def fails(self, times: int) -> None:
        self.cloud.measure("Errors", self.name, times)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def code(self) -> str:
        return str(self.body["code"])


@dataclass(frozen=True)
class Gateway:
    """An instance of the authorizer and one of the API behind API Gateway, which writes the access log.

    Each request counts as `stands_for` requests.
    """

    authorizer: Function
    api: Function
    stands_for: int = 1

    def call(self, token: str, method: str, resource: str, body: Any = None, **parameters: str) -> Answer:
        given = {"type": "TOKEN", "authorizationToken": token, "methodArn": METHOD_ARN}
        try:
            caller = self.authorizer.invoke(given)["context"]
        except FunctionFailed as error:
            rejected = "Unauthorized" in str(error)
            self.authorizer.fails(self.stands_for - 1)
            return self._answered(resource, Answer(401 if rejected else 503, {}, None), 401 if rejected else 500)
        done = self.api.invoke(request(method, resource, caller, body, **parameters))
        answer = Answer(done["statusCode"], done["headers"], json.loads(done["body"]))
        return self._answered(resource, answer, 200)

    def _answered(self, resource: str, answer: Answer, authorized: int) -> Answer:
        cloud = self.api.cloud
        line = {"route": resource, "status": str(answer.status), "authorizer_status": str(authorized)}
        cloud.log("AccessLogs", [json.dumps(line)] * self.stands_for)
        cloud.measure("Count", "RestAPI", self.stands_for)
        cloud.measure("5XXError", "RestAPI", self.stands_for * (answer.status >= 500))
        return answer


def request(method: str, resource: str, caller: dict[str, str] | None, body: Any, **parameters: str) -> dict[str, Any]:
    """Return the event with which API Gateway calls the API."""
    return {
        "resource": resource, "path": resource.format(**parameters), "httpMethod": method,
        "headers": {"Content-Type": "application/json"}, "multiValueQueryStringParameters": None,
        "pathParameters": parameters or None, "stageVariables": None,
        "requestContext": {"resourcePath": resource, "httpMethod": method, "authorizer": caller, "requestId": "r"},
        "body": None if body is None else json.dumps(body), "isBase64Encoded": False,
    }  # fmt: skip
