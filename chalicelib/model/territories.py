"""Territories: which customers of a pool a member may take, by one field (rule 37).

Pure. It must not know how customers are stored, nor who may see a value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from chalicelib.model.field_definitions import Definitions
from chalicelib.model.validation import FieldError


class Territory(Struct, frozen=True):
    """A territory: the field, and the values of it that the member may take. Any one counts."""

    field: str
    values: tuple[str, ...]

    @property
    def body(self) -> dict[str, list[str]]:
        return {self.field: list(self.values)}

    @property
    def text(self) -> str:
        """Return the stored form. Equal territories have equal texts: a condition compares them."""
        return msgspec.json.encode(self.body).decode()


def territory_of(body: Mapping[str, Sequence[str]] | None) -> Territory | None:
    """Return the territory that a client sent, with one field; a repeated value counts once."""
    if body is None:
        return None
    ((field, values),) = body.items()
    return Territory(field, tuple(dict.fromkeys(each.strip() for each in values)))


def from_text(text: str) -> Territory:
    """Return a stored territory. Raises ValueError, or msgspec.MsgspecError, if it is malformed."""
    ((field, values),) = msgspec.json.decode(text, type=dict[str, tuple[str, ...]]).items()
    return Territory(field, values)


def problem(territory: Territory, definitions: Definitions) -> FieldError | None:
    """Return the error of a territory whose field is no `filter` field of the pool."""
    field = definitions.by_key.get(territory.field)
    if field is not None and field.filter:
        return None
    possible = ", ".join(each.key for each in definitions.by_key.values() if each.filter) or "-"
    return FieldError("not_one_of", "takes", (possible,))
