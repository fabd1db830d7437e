"""What an index projects of a customer, for lists. Nothing here calls DynamoDB.

A projection is read as a customer without fields, with its card. State, holder and deadline follow from the index keys.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chalicelib.dynamodb import items, keys
from chalicelib.dynamodb.items import Item
from chalicelib.dynamodb.keys import (
    FIRST_PRIVATE_RANK,
    IN_PROJECTION,
    INDEX_RANGE,
    NO_DEADLINE,
    PLACE,
    PRIORITY_STEP,
    stored_name,
)
from chalicelib.model.model import Customer

_WHOLE: Final = ("state", "holder", "expires_at", "waiting_since")  # only in an index that projects whole items
_PLAIN: Final = {stored_name(name): name for name in (*IN_PROJECTION, *_WHOLE) if name != "card"}


def projected_record(tenant: str, pool: str, stored: Item) -> Customer:
    """Return the customer of an index item, as far as it is there. Raises one of items.MALFORMED."""
    content = {_PLAIN[name]: items.deserialize(tagged) for name, tagged in stored.items() if name in _PLAIN}
    if "state" not in stored:
        content |= _placed(stored, content.get("priority", 0))
    content["card"] = stored["card"]["M"] if "card" in stored else {}
    content |= {"tenant": tenant, "pool": pool, "id": keys.id_from_pk(stored["pk"]["S"])}
    return msgspec.convert({"waiting_since": 0, "fields_version": 0} | content, Customer)


def _placed(stored: Item, priority: int) -> dict[str, Any]:
    """Return the attributes that follow from a key of the index `place`: the inverse of `keys.index_attributes`."""
    rank = items.deserialize(stored[INDEX_RANGE[PLACE]])
    holder = keys.holder_from_place(items.deserialize(stored[PLACE]))
    if holder is None:
        return {"state": "available", "waiting_since": rank + priority * PRIORITY_STEP}
    claimed = rank <= NO_DEADLINE
    deadline = rank if claimed else rank - FIRST_PRIVATE_RANK
    expires_at = None if deadline == NO_DEADLINE else deadline
    return {"state": "claimed" if claimed else "private", "holder": holder, "expires_at": expires_at}
