"""Authentication: verifies a bearer token against a key set and returns the caller with tenant, user and admin role.

Everything fails closed. Algorithms are fixed here and never taken from the token. Pool roles are stored with members
and are not checked here.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from importlib.util import LazyLoader, find_spec, module_from_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit
from urllib.request import urlopen

from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import user_of
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.users import PERSONAL, Caller, Profile, profile_of

LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
ALGORITHMS: Final = ("RS256", "ES256")
SHORTEST_RSA_KEY: Final = 2048  # bits (RFC 7518, section 3.3)
REFETCH_S: Final = 60.0  # minimum interval between refreshes for an unknown key id
STALE_S: Final = 1800.0  # maximum age of a key set: after this a withdrawn key is rejected
RETRY_S: Final = 5.0  # interval of retries while the key set cannot be read
FETCH_TIMEOUT_S: Final = 3.0
LEEWAY_S: Final = 60  # allowed difference between the issuer's clock and ours
# What PyJWT's exceptions mean, by class; any other is a malformed token.
_REASONS: Final = {
    "ExpiredSignatureError": "expired", "ImmatureSignatureError": "not yet valid",
    "InvalidIssuedAtError": "not yet valid", "InvalidIssuerError": "another issuer",
    "InvalidSignatureError": "wrong signature",
    "InvalidAlgorithmError": "another algorithm", "MissingRequiredClaimError": "missing claim",
}  # fmt: skip
LATEST_S: Final = 253_402_300_799  # the last second of the year 9999


class Unauthenticated(Exception):
    """The token is not valid. `reason` is one of a few words and may be logged; the message may quote the token."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class KeySetUnavailable(Exception):
    """The key set cannot be read. Access is denied, but not with 401: the token may be valid."""


def read_key_set(source: str) -> dict[str, Any]:
    """Return the JSON Web Key Set at an https URL or in a file. Plain http is allowed for loopback only."""
    address = urlsplit(source)
    if address.scheme == "https" or (address.scheme == "http" and address.hostname in LOOPBACK):
        with urlopen(source, timeout=FETCH_TIMEOUT_S) as response:  # noqa: S310 - the scheme was just checked
            return dict(json.load(response))
    return dict(json.loads(Path(source).read_text(encoding="utf-8")))


def _defer_x509() -> None:
    """Let PyJWT load cryptography's parser of certificates when it uses it, which no key of a key set requires.

    Loading it takes a seventh of the authorizer's cold start.
    """
    import cryptography

    name = "cryptography.x509"
    spec = None if name in sys.modules else find_spec(name)
    if spec is not None and spec.loader is not None:
        spec.loader = LazyLoader(spec.loader)
        sys.modules[name] = cryptography.x509 = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


class Verifier:
    """Verifies tokens of one issuer, for one audience or, if a token has no audience, for one of the `clients`.

    `read` returns the key set; `clock` returns seconds for the intervals between refreshes.
    """

    def __init__(
        self,
        source: str,
        issuer: str,
        audience: str,
        read: Callable[[str], dict[str, Any]] = read_key_set,
        clock: Callable[[], float] = time.monotonic,
        clients: Sequence[str] = (),
    ) -> None:
        _defer_x509()
        self._source, self._issuer, self._audience, self._clients = source, issuer, audience, clients
        self._read, self._clock = read, clock
        self._keys: dict[str, Any] = {}
        self._unreadable = False
        self._read_again_at = self._stale_at = 0.0

    def caller(self, authorization: str) -> Caller:
        """Return the caller of a valid Authorization header. Raises Unauthenticated for any other header."""
        # Imported here: only the authorizer needs it, and it loads slowly.
        import jwt

        if not (self._issuer and (self._audience or self._clients)):
            raise Unauthenticated("no issuer, audience or client is configured")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthenticated("not a bearer token")
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            claims = jwt.decode(
                token, self._key(key_id), algorithms=list(ALGORITHMS), issuer=self._issuer, leeway=LEEWAY_S,
                options={"require": ["iss", "exp", "sub"], "verify_aud": False},
            )  # fmt: skip
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise Unauthenticated(_REASONS.get(type(error).__name__, "malformed token"), str(error)) from error
        if not self._is_for_us(claims):
            raise Unauthenticated("another audience or client")
        return _caller(claims)

    def _is_for_us(self, claims: Mapping[str, Any]) -> bool:
        """Check the audience if the token has one, even null; otherwise the client."""
        if "aud" not in claims:
            return claims.get("client_id") in self._clients
        named = claims["aud"]
        audiences = named if isinstance(named, list) else [named]
        return bool(self._audience) and self._audience in audiences and all(isinstance(each, str) for each in audiences)

    def _key(self, key_id: object) -> Any:
        if not isinstance(key_id, str):
            raise Unauthenticated("no key id")
        now = self._clock()
        if now >= (self._stale_at if key_id in self._keys else self._read_again_at):
            self._refresh()
        if key_id in self._keys:
            return self._keys[key_id]
        if self._unreadable:
            raise KeySetUnavailable(f"the key set at {self._source!r} cannot be read")
        raise Unauthenticated("unknown key id")

    def _refresh(self) -> None:
        """Read the key set. If it cannot be read, keep the known keys."""
        now = self._clock()
        try:
            self._keys, self._unreadable = _usable(self._read(self._source)), False
        except (OSError, HTTPException, ValueError, TypeError, AttributeError, KeyError, RecursionError):
            self._unreadable = True
        self._read_again_at = now + (RETRY_S if self._unreadable else REFETCH_S)
        self._stale_at = now + (RETRY_S if self._unreadable else STALE_S)


