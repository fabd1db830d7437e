"""Settings from environment variables."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from chalicelib import __version__


class Config(Struct, frozen=True):
    """The settings of the service.

    `endpoint` is None on AWS; `key_set` is the URL or path of the issuer's JSON Web Key Set. `clients` are the client
    ids whose tokens need no audience. `event_bus` is the EventBridge bus, `failed_events` the queue for malformed
    stream records, `metrics` the CloudWatch namespace. `fan_out` lets the schedule invoke its own function for the work
    that one run has no time for. `key_secret` is for the digests of phone numbers and e-mail addresses in table keys,
    which name its `key_version`, and of names in logs. `commit` is the commit that is deployed.
    """

    table: str
    endpoint: str | None
    region: str
    key_set: str
    issuer: str
    audience: str
    clients: tuple[str, ...]
    event_bus: str
    failed_events: str
    metrics: str
    key_secret: str
    key_version: str
    commit: str
    fan_out: bool

    @property
    def release(self) -> str:
        """Return the version and the commit, for logs."""
        return f"{__version__}+{self.commit}"

    def __repr__(self) -> str:
        return f"Config({self.table!r})"  # without the secret


def read(environment: Mapping[str, str]) -> Config:
    """Read the settings. Without a key set, an issuer, and an audience or a client, every token is rejected."""
    return Config(
        table=environment.get("TABLE_NAME", "customer-pool"),
        endpoint=environment.get("DYNAMODB_ENDPOINT"),
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
        key_set=environment.get("JWKS", ""),
        issuer=environment.get("JWT_ISSUER", ""),
        audience=environment.get("JWT_AUDIENCE", ""),
        clients=tuple(environment.get("JWT_CLIENTS", "").split()),
        event_bus=environment.get("EVENT_BUS", ""),
        failed_events=environment.get("FAILED_EVENTS", ""),
        metrics=environment.get("METRICS", "CustomerPool"),
        key_secret=environment.get("KEY_SECRET", ""),
        key_version=environment.get("KEY_VERSION", "1"),
        commit=environment.get("COMMIT") or "unknown",
        fan_out=environment.get("FAN_OUT") == "on",
    )


class SignIn(Struct, frozen=True):
    """Sign-in of the console: a public OpenID Connect client.

    `token` names the token that the console sends to the API. `hosts` are origins besides the issuer's that the
    sign-in may connect to.
    """

    issuer: str
    client: str
    scope: str
    token: str
    hosts: tuple[str, ...]


def sign_in(environment: Mapping[str, str]) -> SignIn | None:
    """Return the sign-in settings, or None without a client: then users paste tokens."""
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
