"""The keys of the values of unique fields: keyed digests, by which two customers of a pool have no value in common.

Pure. A value is compared by its number, its phone numbers or e-mail addresses or, like a name, without regard to case,
width and spaces.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.model.contact_keys import KeySecret, contacts_in
from chalicelib.model.field_definitions import Definitions, number
from chalicelib.model.normalization import fold_name

_SEPARATOR: Final = "\x00"
_KIND: Final = "unique"  # of a key, beside those of contacts


def unique_keys(
    fields: Mapping[str, Any], definitions: Definitions, region: str, secret: KeySecret
) -> dict[str, tuple[str, ...]]:
    """Return the keys of each unique field that has a value."""
    found = {}
    for name in definitions.unique:
        texts = _normalized(name, fields.get(name), definitions, region)
        if texts:
            found[name] = tuple(
                f"{_KIND}#{secret.digest(_SEPARATOR.join((name, text)))}" for text in dict.fromkeys(texts)
            )
    return found


def _normalized(name: str, value: Any, definitions: Definitions, region: str) -> list[str]:
    """Return the normalized parts of a value, none of which another customer may have."""
    if value is None or not (folded := fold_name(str(value))):
        return []
    kind = definitions.kinds.get(name)
    if kind is not None:
        return contacts_in(kind, value, region) or [folded]
    defined = definitions.by_key.get(name)
    if defined is not None and defined.type == "number" and (read := number(value)) is not None:
        return [f"{read.normalize():f}"]
    return [folded]
