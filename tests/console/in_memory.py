"""The service over HTTP on an engine in memory, with a clock that a test can move."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from chalice.app import AuthRequest, AuthResponse, Chalice, Response

from chalicelib import bootstrap, config
from chalicelib.api import routes
from chalicelib.api.auth import context_of
from chalicelib.api.handler import Service, respond
from chalicelib.api.routing import Route
from chalicelib.config import Config
from chalicelib.dynamodb.sharded_query import run_concurrently
from chalicelib.dynamodb.table import Table
from chalicelib.model.contact_keys import KeySecret
from chalicelib.transactions.context import Backend
from poolctl.local_keys import LocalKeys
from tools.local.service import local_environment


def settings_with(local: LocalKeys) -> Config:
    """Return the settings of this machine. Nothing connects to the address of the engine."""
    return config.read(local_environment("http://127.0.0.1:9", local))


def backend_on(table: Table, local: LocalKeys) -> Backend:
    settings = settings_with(local)
    secret = KeySecret(settings.key_version, settings.key_secret)
    return Backend(table, bootstrap.new_id, random.sample, secret, run_concurrently)


def app_on(backend: Backend, local: LocalKeys, clock: Callable[[], int] = bootstrap.clock) -> Chalice:
    """Return an app with the routes of the service on that backend. Tokens expire by the time of this machine."""
    settings = settings_with(local)
    service = Service(backend, clock)
    app = Chalice(app_name="in-memory", configure_logs=False)

    @app.authorizer()
    def authorizer(request: AuthRequest) -> AuthResponse:
        caller = bootstrap.verifier(settings).caller(request.token)
        return AuthResponse(routes=["*"], principal_id=caller.user, context=context_of(caller))

    def serve(route: Route) -> None:
        def view(**parameters: str) -> Response:
            assert app.current_request is not None
            return respond(lambda: service, route, app.current_request, parameters)

        options: dict[str, Any] = {} if route.public else {"authorizer": authorizer}
        name = route.handler.__name__
        app.route(route.path, methods=[route.method], name=name, content_types=["*/*"], **options)(view)

    for each in routes.ROUTES:
        serve(each)
    return app
