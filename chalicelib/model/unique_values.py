"""The keys of the values of unique fields: keyed digests, by which two customers of a pool have no value in common.

Pure. The package `importing` normalizes a value, so the service and the command line agree about which are equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from chalicelib.model.contact_keys import KeySecret
from chalicelib.model.field_definitions import Definitions
from importing.unique import unique_texts

_SEPARATOR: Final = "\x00"
_KIND: Final = "unique"  # of a key, beside those of contacts


def unique_keys(
    fields: Mapping[str, Any], definitions: Definitions, region: str, secret: KeySecret
) -> dict[str, tuple[str, ...]]:
    """Return the keys of each unique field that has a value."""
    found = {}
    for name in definitions.unique:
        defined = definitions.by_key.get(name)
        texts = unique_texts(None if defined is None else defined.type, fields.get(name), region)
        if texts:
            found[name] = tuple(
                f"{_KIND}#{secret.digest(_SEPARATOR.join((name, text)))}" for text in dict.fromkeys(texts)
            )
    return found