def _usable(key_set: Mapping[str, Any]) -> dict[str, Any]:
    """Return the public keys for an allowed algorithm, by id."""
    import jwt

    usable = {}
    for entry in key_set["keys"]:
        try:
            key = jwt.PyJWK(entry)
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, AttributeError):
            continue
        if key.algorithm_name in ALGORITHMS and isinstance(key.key_id, str) and _may_verify(entry, key.key):
            usable[key.key_id] = key
    return usable


def _may_verify(entry: Mapping[str, Any], key: Any) -> bool:
    """Return whether the entry is for signatures (RFC 7517, `use` and `key_ops`), and the key long enough for them."""
    operations = entry.get("key_ops", ["verify"])
    for_signatures = entry.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    return for_signatures and (entry.get("kty") != "RSA" or key.key_size >= SHORTEST_RSA_KEY)


def _caller(claims: Mapping[str, Any]) -> Caller:
    user, tenant, roles = claims["sub"], claims.get("tenant", "main"), claims.get("roles", [])
    moments = [claims[name] for name in ("exp", "nbf", "iat") if name in claims]
    if not (_is_subject(user) and _is_id(tenant) and isinstance(roles, list) and all(map(_is_moment, moments))):
        raise Unauthenticated("malformed claim")
    return Caller(tenant, user_of(user), "admin" in roles, profile_of(claims))


def _is_subject(claim: object) -> bool:
    """Return whether a claim is non-empty text without lone surrogates, which UTF-8 cannot encode."""
    return isinstance(claim, str) and claim != "" and not any("\ud800" <= sign <= "\udfff" for sign in claim)


def _is_moment(claim: object) -> bool:
    """Return whether a claim is seconds since 1970, up to 9999. PyJWT itself also accepts text and booleans."""
    return isinstance(claim, int | float) and not isinstance(claim, bool) and 0 <= claim <= LATEST_S


def _is_id(claim: object) -> bool:
    return isinstance(claim, str) and IDENTIFIER.fullmatch(claim) is not None


def context_of(caller: Caller) -> dict[str, str]:
    """Return the caller as authorizer context: API Gateway passes on only strings, and only ASCII unchanged."""
    stated = {name: quote(text, safe="") for name in PERSONAL if (text := getattr(caller.profile, name)) is not None}
    return {"tenant": caller.tenant, "user": caller.user, "admin": "true" if caller.admin else "false", **stated}


def caller_from(request_context: Mapping[str, Any]) -> Caller:
    """Return the caller in the authorizer context. Raises Refused unless it is complete and valid."""
    context = request_context.get("authorizer")
    if isinstance(context, Mapping):
        tenant, user, admin = (context.get(name) for name in ("tenant", "user", "admin"))
        if _is_id(tenant) and _is_id(user) and admin in ("true", "false"):
            return Caller(str(tenant), str(user), admin == "true", _profile_from(context))
    raise Refused(Refusal("unauthenticated"))


def _profile_from(context: Mapping[str, Any]) -> Profile:
    stated = {name: unquote(text) for name in PERSONAL if isinstance(text := context.get(name), str)}
    return profile_of(stated)
