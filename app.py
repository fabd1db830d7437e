"""The four Lambda functions: API, authorizer, scheduled sweep and event publisher. Wiring only."""

from __future__ import annotations

import gc

gc.disable()  # imports create almost no garbage, and collecting takes 5 % of a cold start

import os
from functools import cache
from typing import Any

# Imported first, at a shallow stack: a call across the end of one of Python's stack chunks costs two system calls, and
# deep in an import chain the regular expressions that this module compiles made 5,000 such calls.
import botocore.session  # noqa: F401
from chalice.app import AuthRequest, AuthResponse, Chalice, CloudWatchEvent, CORSConfig, Rate, Response

from chalicelib import config, observability
from chalicelib.api import routes
from chalicelib.api.auth import Unauthenticated, Verifier, context_of
from chalicelib.api.handler import Service, respond
from chalicelib.api.routing import Route
from chalicelib.bootstrap import backend, clock
from chalicelib.services import sweeper

# Lambda formats log records as JSON; chalice's own handler would turn them into text first.
app = Chalice(app_name="customer-pool", configure_logs=False)
settings = config.read(os.environ)
log_request = observability.request_logger(app.log, settings.metrics, clock)
cors = CORSConfig(
    allow_headers=["Authorization", "Content-Type", "Accept-Language", "Idempotency-Key", "If-Match"],
    expose_headers=["ETag", "Idempotent-Replayed", "Retry-After", "Content-Language", "X-Request-Id"],
    max_age=600,
)


@cache
def service() -> Service:
    """Create the service with the first request, so that importing the app connects to nothing."""
    return Service(backend(settings), clock)


@cache
def verifier() -> Verifier:
    return Verifier(settings.key_set, settings.issuer, settings.audience, clients=settings.clients)


@cache
def bus() -> Any:
    from chalicelib.events import publisher

    return publisher.connect(settings.region)


@app.authorizer(ttl_seconds=60)
def authorizer(request: AuthRequest) -> AuthResponse:
    """Return the verified caller as request context. API Gateway answers 401 to exactly this exception."""
    try:
        caller = verifier().caller(request.token)
    except Unauthenticated:
        raise Exception("Unauthorized") from None
    return AuthResponse(routes=["*"], principal_id=caller.user, context=context_of(caller))


def serve(route: Route) -> None:
    """Register a route; `respond` handles every request."""

    def view(**parameters: str) -> Response:
        assert app.current_request is not None
        return respond(service, route, app.current_request, parameters, log_request)

    options: dict[str, Any] = {} if route.public else {"authorizer": authorizer}
    name = route.handler.__name__
    app.route(route.path, methods=[route.method], name=name, cors=cors, content_types=["*/*"], **options)(view)


for route in routes.ROUTES:
    serve(route)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep_expired(event: CloudWatchEvent) -> dict[str, Any]:
    """Sweep every pool: return expired claims, send reminders. Stops before the function times out."""
    current = service()
    context: Any = event.context
    report = sweeper.run_round(
        current.backend,
        sweeper.all_pools(current.backend),
        current.clock(),
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    measured = observability.emf_record(
        settings.metrics, "sweep", clock(), report.numbers(), unconfirmed=report.unconfirmed
    )
    app.log.info("swept", extra=measured)
    return report.numbers() | {"unconfirmed": report.unconfirmed}


@app.lambda_function()
def publish_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Publish stream records to EventBridge. Rejected entries are retried through partial batch failure."""
    from chalicelib.events import publisher  # only this function needs it

    report = publisher.publish_records(bus(), settings.event_bus, event["Records"])
    app.log.info("published", extra=observability.emf_record(settings.metrics, "events", clock(), report.numbers))
    return report.response


gc.freeze()  # loaded modules stay: exclude them from later collections
gc.enable()
