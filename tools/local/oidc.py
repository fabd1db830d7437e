"""Where an issuer of tokens publishes its keys, as its OpenID Connect discovery document says.

The document has to be about that very issuer, and name an https address: whoever can say where the keys are decides who
gets in. Asked once, while deploying; the deployed service reads the key set only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tools.problems import Unusable

WELL_KNOWN = "/.well-known/openid-configuration"
PATIENCE = 10.0  # seconds


def read(address: str) -> bytes:
    with urlopen(address, timeout=PATIENCE) as answer:
        if not answer.url.startswith("https://"):
            raise OSError("it leads to an address without https")
        return bytes(answer.read())


def key_set_of(issuer: str, read: Callable[[str], bytes] = read) -> str:
    """The address of the issuer's key set. Raises `Unusable` with one line for a document that cannot be believed."""
    if not issuer.startswith("https://"):
        raise Unusable(f"JWT_ISSUER={issuer} is not an https address, so its keys cannot be looked up: say JWKS= too")
    address = issuer.rstrip("/") + WELL_KNOWN
    try:
        document: Any = json.loads(read(address))
    except (OSError, URLError, ValueError) as error:
        raise Unusable(f"{address} cannot be read ({error}): say where the keys are with JWKS=") from None
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise Unusable(f"{address} is not about {issuer}: JWT_ISSUER has to be written as it says under `issuer`")
    keys = document.get("jwks_uri")
    if not isinstance(keys, str) or not keys.startswith("https://"):
        raise Unusable(f"{address} names no key set at an https address")
    return keys
