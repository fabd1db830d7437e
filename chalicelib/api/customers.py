"""Routes for customer records: create, import, list, read, edit, history. One short function each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, TypeAlias

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import replace

from chalicelib import services
from chalicelib.api.import_preview import PreviewBody, piece_of
from chalicelib.api.requests import (
    BatchBody,
    Batched,
    Fields,
    Name,
    PageQuery,
    Priority,
    Search,
    Text,
    checked_field_names,
    checked_name,
    checked_visible,
    decode,
    invalid,
)
from chalicelib.api.routing import CUSTOMER, POOL, Answer, route
from chalicelib.api.verbs import Batch, batch_answer, check_batch_size, one_answer, verb
from chalicelib.domain.content_transitions import OnDuplicate, Row
from chalicelib.model import responses
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import User
from chalicelib.model.model import Identifier, Pool
from chalicelib.model.normalization import Kind, fold_name
from chalicelib.model.responses import same_schema_as
from chalicelib.model.selections import ImportKey, Listed, WhenDuplicate
from chalicelib.model.text import NAME_PATTERN, field_errors
from chalicelib.model.validation import FieldError
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.idempotency import Result
from chalicelib.transactions.import_log import ImportLog, Source
from chalicelib.transactions.unit_of_work import Outcome


class RowBody(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a customer."""

    name: Name
    id: Identifier | None = None
    fields: Fields = {}
    priority: Priority | UnsetType = UNSET

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_field_names(self.fields)

    def row(self, new_id: Callable[[], str]) -> Row:
        """Return the row of this body. Raises Refused if the fields are too large."""
        if errors := field_errors(self.fields):
            raise Refused(Refusal("invalid_request", errors=errors))
        priority = None if self.priority is UNSET else self.priority
        return Row(self.id or new_id(), self.name, self.fields, priority, generated_id=self.id is None)


class NewCustomerBody(RowBody, frozen=True, forbid_unknown_fields=True):
    private_of: User | None = None
    on_duplicate: Annotated[
        WhenDuplicate,
        Meta(description="`reject`: refuse it if a customer of the pool has the same phone number or e-mail address."),
    ] = "reject"


@route("POST", POOL + "/customers", body=NewCustomerBody, answers=responses.Customer, status=201, form="one")
def create_customer(ctx: RequestContext, body: NewCustomerBody, pool: str) -> Answer:
    """Create an available customer in the pool, or a private customer of the member `private_of`."""
    owner, row = body.private_of and body.private_of.id, body.row(ctx.backend.new_id)
    return one_answer(services.creation.create(ctx, pool, row, owner, body.on_duplicate), status=201)


Holder: TypeAlias = Annotated[
    str,
    Meta(min_length=1, max_length=1_024, description="The id, e-mail address or unique name of a member."),
]


class ImportRow(RowBody, frozen=True, forbid_unknown_fields=True):
    holder: Holder | None = None


class ImportSource(Struct, frozen=True, forbid_unknown_fields=True):
    """The import that a request is a part of: an id that the client chooses for a file, and the name of the file."""

    id: Identifier
    file: Annotated[str, Meta(min_length=1, max_length=200, pattern=NAME_PATTERN)] | None = None

    def __post_init__(self) -> None:
        checked_visible(self.file, "import.file")


class ImportBody(Struct, frozen=True, forbid_unknown_fields=True):
    rows: Annotated[list[Annotated[msgspec.Raw, same_schema_as("ImportRow")]], Batched]
    key: ImportKey = "id"
    on_duplicate: OnDuplicate = "reject"
    dry_run: bool = False
    source: ImportSource | None = msgspec.field(default=None, name="import")


@route("POST", POOL + "/import", body=ImportBody, row=ImportRow, answers=responses.Import, form="each")
def import_customers(ctx: RequestContext, body: ImportBody, pool: str) -> Answer:
    """Create or update one customer per row, never its holder or state. Each row succeeds or fails on its own."""
    check_batch_size(len(body.rows))
    if body.dry_run:
        ruled = ctx.pool(pool)
        made = services.import_forecasts.forecast(ctx, ruled, body.key, _rows(ctx, ruled, body), body.on_duplicate)
        return Answer(forecasts=msgspec.convert(ctx.finish(msgspec.to_builtins(made)), services.imports.Forecasts))
    source = None if body.source is None else Source(body.source.id, body.source.file)
    log = ctx.import_log(pool, source)
    outcome = ctx.answered([_given_id(raw) for raw in body.rows]) or _imported(ctx, body, pool, log)
    answer = batch_answer(outcome, of_all=("not_a_member", "not_manager"), import_id=log.import_id)
    services.import_list.count_request(ctx, log, outcome.results.values())
    return answer


