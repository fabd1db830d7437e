"""Routes about customers as records: create, import, list, read, edit, history. One short function each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib import claiming, customers, importing, shapes, undoing
from chalicelib.contact_keys import Kind, folded, normalised
from chalicelib.context import Call
from chalicelib.customers import Filter, OnDuplicate, Row
from chalicelib.http import Answer, NoBody, decoded, invalid
from chalicelib.identities import User
from chalicelib.journal import Result
from chalicelib.records import Identifier, State, problems_of
from chalicelib.refusals import Refusal, Refused
from chalicelib.routing import (
    CUSTOMER,
    POOL,
    Batched,
    Fields,
    Name,
    PageQuery,
    Priority,
    Search,
    Text,
    checked_field_names,
    checked_name,
    checked_size,
    of_each,
    route,
    single,
)
from chalicelib.settling import Outcome
from chalicelib.shapes import like
from chalicelib.undo_log import UndoLog


class CustomerBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    id: Identifier | None = None
    fields: Fields = {}
    priority: Priority | UnsetType = UNSET

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_field_names(self.fields)

    def row(self, mint: Callable[[], str]) -> Row:
        """Raises Refused where its fields are too many."""
        if errors := problems_of(self.fields):
            raise Refused(Refusal("invalid_request", errors=errors))
        priority = None if self.priority is UNSET else self.priority
        return Row(self.id or mint(), self.name, self.fields, priority, minted=self.id is None)


@route("POST", POOL + "/customers", body=CustomerBody, answers=shapes.Customer, status=201, form="one")
def create_customer(call: Call, body: CustomerBody, query: NoBody, pool: str) -> Answer:
    """Create a customer in the pool, available."""
    return single(customers.create(call, pool, body.row(call.backend.mint)), status=201)


class ImportBody(Struct, frozen=True, forbid_unknown_fields=True):
    rows: Annotated[list[Annotated[msgspec.Raw, like("CustomerBody")]], Batched]
    key: Literal["id"] | Kind = "id"
    on_duplicate: OnDuplicate = "reject"


@route("POST", POOL + "/import", body=ImportBody, answers=shapes.Import, form="each")
def import_customers(call: Call, body: ImportBody, query: NoBody, pool: str) -> Answer:
    """Add or update one customer for each row, never its holder or state; rows fail one by one."""
    checked_size(len(body.rows))
    log = call.undo_log(pool)
    outcome = call.answered([_given_id(raw) for raw in body.rows]) or _imported(call, body, pool, log)
    return of_each(outcome, of_all=("not_a_member", "not_manager"), beside={"import_id": log.import_id})


@route("POST", POOL + "/imports/{import_id}/undo", answers=shapes.Undoing, form="each")
def undo_import(call: Call, body: NoBody, query: NoBody, pool: str, import_id: str) -> Answer:
    """Undo an import, customer by customer: those that somebody has touched since stay as they are."""
    return of_each(undoing.undo(call, pool, import_id))


def _imported(call: Call, body: ImportBody, pool: str, log: UndoLog) -> Outcome:
    rows = [_row(call, raw) for raw in body.rows]
    if body.key == "id":
        return customers.import_rows(call, pool, rows, body.on_duplicate, log)
    return importing.import_by_key(call, pool, body.key, rows, body.on_duplicate, log)


def _row(call: Call, raw: msgspec.Raw) -> Row | Result:
    """The row, or why it is none: one bad row fails alone."""
    try:
        body: CustomerBody = decoded(raw, CustomerBody)
        return body.row(call.backend.mint)
    except Refused as refused:
        return Result(_given_id(raw), refusal=refused.refusal)


class _Named(Struct, frozen=True):
    id: str = ""


def _given_id(raw: msgspec.Raw) -> str:
    try:
        named: _Named = decoded(raw, _Named)
        return named.id
    except Refused:
        return ""


class CustomersQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    state: Annotated[State | Literal["set_aside"] | None, Meta(description="Only customers in this state.")] = None
    holder: Annotated[
        User | None, Meta(description="Only customers of this user, by id or subject; `me` is the caller.")
    ] = None
    name: Annotated[
        Search | None,
        Meta(description="Only customers whose name begins so, without regard to case, width and spaces."),
    ] = None
    phone: Annotated[Text | None, Meta(description="Only the customer with this phone number.")] = None
    email: Annotated[Text | None, Meta(description="Only the customer with this e-mail address.")] = None


@route("GET", POOL + "/customers", query=CustomersQuery, answers=shapes.CustomerPage)
def list_customers(call: Call, body: NoBody, query: CustomersQuery, pool: str) -> Answer:
    """List the customers of a pool, by state or holder."""
    holder = query.holder and (call.caller.user if query.holder.id == "me" else query.holder.id)
    name, contact = _searched(query)
    wanted = Filter(query.state, holder, name)
    if contact is not None:
        return Answer(customers.find(call, pool, *contact, wanted))
    return Answer(customers.list_customers(call, pool, wanted, query.limit, query.cursor))


def _searched(query: CustomersQuery) -> tuple[str | None, tuple[Kind, str] | None]:
    """The folded beginning of a name, or the normalised key, that is searched for. Raises Refused."""
    asked = [said for said in (query.name, query.phone, query.email) if said is not None]
    if len(asked) > 1:
        raise invalid("one_search", "name, phone, email")
    if query.name is not None and not folded(query.name):
        raise invalid("blank", "name")
    kinds: tuple[tuple[Kind, str | None], ...] = (("phone", query.phone), ("email", query.email))
    for kind, said in kinds:
        if said is not None:
            return None, (kind, _contact(query, kind, said))
    return None if query.name is None else folded(query.name), None


def _contact(query: CustomersQuery, kind: Kind, said: str) -> str:
    contact = normalised(kind, said)
    if contact is None:
        raise invalid(kind, kind)
    if query.cursor is not None:
        raise Refused(Refusal("invalid_cursor"))  # one customer is no list that goes on
    return contact


@route("GET", CUSTOMER, answers=shapes.Customer)
def get_customer(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Show a customer, as the caller may see it."""
    return Answer(customers.get(call, pool, customer))


class CustomerPatch(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | None = None
    fields: Fields = {}
    priority: Priority | None = None

    def __post_init__(self) -> None:
        checked_name(self.name)
        checked_field_names(self.fields)


@route("PATCH", CUSTOMER, body=CustomerPatch, answers=shapes.Customer, form="one")
def edit_customer(call: Call, body: CustomerPatch, query: NoBody, pool: str, customer: str) -> Answer:
    """Change what a customer says: what is left out stays, a field that is null goes."""
    return single(customers.edit(call, pool, customer, body.name, body.fields, body.priority))


@route("GET", CUSTOMER + "/eligibility", answers=shapes.Eligibility)
def get_eligibility(call: Call, body: NoBody, query: NoBody, pool: str, customer: str) -> Answer:
    """Tell why the caller may not claim a customer now, and when each reason ends."""
    return Answer(blocking=claiming.eligibility(call, pool, customer))


@route("GET", CUSTOMER + "/history", query=PageQuery, answers=shapes.EventPage)
def get_history(call: Call, body: NoBody, query: PageQuery, pool: str, customer: str) -> Answer:
    """List what has happened to a customer, oldest first."""
    return Answer(customers.history(call, pool, customer, query.limit, query.cursor))
