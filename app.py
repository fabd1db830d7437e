"""The whole service at a glance: the routes, who is asking, the sweep on its schedule, and what others are told of it
all. Wiring only."""

from __future__ import annotations

import gc

gc.disable()  # loading makes next to no garbage, and looking for it is a twentieth of a cold start

import os
from functools import cache
from typing import Any

# First, and from up here: where calls straddle the end of one of Python's stack chunks each costs two system calls, and
# deep down in a chain of imports, what this compiles (regular expressions) did so five thousand times.
import botocore.session  # noqa: F401
from chalice.app import AuthRequest, AuthResponse, Chalice, CloudWatchEvent, CORSConfig, Rate, Response

from chalicelib import config, observability
from chalicelib.api import routes
from chalicelib.api.auth import Unauthenticated, Verifier, context_of
from chalicelib.api.handler import Route, Service, respond
from chalicelib.bootstrap import backend, clock
from chalicelib.services import sweeper

# Lambda makes JSON of what is logged; chalice's own handler would make text of it first.
app = Chalice(app_name="customer-pool", configure_logs=False)
settings = config.read(os.environ)
tell = observability.request_logger(app.log, settings.metrics, clock)
cors = CORSConfig(
    allow_headers=["Authorization", "Content-Type", "Accept-Language", "Idempotency-Key", "If-Match"],
    expose_headers=["ETag", "Idempotent-Replayed", "Retry-After", "Content-Language", "X-Request-Id"],
    max_age=600,
)


@cache
def service() -> Service:
    """Made with the first request, so that loading the app touches nothing."""
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
    """The gateway answers 401 to exactly this exception, and passes the caller on otherwise."""
    try:
        caller = verifier().caller(request.token)
    except Unauthenticated:
        raise Exception("Unauthorized") from None
    return AuthResponse(routes=["*"], principal_id=caller.user, context=context_of(caller))


def serve(route: Route) -> None:
    """Every route goes through the one wrapper."""

    def view(**parameters: str) -> Response:
        assert app.current_request is not None
        return respond(service, route, app.current_request, parameters, tell)

    options: dict[str, Any] = {} if route.public else {"authorizer": authorizer}
    name = route.handler.__name__
    app.route(route.path, methods=[route.method], name=name, cors=cors, content_types=["*/*"], **options)(view)


for each in routes.ROUTES:
    serve(each)


@app.schedule(Rate(1, unit=Rate.MINUTES))
def sweep_expired(event: CloudWatchEvent) -> dict[str, Any]:
    """One round of every pool: lapsed claims go back, holders are reminded. Stops before the function's time is up."""
    made = service()
    context: Any = event.context
    report = sweeper.run_round(
        made.backend,
        sweeper.all_pools(made.backend),
        made.clock(),
        lambda: context.get_remaining_time_in_millis() / 1000,
    )
    measured = observability.emf_record(
        settings.metrics, "sweep", clock(), report.numbers(), unconfirmed=report.unconfirmed
    )
    app.log.info("swept", extra=measured)
    return report.body()


@app.lambda_function()
def publish_events(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tells the event bus what the table's stream says has happened. What the bus did not take comes again."""
    from chalicelib.events import publisher, stream  # no other function needs them

    reading = stream.events_from(event["Records"])
    for malformed in reading.malformed:
        app.log.error("malformed record: %s", malformed)
    entries = [told.entry(settings.event_bus) for told in reading.told]
    first_untold = publisher.publish(bus(), entries)
    told = len(entries) if first_untold is None else first_untold
    numbers = {"told": told, "untold": len(entries) - told, "malformed": len(reading.malformed)}
    app.log.info("told", extra=observability.emf_record(settings.metrics, "events", clock(), numbers))
    return stream.batch_item_failures(reading.told, first_untold)


gc.freeze()  # what is loaded stays
gc.enable()
