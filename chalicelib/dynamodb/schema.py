"""The declaration of the table and its indexes, for local tables and the deployed template alike."""

from __future__ import annotations

from typing import Any, Final

from chalicelib.dynamodb.keys import (
    COVERING,
    DUE,
    INDEX_HASH,
    INDEX_RANGE,
    NAMES,
    PLACE,
    PROJECTED,
    REMINDER,
    REQUEST,
    ROSTER,
)


def _index(name: str, range_key: str) -> dict[str, Any]:
    keys = [{"AttributeName": INDEX_HASH[name], "KeyType": "HASH"}, {"AttributeName": range_key, "KeyType": "RANGE"}]
    projection: dict[str, Any] = {"ProjectionType": "ALL" if name in COVERING else "KEYS_ONLY"}
    if name in PROJECTED:
        projection = {"ProjectionType": "INCLUDE", "NonKeyAttributes": [*PROJECTED[name]]}
    return {"IndexName": name, "KeySchema": keys, "Projection": projection}


SCHEMA: Final[dict[str, Any]] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (
            ("pk", "S"), ("sk", "S"), (ROSTER, "S"), (PLACE, "S"), ("rank", "N"), (DUE, "S"), ("due_at", "N"),
            (NAMES, "S"), ("folded", "S"), (REMINDER, "S"), ("remind_at", "N"), (REQUEST, "S"),
            ("win_requested_at", "N"), ("entered_at", "N"),
        )
    ],
    "GlobalSecondaryIndexes": [_index(name, range_key) for name, range_key in INDEX_RANGE.items()],
    "BillingMode": "PAY_PER_REQUEST",
    # Both images, so that a consumer sees which events a write has added.
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}  # fmt: skip
