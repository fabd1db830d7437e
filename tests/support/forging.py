"""Tokens for tests: valid ones, forged ones, and some that no library creates."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://issuer.example", "customer-pool"
EC_KEY, OTHER_EC_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
RSA_KEY = rsa.generate_private_key(65537, 2048)


def published(key: Any, key_id: str, **claims_made: Any) -> dict[str, Any]:
    """Return the entry of a key set that publishes this key."""
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return algorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": key_id} | claims_made


KEYS = [published(EC_KEY, "ec"), published(RSA_KEY, "rsa")]


def claims(left_out: str = "", **changes: Any) -> dict[str, Any]:
    """Return the claims of a valid token with those changes."""
    claims_made = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": int(time.time()) + 600} | changes
    return {name: claim for name, claim in claims_made.items() if name != left_out}


def token(key: Any = EC_KEY, algorithm: str = "ES256", key_id: str | None = "ec", **changes: Any) -> str:
    """Return the value of an Authorization header with a signed token."""
    return "Bearer " + jwt.encode(claims(**changes), key, algorithm, {"kid": key_id} if key_id else {})


def handmade(header: Any, claims_made: Any, sign: Callable[[bytes], bytes] = lambda _: b"") -> str:
    """Return a token of any header and claims. Text is encoded as it is."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims_made)]
    content = b".".join(_b64(part.encode()) for part in parts)
    return "Bearer " + (content + b"." + _b64(sign(content))).decode()


def signed(claims_made: Any) -> str:
    """Return a token with a valid signature and any claims."""
    return handmade({"alg": "ES256", "kid": "ec"}, claims_made, lambda content: _ES256.sign(content, EC_KEY))


_ES256 = ECAlgorithm(ECAlgorithm.SHA256)


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")