@route("POST", POOL + "/import/preview", body=PreviewBody, answers=responses.ImportPreview)
def preview_import(ctx: RequestContext, body: PreviewBody, pool: str) -> Answer:
    """Read a piece of a CSV file or a workbook, and return its rows as an import takes them. Writes nothing."""
    return Answer(localized=services.import_preview.preview(ctx, pool, piece_of(body), body.mapping, _refusal_of).body)


def _refusal_of(row: dict[str, Any]) -> Refusal | None:
    """Return the refusal that an import has for a row whatever is stored."""
    try:
        checked: ImportRow = decode(msgspec.json.encode(row), ImportRow)
        checked.row(str)
    except Refused as refused:
        return refused.refusal
    return None


@route("GET", POOL + "/imports", query=PageQuery, answers=responses.ImportPage)
def list_imports(ctx: RequestContext, query: PageQuery, pool: str) -> Answer:
    """List the imports of 30 days, the latest first."""
    return Answer(services.import_list.list_imports(ctx, pool, query.limit, query.cursor))


class UndoBody(Struct, frozen=True, forbid_unknown_fields=True):
    cursor: Annotated[str | None, Meta(description="The `next_cursor` of the previous step.")] = None


@route("POST", POOL + "/imports/{import_id}/undo", body=UndoBody, answers=responses.Undoing, form="each")
def undo_import(ctx: RequestContext, body: UndoBody, pool: str, import_id: str) -> Answer:
    """Undo one request of an import, the latest first. Customers that have changed since stay as they are."""
    undoing = services.import_undo.undo(ctx, pool, import_id, body.cursor)
    return replace(batch_answer(undoing.outcome), undoing=undoing)


def _imported(ctx: RequestContext, body: ImportBody, pool: str, log: ImportLog) -> Outcome:
    if log.source is not None:
        services.import_list.check_source(ctx, pool, log.source)
    rows = _rows(ctx, ctx.pool(pool), body)
    if body.key == "id":
        return services.customers.import_rows(ctx, pool, rows, body.on_duplicate, log)
    return services.imports.import_by_key(ctx, pool, body.key, rows, body.on_duplicate, log)


def _rows(ctx: RequestContext, pool: Pool, body: ImportBody) -> list[Row | Result]:
    """Return each row, or the refusal of an invalid one. A named holder becomes the id of a member."""
    decoded = [_decoded(raw) for raw in body.rows]
    texts = dict.fromkeys(each.holder for each in decoded if isinstance(each, ImportRow) and each.holder is not None)
    holders = dict[str, str | None]()
    if texts:
        holders = services.recipients.members_named(ctx, pool, texts)
    return [each if isinstance(each, Result) else _row(ctx, each, holders) for each in decoded]


def _decoded(raw: msgspec.Raw) -> ImportRow | Result:
    try:
        row: ImportRow = decode(raw, ImportRow)
        return row
    except Refused as refused:
        return Result(_given_id(raw), refusal=refused.refusal)


def _row(ctx: RequestContext, body: ImportRow, holders: Mapping[str, str | None]) -> Row | Result:
    try:
        row = body.row(ctx.backend.new_id)
    except Refused as refused:
        return Result(body.id or "", refusal=refused.refusal)
    if body.holder is None:
        return row
    holder = holders[body.holder]
    if holder is None:
        return Result(body.id or "", refusal=Refusal("invalid_request", errors=(FieldError("member", "holder"),)))
    return replace(row, holder=holder)


class _Named(Struct, frozen=True):
    id: str = ""


def _given_id(raw: msgspec.Raw) -> str:
    try:
        named: _Named = decode(raw, _Named)
        return named.id
    except Refused:
        return ""


class CustomersQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    state: Annotated[
        Listed | None,
        Meta(description="Only customers in this state; `win_requested`: claims that wait for the approval of a win."),
    ] = None
    holder: Annotated[
        User | None, Meta(description="Only customers of this user, by id or subject; `me` is the caller.")
    ] = None
    name: Annotated[
        Search | None,
        Meta(description="Only customers whose name begins with this text, ignoring case, width and spaces."),
    ] = None
    phone: Annotated[Text | None, Meta(description="Only the customer with this phone number.")] = None
    email: Annotated[Text | None, Meta(description="Only the customer with this e-mail address.")] = None
    q: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="Only customers with this text in any part of the name or of a field with `search`."),
    ] = None
    filter: Annotated[
        tuple[Annotated[str, Meta(max_length=1_000)], ...],
        Meta(
            max_length=8,
            description="Only customers whose field has one of these values, `city:Beijing,Shanghai`, or a value of a "
            "range, `size:10..50`. Several filters are combined.",
        ),
    ] = ()
    sort: Annotated[
        Annotated[str, Meta(max_length=64)] | None,
        Meta(description="The order: `name`, or another that this list has."),
    ] = None
    ids: Annotated[
        str | None,
        Meta(
            description="Up to 100 ids, separated by commas: the response has one entry for each, null where the "
            "caller can read no such customer. Combined with `partial` only; `limit` has no effect.",
        ),
    ] = None
    partial: Annotated[
        bool,
        Meta(
            description="Return the customers of `ids` as rows of a list: a moment late, with the fields of `list` and "
            "`filter`, for a quarter of the read units. Other lists consist of such rows anyway.",
        ),
    ] = False
    REPEATABLE: ClassVar[frozenset[str]] = frozenset(("filter",))


