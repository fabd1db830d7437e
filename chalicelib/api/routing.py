"""Routes: their declaration, and the answers of their handlers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from msgspec import Struct

from chalicelib.model.errors import Refusal
from chalicelib.model.responses import Body
from chalicelib.transactions.idempotency import Result

if TYPE_CHECKING:
    from chalicelib.services.import_undo import Undoing
    from chalicelib.services.imports import Forecasts

JSON: Final = "application/json"
HTML: Final = "text/html; charset=utf-8"
ANY_MEDIA: Final = "*/*"
POOL: Final = "/v1/pools/{pool}"
CUSTOMER: Final = POOL + "/customers/{customer}"


class NoBody(Struct, forbid_unknown_fields=True):
    """The body or query of a route without parameters."""


class File(Struct, frozen=True):
    """A text for browsers with its media type and headers."""

    text: str
    media: str
    headers: dict[str, str]


Form: TypeAlias = Literal["body", "one", "each", "items"]


class Answer(Struct, frozen=True):
    """The answer of a handler: a `body`, the `results` of customers, the refusals that are `blocking` a claim, or a
    `file`. An `atomic` batch is refused as a whole. `import_id` is that of the import that has the results. The dry
    run of an import has `forecasts`. The undo of an import has its next cursor in `undoing`. `next_cursor`
    continues the search that has found the results. `localized` returns a body in a language.
    """

    body: Body = {}
    status: int = 200
    results: dict[int, Result] | None = None
    atomic: bool = False
    import_id: str | None = None
    forecasts: Forecasts | None = None
    undoing: Undoing | None = None
    next_cursor: str | None = None
    blocking: list[Refusal] | None = None
    localized: Callable[[str], Body] | None = None
    file: File | None = None


class Route(Struct, frozen=True):
    """The declaration of a route.

    `handler` returns an Answer or raises Refused. It takes, by name, the values that it uses: `ctx`, `body`, `query`
    and the path parameters. `body` and `query` are request types, `row` that of the rows in a body; `answers` is the
    type of a response with `status`, `media` its media type. A `public` route needs no token. With `recalls`, for
    requests of several steps, the idempotency record is read first. A request of one transaction finds it in that
    transaction.

    `form` is the response form of results: `one` customer, a result for `each` id, or a list of claimed `items`.
    A route that `continues` after its answer, whose `state` is `running` then, has the status 202.

    `admins` restricts the route to admins of the tenant. `removes` marks the removal of the member `user`: members who
    removed themselves still get the replayed response.
    """

    method: str
    path: str
    handler: Callable[..., Answer]
    body: type = NoBody
    row: type = NoBody
    query: type = NoBody
    answers: type | None = None
    status: int = 200
    media: str = JSON
    public: bool = False
    recalls: bool = True
    form: Form = "body"
    admins: bool = False
    continues: bool = False
    removes: bool = False

    @property
    def versioned(self) -> bool:
        """Whether the route changes something that already has a version: only such a route reads If-Match."""
        shows_version = "version" in getattr(self.answers, "__struct_fields__", ())
        versioned = self.path.endswith("}") or shows_version or self.form == "one"
        return self.method != "GET" and self.status != 201 and versioned

    def call(self, **given: Any) -> Answer:
        return call(self.handler, given)


ROUTES: Final[list[Route]] = []
Handler: TypeAlias = Callable[..., Answer]
T = TypeVar("T")


@cache
def _taken_by(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(signature(function).parameters)


def call(function: Callable[..., T], given: Mapping[str, Any]) -> T:
    """Call the function with those of the given values that it takes."""
    return function(**{name: given[name] for name in _taken_by(function)})


def route(method: str, path: str, **declared: Any) -> Callable[[Handler], Handler]:
    """Declare a route with the decorated handler."""

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, path, handler, **declared))
        return handler

    return register
