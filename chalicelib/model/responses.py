"""The types of the response bodies. The API encodes them, and its OpenAPI document is generated from them.

`domain.rendering` builds them from records. Members are encoded in the order of the fields; those of a class with
`kw_only` come last. An optional member is UNSET by default; every other one is always present.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib.model.errors import CATALOG
from chalicelib.model.model import State
from chalicelib.model.text import Fields

REFERENCE: Final = "#/components/schemas/{name}"

# String formats that many objects use.
NAMED: Final[dict[str, dict[str, Any]]] = {
    "Time": {
        "type": "string",
        "format": "date-time",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        "examples": ["2026-11-30T12:00:00.000Z"],
    },
    "Code": {"type": "string", "enum": sorted({each.code or reason for reason, each in CATALOG.items()})},
}


def same_schema_as(*names: str) -> Meta:
    """Return an annotation that publishes a type as one of these schemas."""
    refs = [{"$ref": REFERENCE.format(name=name)} for name in names]
    return Meta(extra_json_schema=refs[0] if len(refs) == 1 else {"anyOf": refs})


Time: TypeAlias = Annotated[str, same_schema_as("Time")]
Code: TypeAlias = Annotated[str, same_schema_as("Code")]
Natural: TypeAlias = Annotated[int, Meta(ge=0)]
Version: TypeAlias = Annotated[int, Meta(ge=1)]
Yes: TypeAlias = Annotated[bool, Meta(extra_json_schema={"const": True})]
No: TypeAlias = Annotated[bool, Meta(extra_json_schema={"const": False})]
EventType: TypeAlias = Literal[
    "created", "imported", "updated", "claimed", "assigned", "transferred", "released", "reclaimed", "expired",
    "extended", "followed_up", "win_requested", "win_declined", "won", "converted", "deposited", "pinned", "unpinned",
    "set_aside", "restored", "suppressed", "unsuppressed", "reminded", "erased",
]  # fmt: skip


class Schema(Struct, forbid_unknown_fields=True):
    """The base of all response types: no additional members."""


# A body, or a stored one that is replayed.
Body: TypeAlias = Schema | dict[str, Any]


RowOutcome: TypeAlias = Literal["created", "updated", "unchanged"]


# The objects


class PersonName(Schema):
    name: str


People: TypeAlias = Annotated[
    dict[str, PersonName],
    Meta(description="The names of the users that this answer names by id, as far as they are known."),
]


class Naming(Schema, kw_only=True):
    """The base of answers that name users. `people` is at the top of an answer only, not in the objects of a list."""

    people: People | UnsetType = UNSET


class _LeadingFacts(Schema):
    """Facts before name and fields."""

    id: str
    pool_id: str
    state: State
    holder: str | None
    claim_id: str | None
    claimed_at: Time | None
    expires_at: Time | None
    extensions: Natural
    pinned_until: Time | None
    entered_pool_at: Time
    available_at: Time | None
    last_follow_up_at: Time | None
    returns: Natural
    set_aside_at: Time | None
    priority: int
    win_requested_at: Time | None
    won_at: Time | None
    suppressed_at: Time | None


class _CustomerFacts(_LeadingFacts, kw_only=True):
    """All facts. Those added here come after name and fields."""

    version: Version
    created_at: Time
    updated_at: Time


class Facts(_CustomerFacts, kw_only=True, forbid_unknown_fields=False):
    """A customer without personal data, as an idempotency record stores it."""

    # A record that is a day old may lack a fact that this version has added.
    win_requested_at: Time | None = None
    suppressed_at: Time | None = None
    old_expires_at: Time | UnsetType = UNSET


class Customer(_CustomerFacts):
    """A customer as the caller may see it. `masked`: some of its fields are hidden. `won_at`: when the claim was won
    and the customer became private. `win_requested_at`: when the holder requested a win that a manager has to approve.
    `suppressed_at`: since when it is not to be contacted.
    `amount` and `ends_at` come with a win; only managers and the holder or owner see them. A replayed response has the
    facts of the first one with the current name and fields, which are null if the customer no longer exists.
    `partial`: listed, with only the fields that are `list` or `filter`, and of longer text only the start."""

    amount: str | None
    ends_at: Time | None
    name: str | None
    fields: Fields | None
    masked: bool
    partial: bool
    people: People | UnsetType = UNSET


class ExtendedCustomer(Customer, kw_only=True):
    """An extended customer, with its deadline before."""

    old_expires_at: Time


class Event(Schema):
    """One transition of a customer. `seq` is the version that it created. `changed` names what an edit or an import
    changed: `name`, `priority` and keys of fields. `masked`: its reason is hidden."""

    seq: Version
    type: EventType
    at: Time
    by: str
    holder: str | None
    claim_id: str | None
    reason: str | None
    outcome: str | None
    changed: list[str]
    masked: bool
    from_state: State | None
    to_state: State | None
    expires_at: Time | None


# Lists


class CustomerPage(Naming):
    """A page of customers. A short page with a cursor has `looked_at`, the number of customers that it looked at."""

    items: list[Customer]
    next_cursor: str | None
    looked_at: Natural | UnsetType = UNSET


class CustomersOrNull(Naming):
    """A page of customers. With `ids`, one entry for each id, null where the caller can read no such customer."""

    items: list[Customer | None]
    next_cursor: str | None
    looked_at: Natural | UnsetType = UNSET


class EventPage(Naming):
    items: list[Event]
    next_cursor: str | None


class ClaimedCustomers(Naming):
    """The claimed customers, best first; may be fewer than requested, or none. With `next_cursor`, the search has
    stopped because few customers fit the filter: the next request continues there."""

    items: list[Customer]
    next_cursor: str | UnsetType = UNSET


# Refusals


class RefusalBody(Schema, kw_only=True):
    """The reason for a refusal. `retry_at` is present if the refusal ends at a known time."""

    code: Code
    detail: str
    retry_at: Time | UnsetType = UNSET
    limit: Natural | UnsetType = UNSET
    used: Natural | UnsetType = UNSET
    errors: list[str] | UnsetType = UNSET


class Problem(RefusalBody):
    """A problem (RFC 9457). `code` is for programs and stable; `title` and `detail` are for people."""

    type: Annotated[str, Meta(pattern="^urn:customer-pool:problem:[a-z_]+$")]
    title: str
    status: int
    instance: str


class ErasedCustomer(Schema):
    """A customer that was erased. Its id is not used again."""

    id: str
    erased_at: Time


class Erasure(ErasedCustomer):
    """The user, time and reason of an erasure. While it is `suppressed`, nobody of the tenant gets its contacts."""

    by: str
    reason: str
    suppressed: bool


# A customer or, where it is erased, its id.
Unsuppressed: TypeAlias = Annotated[Any, same_schema_as("Customer", "ErasedCustomer")]


class ErasurePage(Naming):
    items: list[Erasure]
    next_cursor: str | None


class Eligibility(Schema):
    """Whether the caller may claim the customer now, and every rule that forbids it."""

    eligible: bool
    blocking: list[RefusalBody]


# Batches


class BatchSuccess(Schema):
    id: str
    ok: Yes
    customer: Customer


class ExtendSuccess(Schema):
    id: str
    ok: Yes
    customer: ExtendedCustomer


class BatchFailure(RefusalBody):
    id: str
    ok: No


class Summary(Schema):
    ok: Natural
    failed: Natural


class Batch(Naming):
    """One result for each id or row, in the order of the request."""

    results: list[Annotated[Any, same_schema_as("BatchSuccess", "BatchFailure")]]
    summary: Summary


class RowForecast(Schema):
    """The forecast of a row, in a dry run of an import. `id` is empty for a new customer without one; `holder` is the
    member who would get the customer. Rows that have a value of `keys` in common may be about the same customer."""

    id: str
    ok: Yes
    outcome: RowOutcome
    holder: str | None
    keys: list[str]


class RefusedRow(BatchFailure):
    """Why an import would refuse the row, in a dry run."""

    keys: list[str]


class Import(Naming):
    """One result for each row, in the order of the request. `import_id` identifies the import when it is undone. A dry
    run has forecasts instead, and `room`: how many customers each named holder may still get, null without a limit."""

    results: list[Annotated[Any, same_schema_as("BatchSuccess", "BatchFailure", "RowForecast", "RefusedRow")]]
    summary: Summary
    import_id: str | UnsetType = UNSET
    room: dict[str, Natural | None] | UnsetType = UNSET


class PreviewColumn(Schema):
    """A column of a file, and what it is imported as: an attribute of a row, a part of a name or a field; null if it is
    left out. `sample` is one of its values. `offers_holder`: it seems to name the owners of customers."""

    heading: str
    target: str | None
    sample: str | int | float | bool | None
    offers_holder: bool


class PreviewLine(Schema):
    """A line of a file. `row` is the position of its row, null if it has none. `cells` are for an errors file: text
    that a spreadsheet would run as a formula is behind an apostrophe. A line repeats an earlier one, also of another
    piece, if one of its `own_keys` is an own or other key of that line. `new_id` is the id of a row that nothing
    identifies, without the number (`-2`) that it has behind equal rows of the piece."""

    line: Natural
    row: Natural | None
    cells: list[str | int | float | bool]
    own_keys: list[str]
    other_keys: list[str]
    new_id: str | None


class PreviewProblem(Schema):
    """A problem of a line or, without one, of the file, with a sentence in the reader's language."""

    line: Natural | None
    code: str
    text: str


