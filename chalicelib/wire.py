"""Sends requests to DynamoDB through one low-level botocore client, without botocore's repeated checks and look-ups.

Callers have typed everything already, so a request is encoded as JSON without validation, and the address and headers
are computed once. Signing, retries, errors and event hooks are botocore's own. This needs one private method of
botocore, `_make_request`; where botocore has no such method, the client's public methods send the same requests. Knows
no rule and no record.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from typing import Any, Final

import botocore.session
import msgspec
from botocore import __version__ as botocore_version
from botocore import xform_name
from botocore.config import Config
from pynamodb.expressions.condition import Condition

from chalicelib import __version__
from chalicelib.actions import Action, named, requested
from chalicelib.conditions import written
from chalicelib.layout import Item, Key

# A fixed text: botocore would otherwise build a longer one for each request, twice.
_USER_AGENT: Final = f"customer-pool/{__version__} Botocore/{botocore_version}"
_SETTINGS: Final[dict[str, Any]] = {
    "connect_timeout": 1, "read_timeout": 3, "max_pool_connections": 64, "parameter_validation": False,
    "retries": {"mode": "standard", "total_max_attempts": 3}, "user_agent": _USER_AGENT,
}  # fmt: skip


class Wire:
    """To one table. `endpoint` is None on AWS. The client is made when it is first wanted."""

    def __init__(self, table: str, region: str | None, endpoint: str | None) -> None:
        self.table, self.region, self.endpoint = table, region, endpoint
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
        text = "#0 = :0" if between is None else f"#0 = :0 AND {written(between, names, values)}"
        asked = {"TableName": self.table, "KeyConditionExpression": text, **named(names, values)}
        further = {"IndexName": index, "ExclusiveStartKey": after, "Limit": limit, "ConsistentRead": index is None}
        return self.call("Query", asked | {name: told for name, told in further.items() if told})

    def transact(self, actions: Sequence[Action], token: str) -> None:
        """Commits all of them or none, once for that token."""
        items = [requested(action, self.table) for action in actions]
        self.call("TransactWriteItems", {"TransactItems": items, "ClientRequestToken": token})

    # How it is asked

    def call(self, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        """The engine's answer to that request. Raises ClientError if it refuses, BotoCoreError if it is silent."""
        client = self.client
        send = getattr(client, "_make_request", None)
        if send is None:
            return dict(getattr(client, xform_name(operation))(**asked))
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
        http, answer = send(model, request, context)
        events.emit(f"after-call.dynamodb.{operation}", http_response=http, parsed=answer, model=model, context=context)
        if http.status_code >= 300:
            raise client.exceptions.from_code(answer.get("Error", {}).get("Code"))(answer, operation)
        return dict(answer)

    def _described(self, client: Any, operation: str) -> Any:
        service = client.meta.service_model
        self._headers[operation] = {
            "X-Amz-Target": f"{service.metadata['targetPrefix']}.{operation}",
            "Content-Type": f"application/x-amz-json-{service.metadata['jsonVersion']}",
            "User-Agent": _USER_AGENT,
        }
        return self._models.setdefault(operation, service.operation_model(operation))
