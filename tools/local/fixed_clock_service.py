"""The routes of `app.py` around a given Service, whose clock and ids the caller controls.

For reproducible responses: in the API guide and in tests of days and months. Tokens are verified by the real clock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalice.app import AuthRequest, AuthResponse, Chalice, Response

from chalicelib.api import routes
from chalicelib.api.auth import Unauthenticated, Verifier, context_of
from chalicelib.api.handler import Service, respond
from chalicelib.api.routing import Route
from poolctl.local_keys import AUDIENCE, ISSUER, LocalKeys


def front(service: Service, keys: LocalKeys) -> Chalice:
    """Return an app with all routes, whose authorizer accepts the tokens of those keys."""
    app, verifier = Chalice(app_name="front"), Verifier(str(keys.jwks), ISSUER, AUDIENCE)

    @app.authorizer()
    def authorizer(request: AuthRequest) -> AuthResponse:
        try:
            caller = verifier.caller(request.token)
        except Unauthenticated:
            raise Exception("Unauthorized") from None
        return AuthResponse(routes=["*"], principal_id=caller.user, context=context_of(caller))

    for route in routes.ROUTES:
        guarded: dict[str, Any] = {} if route.public else {"authorizer": authorizer}
        name = route.handler.__name__
        app.route(route.path, methods=[route.method], name=name, content_types=["*/*"], **guarded)(
            view_of(app, service, route)
        )
    return app


def view_of(app: Chalice, service: Service, route: Route) -> Callable[..., Response]:
    def view(**parameters: str) -> Response:
        assert app.current_request is not None
        return respond(lambda: service, route, app.current_request, parameters)

    return view