class PreviewAfter(Schema):
    """The state with which the next piece of a file is read: its headings and format."""

    line: Natural
    header_row: Natural
    headings: list[str]
    encoding: str | None
    separator: str | None
    spaced: bool


class PreviewNext(Schema):
    """The next piece begins `offset` bytes after the beginning of this one, and is sent with `after`."""

    offset: Natural
    after: PreviewAfter


class ImportPreview(Schema):
    """A piece of a file, read: its `columns`, the `mapping` of its headings, the `rows` as an import takes them, and
    all its `lines`. The key of rows that have an id is `key`, that of others `auto`. Lines with `problems` have no row;
    if the first of them concerns the whole file, it is `refused`. `keys` counts the rows by what identifies them. The
    rest is how the file was read; `next` is null at its end."""

    columns: list[PreviewColumn]
    mapping: dict[str, str | None]
    rows: list[Annotated[Any, same_schema_as("ImportRow")]]
    lines: list[PreviewLine]
    key: Literal["id", "auto"]
    problems: list[PreviewProblem]
    warnings: list[PreviewProblem]
    keys: dict[str, Natural]
    left_out: list[str]
    refused: bool
    encoding: str | None
    separator: str | None
    sheet: str | None
    sheets: list[str]
    header_row: Natural | None
    next: PreviewNext | None


