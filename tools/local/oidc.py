"""Find the key set of a token issuer through OpenID Connect discovery.

The document must name that issuer and an https address: a forged key set would let anybody sign in. Read once, while
deploying; the deployed service reads only the key set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tools.problems import Unusable

WELL_KNOWN = "/.well-known/openid-configuration"
TIMEOUT = 10.0  # seconds


def read(address: str) -> bytes:
    with urlopen(address, timeout=TIMEOUT) as answer:
        if not answer.url.startswith("https://"):
            raise OSError("it redirects to an address without https")
        return bytes(answer.read())


def key_set_of(issuer: str, read: Callable[[str], bytes] = read) -> str:
    """Return the address of the issuer's key set. Raises `Unusable` for an invalid document."""
    if not issuer.startswith("https://"):
        raise Unusable(f"JWT_ISSUER={issuer} is not an https address, so its keys cannot be looked up: set JWKS= too")
    address = issuer.rstrip("/") + WELL_KNOWN
    try:
        document: Any = json.loads(read(address))
    except (OSError, URLError, ValueError) as error:
        raise Unusable(f"{address} cannot be read ({error}): set the address of the keys with JWKS=") from None
    if not isinstance(document, dict) or document.get("issuer") != issuer:
        raise Unusable(f"{address} has another issuer than {issuer}: set JWT_ISSUER to exactly its `issuer`")
    keys = document.get("jwks_uri")
    if not isinstance(keys, str) or not keys.startswith("https://"):
        raise Unusable(f"{address} names no key set at an https address")
    return keys
