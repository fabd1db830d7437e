"""The settings that a deployment gives through its environment. Read once, here."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Config(Struct, frozen=True):
    """`endpoint` is None on AWS; `key_set` is the address or the path of the issuer's JSON Web Key Set. `clients` are
    the client ids whose tokens need no audience. `event_bus` is the name of the bus on which events are told, `metrics`
    the namespace of what is counted."""

    table: str
    endpoint: str | None
    region: str
    key_set: str
    issuer: str
    audience: str
    clients: tuple[str, ...]
    event_bus: str
    metrics: str


def read(environment: Mapping[str, str]) -> Config:
    """Without a key set, an issuer, and an audience or a client, no token is accepted."""
    return Config(
        table=environment.get("TABLE_NAME", "customer-pool"),
        endpoint=environment.get("DYNAMODB_ENDPOINT"),
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
        key_set=environment.get("JWKS", ""),
        issuer=environment.get("JWT_ISSUER", ""),
        audience=environment.get("JWT_AUDIENCE", ""),
        clients=tuple(environment.get("JWT_CLIENTS", "").split()),
        event_bus=environment.get("EVENT_BUS", ""),
        metrics=environment.get("METRICS", "CustomerPool"),
    )


class SignIn(Struct, frozen=True):
    """The company's own sign-in, for the console: an OpenID Connect client without a secret. `token` names the token
    that the service is shown; `hosts` are origins beside the issuer's own that the sign-in has to be able to ask."""

    issuer: str
    client: str
    scope: str
    token: str
    hosts: tuple[str, ...]


def sign_in(environment: Mapping[str, str]) -> SignIn | None:
    """None where no client is named: then tokens are pasted."""
    client = environment.get("SIGN_IN_CLIENT", "")
    if not client:
        return None
    return SignIn(
        issuer=environment.get("SIGN_IN_ISSUER", ""),
        client=client,
        scope=environment.get("SIGN_IN_SCOPE") or "openid",
        token=environment.get("SIGN_IN_TOKEN") or "id_token",
        hosts=tuple(environment.get("SIGN_IN_HOSTS", "").split()),
    )
