"""The five Lambda functions: API, authorizer, scheduled sweep, and two readers of the stream. Wiring only."""

from __future__ import annotations

from chalicelib import bootstrap

bootstrap.begin_start()

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

# The authorizer runs before the first response of the API: it starts without the modules of the others.
authorizes_only = os.environ.get("_HANDLER") == "app.authorizer"
if not authorizes_only:
    import botocore.session  # noqa: F401 - before other packages, see `bootstrap`
from chalice.app import AuthRequest, AuthResponse, Chalice, CloudWatchEvent, CORSConfig, Rate, Response

from chalicelib import config, observability
from chalicelib.api.auth import KeySetUnavailable, Unauthenticated, context_of

if TYPE_CHECKING:
    from chalicelib.api.routing import Route

# Lambda formats log records as JSON; chalice's own handler would turn them into text first.
app = Chalice(app_name="customer-pool", configure_logs=False)
settings = config.read(os.environ)
service = partial(bootstrap.service, settings)
log_request = observability.request_logger(
    app.log, settings.metrics, bootstrap.clock, settings.key_secret, settings.release
)
cors = CORSConfig(
    allow_headers=["Authorization", "Content-Type", "Accept-Language", "Idempotency-Key", "If-Match"],
    expose_headers=["ETag", "Idempotent-Replayed", "Retry-After", "Content-Language", "X-Request-Id"],
    max_age=600,
)


def measured(function: str, numbers: Mapping[str, float], **extra: Any) -> dict[str, Any]:
    given = {"release": settings.release, **extra}
    return observability.emf_record(settings.metrics, function, bootstrap.clock(), numbers, **given)


@app.authorizer(ttl_seconds=60)
def authorizer(request: AuthRequest) -> AuthResponse:
    """Return the verified caller as request context. API Gateway answers 401 to exactly this exception."""
    try:
        caller = bootstrap.verifier(settings).caller(request.token)
    except Unauthenticated as refusal:
        app.log.info("unauthenticated", extra=measured("authorizer", {}, reason=refusal.reason))
        raise Exception("Unauthorized") from None
    except KeySetUnavailable:
        app.log.error("the key set of the issuer cannot be read", extra=measured("authorizer", {}))
        raise
    return AuthResponse(routes=["*"], principal_id=caller.user, context=context_of(caller))


def serve(route: Route) -> None:
    """Register a route; `respond` handles every request."""

    def view(**parameters: str) -> Response:
        assert app.current_request is not None
        return respond(service, route, app.current_request, parameters, log_request)

    options: dict[str, Any] = {} if route.public else {"authorizer": authorizer}
    name = route.handler.__name__
    app.route(route.path, methods=[route.method], name=name, cors=cors, content_types=["*/*"], **options)(view)


if not authorizes_only:
    from chalicelib.api import routes
    from chalicelib.api.handler import respond

    for each in routes.ROUTES:
        serve(each)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep_expired(event: CloudWatchEvent) -> dict[str, Any]:
    """Run a round of the schedule, or its part of one. Stops before the function times out."""
    from chalicelib.services import fan_out  # only this function needs it

    context: Any = event.context
    report = fan_out.run(
        service().backend,
        event.to_dict(),
        bootstrap.clock(),
        lambda: context.get_remaining_time_in_millis() / 1000,
        bootstrap.invoke(settings, context.invoked_function_arn),
    )
    numbers = report.schedule_numbers()
    app.log.info("swept", extra=measured("sweep", numbers, unconfirmed=report.unconfirmed, part=event.detail or None))
    return numbers | {"unconfirmed": report.unconfirmed}


@app.lambda_function()
def publish_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish stream records to EventBridge. Rejected entries are retried through partial batch failure."""
    from chalicelib.events import publisher  # only this function needs it

    report = publisher.publish_records(
        bootstrap.bus(settings), settings.event_bus, event["Records"], bootstrap.set_aside(settings)
    )
    app.log.info("published", extra=measured("events", report.numbers))
    return report.response


@app.lambda_function()
def index_names(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Keep the search rows of the customers in stream records. Lambda retries from the first failed record."""
    from chalicelib.services import search_rows  # only this function needs it

    report = search_rows.index_records(service().backend.table, event["Records"])
    app.log.info("indexed", extra=measured("names", report.numbers))
    return report.response


bootstrap.end_start()