@route("GET", POOL + "/customers", query=CustomersQuery, answers=responses.CustomersOrNull)
def list_customers(ctx: RequestContext, query: CustomersQuery, pool: str) -> Answer:
    """List the customers of a pool: filtered, searched and sorted, or those with the given ids."""
    if query.ids is not None:
        ids = _given_ids(query, query.ids)
        read = services.customers.list_items if query.partial else services.customers.get_many
        return Answer(read(ctx, pool, ids))
    holder = query.holder and (ctx.caller.user if query.holder.id == "me" else query.holder.id)
    name, contact = _searched(query)
    wanted = services.customer_lists.Filter(query.state, holder, name)
    wish = services.customer_search.Wish(query.filter, query.q, query.sort)
    if contact is not None:
        return Answer(services.customer_search.find(ctx, pool, *contact, wanted, wish))
    return Answer(services.customer_search.list_customers(ctx, pool, wanted, wish, query.limit, query.cursor))


def _given_ids(query: CustomersQuery, text: str) -> list[str]:
    """Return the ids in the parameter. Raises Refused for too many, and for any other parameter that selects."""
    if query.cursor is not None:
        raise Refused(Refusal("invalid_cursor"))  # there is a single page
    alone = CustomersQuery(limit=query.limit, ids=query.ids, partial=query.partial)
    others = [name for name in query.__struct_fields__ if getattr(query, name) != getattr(alone, name)]
    if others:
        raise invalid("not_with", "ids", ", ".join(others))
    ids = text.split(",") if text else []
    check_batch_size(len(ids))
    return ids


def _searched(query: CustomersQuery) -> tuple[str | None, tuple[Kind, str] | None]:
    """Return the folded name prefix, or the kind and text of a contact, to search for. Raises Refused."""
    given = [text for text in (query.name, query.phone, query.email, query.q) if text is not None]
    if len(given) > 1:
        raise invalid("one_search", "name, phone, email, q")
    for member, written in (("name", query.name), ("q", query.q)):
        if written is not None and not fold_name(written):
            raise invalid("blank", member)
    kinds: tuple[tuple[Kind, str | None], ...] = (("phone", query.phone), ("email", query.email))
    for kind, text in kinds:
        if text is not None:
            if query.cursor is not None:
                raise Refused(Refusal("invalid_cursor"))  # a search by contact has a single page
            return None, (kind, text)
    return None if query.name is None else fold_name(query.name), None


@route("GET", CUSTOMER, answers=responses.Customer)
def get_customer(ctx: RequestContext, pool: str, customer: str) -> Answer:
    """Return a customer as the caller may see it."""
    return Answer(services.customers.get(ctx, pool, customer))


class CustomerPatch(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    fields: Fields = {}
    priority: Priority | None = None

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_field_names(self.fields)


class EditBatchBody(BatchBody, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    fields: Fields = msgspec.field(default_factory=dict)
    priority: Priority | None = None

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_field_names(self.fields)


@verb("", CustomerPatch, method="PATCH", batch=Batch("Edit several customers.", EditBatchBody, path="/edit"))
def edit_customer(
    ctx: RequestContext, pool: str, ids: Sequence[str], body: CustomerPatch | EditBatchBody, atomic: bool
) -> Outcome:
    """Edit a customer. Members left out stay; a field that is null is removed."""
    return services.customers.edit(ctx, pool, ids, body.name, body.fields, body.priority, atomic=atomic)


@route("GET", CUSTOMER + "/eligibility", answers=responses.Eligibility)
def get_eligibility(ctx: RequestContext, pool: str, customer: str) -> Answer:
    """Return whether the caller may claim a customer now, and if not, why and until when."""
    return Answer(blocking=services.claims.eligibility(ctx, pool, customer))


@route("GET", CUSTOMER + "/history", query=PageQuery, answers=responses.EventPage)
def get_history(ctx: RequestContext, query: PageQuery, pool: str, customer: str) -> Answer:
    """List the events of a customer, oldest first."""
    return Answer(services.customers.history(ctx, pool, customer, query.limit, query.cursor))
