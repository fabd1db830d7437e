"""The service over real HTTP on a clock that the test moves: the local gateway, with the wiring of `app.py` around a
Service of the test's own. Tokens are verified as ever, by the real clock."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from chalice.app import AuthRequest, AuthResponse, Chalice, Response

from chalicelib import routes
from chalicelib.auth import Unauthenticated, Verifier, context_of
from chalicelib.http import Route, Service, respond
from tests.conformance import assert_conforms
from tests.world import Reply, find
from tools.keys import AUDIENCE, ISSUER, LocalKeys


def front(service: Service, keys: LocalKeys) -> Chalice:
    """Every route, behind an authorizer that takes the tokens of those keys."""
    app, verifier = Chalice(app_name="front"), Verifier(str(keys.jwks), ISSUER, AUDIENCE)

    @app.authorizer()
    def who_is_asking(request: AuthRequest) -> AuthResponse:
        try:
            caller = verifier.caller(request.token)
        except Unauthenticated:
            raise Exception("Unauthorized") from None
        return AuthResponse(routes=["*"], principal_id=caller.user, context=context_of(caller))

    for route in routes.ROUTES:
        guarded: dict[str, Any] = {} if route.public else {"authorizer": who_is_asking}
        name = route.handler.__name__
        app.route(route.path, methods=[route.method], name=name, content_types=["*/*"], **guarded)(
            view_of(app, service, route)
        )
    return app


def view_of(app: Chalice, service: Service, route: Route) -> Callable[..., Response]:
    return lambda **parameters: respond(lambda: service, route, app.current_request, parameters)


class Wire:
    """One connection, kept open. Counts what is asked and refused; a fault of the service fails the test at once."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=35)
        self.requests = 0
        self.refusals: Counter[str] = Counter()

    def send(self, token: str, method: str, path: str, body: Any, headers: dict[str, str]) -> Reply:
        content = b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        self._connection.request(method, path, content, sent)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        self.requests += 1
        assert answer.status < 500 and answer.status != 429, f"{method} {path}: {answer.status} {text}"
        route, _ = find(method, path.partition("?")[0])
        assert_conforms(route, content, answer.status, answer.headers, text)
        reply = Reply(answer.status, dict(answer.headers), text)
        self._count(reply)
        return reply

    def _count(self, reply: Reply) -> None:
        if reply.status >= 400:
            self.refusals[reply.code] += 1
        for result in reply.json.get("results", ()) if reply.status == 200 else ():
            self.refusals.update([] if result["ok"] else [result["code"]])
