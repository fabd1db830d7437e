"""A key pair for this machine, created once, and tokens signed with it.

The service verifies them like a real provider's: it reads the public key from a JWKS file. The private key stays in
`.local/`.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from poolctl.atomic_files import write_atomically
from poolctl.problems import Unusable

KEYS = Path(__file__).resolve().parent.parent / ".local" / "keys"
ISSUER = "https://local.customer-pool"
AUDIENCE = "customer-pool"
LIFETIME = 12 * 60 * 60  # seconds: a working day
ALGORITHM = "ES256"
KEY_ID = "local"

_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True)
class LocalKeys:
    """The key pair in `folder`."""

    folder: Path = KEYS

    @property
    def jwks(self) -> Path:
        """Return the file with the public key, which the service reads."""
        return self.folder / "jwks.json"

    @property
    def private(self) -> Path:
        return self.folder / "private.pem"

    def ensure(self) -> LocalKeys:
        """Create the pair unless it exists."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.private.exists():
            write_atomically(self.private, _new_private_key(), 0o600)
        # Always derived, so that an interrupted run cannot leave two keys that do not match.
        public_key = serialization.load_pem_private_key(self.private.read_bytes(), None).public_key()
        assert isinstance(public_key, ec.EllipticCurvePublicKey)
        jwk = ECAlgorithm.to_jwk(public_key, as_dict=True) | {"kid": KEY_ID, "use": "sig", "alg": ALGORITHM}
        write_atomically(self.jwks, json.dumps({"keys": [jwk]}, indent=2).encode())
        return self

    def token(
        self,
        user: str,
        roles: list[str] | None = None,
        tenant: str | None = None,
        profile: dict[str, str] | None = None,
    ) -> str:
        """Return a token, valid for twelve hours. Raises `Unusable` for names that the service would reject.

        `profile` contains further claims: `name`, `email`, `department`.
        """
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": checked_subject(user),
            "iat": now,
            "exp": now + LIFETIME,
        }
        if tenant:
            claims["tenant"] = checked("tenant", tenant)
        if roles:
            claims["roles"] = [checked("role", role) for role in roles]
        claims |= profile or {}
        return jwt.encode(claims, self.private.read_bytes(), ALGORITHM, {"kid": KEY_ID})


def checked_subject(user: str) -> str:
    """Return `user` if the service accepts it as the subject of a token. Raises `Unusable`."""
    try:
        user.encode()
    except UnicodeEncodeError:
        raise Unusable(f"user {user!r} is not valid: expected UTF-8 text") from None
    if not user:
        raise Unusable("user '' is not valid: expected at least one character")
    return user


def checked(kind: str, name: str) -> str:
    """Return `name` if the service accepts it as an id. Raises `Unusable`."""
    if not _ID.fullmatch(name):
        raise Unusable(f"{kind} {name!r} is not valid: 1 to 64 letters, digits, - or _")
    return name


def _new_private_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
