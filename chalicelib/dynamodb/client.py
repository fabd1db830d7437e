"""Sends requests to DynamoDB through one low-level botocore client, without botocore's repeated checks and look-ups.

Callers have typed everything already, so a request is encoded as JSON without validation, and the address and headers
are computed once. Signing, errors and event hooks are botocore's own. A request without an answer, or with a 5xx, is
sent again; a throttled one is not, since the table decides that. This needs one private method of botocore,
`_make_request`; where botocore has no such method, the client's public methods send the same requests. Knows no rule
and no record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final, TypeVar

import botocore.session
import msgspec
from botocore import __version__ as botocore_version
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from pynamodb.expressions.condition import Condition

from chalicelib import __version__
from chalicelib.dynamodb.conditions import condition_expression
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.operations import Action, expression_names, request_entry

# A fixed text: botocore would otherwise build a longer one for each request, twice.
_USER_AGENT: Final = f"customer-pool/{__version__} Botocore/{botocore_version}"
_SETTINGS: Final[dict[str, Any]] = {
    "connect_timeout": 1, "read_timeout": 3, "max_pool_connections": 64, "parameter_validation": False,
    "retries": {"mode": "standard", "total_max_attempts": 1}, "user_agent": _USER_AGENT,
}  # fmt: skip
ATTEMPTS: Final = 3
PAUSE_S: Final = 0.05
PASSING: Final = frozenset((500, 502, 503, 504))
THROTTLES: Final = frozenset(
    ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "ThrottlingError",
     "ProvisionedThroughputExceeded", "Throttling", "ThroughputExceeded")
)  # fmt: skip

T = TypeVar("T")


class Client:
    """To one table. `endpoint` is None on AWS. The client is made when it is first wanted. `wait` and `jitter` are how
    it pauses between two attempts."""

    def __init__(
        self,
        table: str,
        region: str | None,
        endpoint: str | None,
        *,
        wait: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self.table, self.region, self.endpoint = table, region, endpoint
        self._wait, self._jitter = wait, jitter
        self.session: Any = None  # given where several clients shall share what was read about AWS
        self._client: Any = None
        self._credentials: Any = None
        self._lock = Lock()
        self._url = ""
        self._models: dict[str, Any] = {}
        self._headers: dict[str, dict[str, str]] = {}

    @property
    def client(self) -> Any:
        """The client, for what is not done in requests. One that found no credentials is made again: they may come."""
        if not self._usable():
            with self._lock:
                self._client = self._client if self._usable() else self._made()
        return self._client

    def _usable(self) -> bool:
        return self._client is not None and self._credentials is not None

    def _made(self) -> Any:
        session = self.session or botocore.session.get_session()
        self._credentials = session.get_credentials()
        client: Any = session.create_client(
            "dynamodb", self.region, endpoint_url=self.endpoint, config=Config(**_SETTINGS)
        )
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        return client

    # What is asked

    def get(self, keys: Sequence[Key]) -> dict[str, Any]:
        """The items under those keys, as they are now."""
        wanted = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys]
        return self.call("BatchGetItem", {"RequestItems": {self.table: {"Keys": wanted, "ConsistentRead": True}}})

    def query(
        self, hash_value: str, index: str | None, between: Condition | None, after: Item | None, limit: int | None
    ) -> dict[str, Any]:
        """One page of one partition, of the table as it is now or of an index."""
        names, values = {index or "pk": "#0"}, {":0": {"S": hash_value}}
        text = "#0 = :0" if between is None else f"#0 = :0 AND {condition_expression(between, names, values)}"
        asked = {"TableName": self.table, "KeyConditionExpression": text, **expression_names(names, values)}
        further = {"IndexName": index, "ExclusiveStartKey": after, "Limit": limit, "ConsistentRead": index is None}
        return self.call("Query", asked | {name: told for name, told in further.items() if told})

    def transact(self, actions: Sequence[Action], token: str) -> None:
        """Commits all of them or none, once for that token."""
        items = [request_entry(action, self.table) for action in actions]
        self.call("TransactWriteItems", {"TransactItems": items, "ClientRequestToken": token})

    # How it is asked

    def call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The engine's answer to that request. Raises ClientError if it refuses, BotoCoreError if it is silent."""
        client = self.client
        send = getattr(client, "_make_request", None)
        if send is None:
            public = getattr(client, xform_name(operation))
            return dict(self._answered(lambda: public(**asked), dict))
        model = self._models.get(operation) or self._described(client, operation)
        context = {
            "client_region": client.meta.region_name, "client_config": client.meta.config,
            "has_streaming_input": False, "auth_type": model.resolved_auth_type,
        }  # fmt: skip
        request = {
            "url": self._url, "url_path": "/", "query_string": "", "method": "POST", "context": context,
            "headers": dict(self._headers[operation]), "body": msgspec.json.encode(asked),
        }  # fmt: skip
        events = client.meta.events
        events.emit(f"before-call.dynamodb.{operation}", model=model, params=request, context=context)
        http, answer = self._answered(lambda: send(model, request, context), lambda made: made[1])
        events.emit(f"after-call.dynamodb.{operation}", http_response=http, parsed=answer, model=model, context=context)
        if http.status_code >= 300:
            raise client.exceptions.from_code(answer.get("Error", {}).get("Code"))(answer, operation)
        return dict(answer)

    def _answered(self, send: Callable[[], T], parsed: Callable[[T], dict[str, Any]]) -> T:
        """What `send` returns, of another attempt where one fails for the moment only. A transaction is made once for
        its token, however often it is sent. Raises the fault of the last attempt."""
        for attempt in range(1, ATTEMPTS):
            try:
                answer = send()
                if not _for_the_moment(parsed(answer)):
                    return answer
            except (ConnectionError, HTTPClientError):
                pass
            except ClientError as error:
                if not _for_the_moment(dict(error.response)):
                    raise
            self._wait(self._jitter() * PAUSE_S * attempt)
        return send()

    def _described(self, client: Any, operation: str) -> Any:
        service = client.meta.service_model
        self._headers[operation] = {
            "X-Amz-Target": f"{service.metadata['targetPrefix']}.{operation}",
            "Content-Type": f"application/x-amz-json-{service.metadata['jsonVersion']}",
            "User-Agent": _USER_AGENT,
        }
        return self._models.setdefault(operation, service.operation_model(operation))


def _for_the_moment(answer: dict[str, Any]) -> bool:
    """Whether that answer is a failure of the moment: a 5xx that does not ask to slow down."""
    status, code = answer.get("ResponseMetadata", {}).get("HTTPStatusCode"), answer.get("Error", {}).get("Code")
    return status in PASSING and code not in THROTTLES