class Undone(Schema):
    """The customer as before the import; null if the import created it: it is deleted."""

    id: str
    ok: Yes
    customer: Customer | None


class Undoing(Naming):
    """One result for each customer that a request of the import created or changed, in its order. Failures give the
    reason. `next_cursor` continues with the request before; null: the import is undone."""

    results: list[Annotated[Any, same_schema_as("Undone", "BatchFailure")]]
    summary: Summary
    next_cursor: str | None


class ListedImport(Schema):
    """An import: when it began and who began it, the name of its file, and what it has done so far. `rows` are those of
    the requests that have ended, `refused` those of them that were refused."""

    id: str
    at: Time
    by: str
    file: str | None
    rows: Natural
    created: Natural
    updated: Natural
    refused: Natural
    undone_at: Time | None


class ImportPage(Naming):
    items: list[ListedImport]
    next_cursor: str | None


class ExtendedBatch(Naming):
    """A batch result. Extended customers include their deadline before."""

    results: list[Annotated[Any, same_schema_as("ExtendSuccess", "BatchFailure")]]
    summary: Summary


class EraseSuccess(ErasedCustomer):
    ok: Yes


class ErasedBatch(Naming):
    """A batch result."""

    results: list[Annotated[Any, same_schema_as("EraseSuccess", "BatchFailure")]]
    summary: Summary


class RefusedBatch(Problem, kw_only=True):
    """A refused atomic batch: nothing was changed. `code` is that of the first refusal."""

    results: list[Annotated[Any, same_schema_as("BatchSuccess", "ExtendSuccess", "EraseSuccess", "BatchFailure")]]
    summary: Summary
    people: People | UnsetType = UNSET


# Types that no route declares.
ALL: Final = (
    Problem,
    RefusedBatch,
    BatchSuccess,
    ExtendSuccess,
    Undone,
    EraseSuccess,
    BatchFailure,
    RowForecast,
    RefusedRow,
)
