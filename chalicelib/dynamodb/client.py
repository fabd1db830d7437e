"""Sends requests to DynamoDB through one low-level botocore client, without botocore's repeated checks and look-ups.

Callers have typed everything already, so a request is encoded as JSON without validation, and the address and headers
are computed once. Signing, errors and event hooks are botocore's own. A request without an answer, or with a 5xx, is
retried; a throttled one is not, since `table` decides that. This needs one private method of botocore, `_make_request`;
where botocore has no such method, the client's public methods send the same requests. It contains no rule and no
record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, Final, TypeVar

import botocore.session
import msgspec
from botocore import __version__ as botocore_version, xform_name
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError
from pynamodb.expressions.condition import Condition

from chalicelib import __version__
from chalicelib.dynamodb.conditions import condition_expression
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import DESCENDING, INDEX_HASH, Key
from chalicelib.dynamodb.operations import Action, expression_names, request_entry

# A fixed text: botocore would otherwise build a longer one for each request, twice.
_USER_AGENT: Final = f"customer-pool/{__version__} Botocore/{botocore_version}"
_SETTINGS: Final[dict[str, Any]] = {
    "connect_timeout": 1, "read_timeout": 3, "max_pool_connections": 64, "parameter_validation": False,
    "retries": {"mode": "standard", "total_max_attempts": 1}, "user_agent": _USER_AGENT,
}  # fmt: skip
ATTEMPTS: Final = 3
PAUSE_S: Final = 0.05
TRANSIENT_STATUSES: Final = frozenset((500, 502, 503, 504))
THROTTLES: Final = frozenset(
    ("ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "ThrottlingError",
     "ProvisionedThroughputExceeded", "Throttling", "ThroughputExceeded")
)  # fmt: skip

T = TypeVar("T")


class Client:
    """A client of one table, connected on first use.

    `endpoint` is None on AWS. `wait` sleeps between two attempts, `jitter` returns a factor of the pause.
    """

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
        self.session: Any = None  # set it to share loaded service models between several clients
        self._client: Any = None
        self._credentials: Any = None
        self._lock = Lock()
        self._url = ""
        self._models: dict[str, Any] = {}
        self._headers: dict[str, dict[str, str]] = {}

    @property
    def client(self) -> Any:
        """Return the botocore client. One created without credentials is created again: they may exist by now."""
        if not self._usable():
            with self._lock:
                self._client = self._client if self._usable() else self._create()
        return self._client

    def _usable(self) -> bool:
        return self._client is not None and self._credentials is not None

    def _create(self) -> Any:
        session = self.session or botocore.session.get_session()
        self._credentials = session.get_credentials()
        client: Any = session.create_client(
            "dynamodb", self.region, endpoint_url=self.endpoint, config=Config(**_SETTINGS)
        )
        self._url = client.meta.endpoint_url.rstrip("/") + "/"
        return client

    # Operations

    def get(self, keys: Sequence[Key], *, consistent: bool = True) -> dict[str, Any]:
        """Read items by key, strongly consistent unless `consistent` is False. Return the raw response."""
        wanted = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys]
        return self.call("BatchGetItem", {"RequestItems": {self.table: {"Keys": wanted, "ConsistentRead": consistent}}})

    def query(
        self,
        hash_value: str,
        index: str | None,
        between: Condition | None,
        after: Item | None,
        limit: int | None,
        where: Condition | None = None,
    ) -> dict[str, Any]:
        """Query one page of one partition, strongly consistent in the table, eventually in an index.

        DynamoDB leaves out what does not meet `where` after it has looked at `limit` items, or a megabyte.
        """
        names, values = {INDEX_HASH[index] if index else "pk": "#0"}, {":0": {"S": hash_value}}
        text = "#0 = :0" if between is None else f"#0 = :0 AND {condition_expression(between, names, values)}"
        filtered = {} if where is None else {"FilterExpression": condition_expression(where, names, values)}
        defined = expression_names(names, values)
        request = {"TableName": self.table, "KeyConditionExpression": text, **filtered, **defined}
        options = {"IndexName": index, "ExclusiveStartKey": after, "Limit": limit, "ConsistentRead": index is None}
        request |= {"ScanIndexForward": False} if index in DESCENDING else {}
        return self.call("Query", request | {name: value for name, value in options.items() if value})

    def transact(self, actions: Sequence[Action], token: str) -> None:
        """Commit all actions or none, once per token."""
        items = [request_entry(action, self.table) for action in actions]
        self.call("TransactWriteItems", {"TransactItems": items, "ClientRequestToken": token})

    # Transport

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return DynamoDB's response. Raises ClientError for an error response, BotoCoreError for none."""
        client = self.client
        send = getattr(client, "_make_request", None)
        if send is None:
            public = getattr(client, xform_name(operation))
            return dict(self._with_retries(lambda: public(**parameters), dict))
        model = self._models.get(operation) or self._load_model(client, operation)
        context = {
            "client_region": client.meta.region_name, "client_config": client.meta.config,
            "has_streaming_input": False, "auth_type": model.resolved_auth_type,
        }  # fmt: skip
        request = {
            "url": self._url, "url_path": "/", "query_string": "", "method": "POST", "context": context,
            "headers": dict(self._headers[operation]), "body": msgspec.json.encode(parameters),
        }  # fmt: skip
        events = client.meta.events
        events.emit(f"before-call.dynamodb.{operation}", model=model, params=request, context=context)
        http, answer = self._with_retries(lambda: send(model, request, context), lambda made: made[1])
        events.emit(f"after-call.dynamodb.{operation}", http_response=http, parsed=answer, model=model, context=context)
        if http.status_code >= 300:
            raise client.exceptions.from_code(answer.get("Error", {}).get("Code"))(answer, operation)
        return dict(answer)

    def _with_retries(self, send: Callable[[], T], parsed: Callable[[T], dict[str, Any]]) -> T:
        """Return the result of `send`, retried after transient failures. Raises the error of the last attempt.

        A transaction may be resent: DynamoDB applies it once per token.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                answer = send()
                if not _is_transient(parsed(answer)):
                    return answer
            except (ConnectionError, HTTPClientError):
                pass
            except ClientError as error:
                if not _is_transient(dict(error.response)):
                    raise
            self._wait(self._jitter() * PAUSE_S * attempt)
        return send()

    def _load_model(self, client: Any, operation: str) -> Any:
        service = client.meta.service_model
        self._headers[operation] = {
            "X-Amz-Target": f"{service.metadata['targetPrefix']}.{operation}",
            "Content-Type": f"application/x-amz-json-{service.metadata['jsonVersion']}",
            "User-Agent": _USER_AGENT,
        }
        return self._models.setdefault(operation, service.operation_model(operation))


def _is_transient(answer: dict[str, Any]) -> bool:
    """Return whether a response is a 5xx other than throttling."""
    status, code = answer.get("ResponseMetadata", {}).get("HTTPStatusCode"), answer.get("Error", {}).get("Code")
    return status in TRANSIENT_STATUSES and code not in THROTTLES
