"""Table keys and index partitions: the layout of the one DynamoDB table.

A customer's index attributes are derived from its state by `index_attributes` and nowhere else, so they cannot disagree
with it. Nothing here calls DynamoDB.

    record             pk                                     sk                   content
    customer           T#<tenant>#P#<pool>#C#<id>             -                    state, claim, recent events
    fields             same                                   F                    free fields and contact keys; no
                                                                                   claim writes them
    overwritten        same                                   I                    content before an import (TTL)
    search row         same                                   Q#<n|f>#<part>       a part of its name or of a field
    search rows        same                                   Q                    which search rows there are
    tombstone          same                                   -                    of an erased customer
    older events       same                                   E#<born>#<seq>       a page of up to 16 events
    member             T#<tenant>#P#<pool>#M#<user>           -                    role, own limit, counters
    unique key         T#<tenant>#P#<pool>#D#<kind>#<digest>  -                    customer of a phone, an e-mail or a
                                                                                   value of a unique field
    statistics         T#<tenant>#P#<pool>#S                  <day>#<user>         a member's counts of a past day
    pool statistics    same                                   -                    entries by admins, members who left
    suppression        T#<tenant>#SUPPRESSED#<kind>#<digest>  -                    suppressed customers with a phone or
                                                                                   e-mail, and their number
    import             T#<tenant>#P#<pool>#I#<import>         -                    its time, user, file and counts (TTL)
    import log         same                                   R#<time>#<request>#<part>  changes of a request (TTL)
    counted request    same                                   N#<request>          the request is in the counts (TTL)
    undo log           T#<tenant>#P#<pool>#U#<request>        <part>               results of its undo (TTL)
    territories        T#<tenant>#P#<pool>#T                  -                    how many territories name a field
    indexing           T#<tenant>#P#<pool>#Q                  -                    progress of the search rows
    change of fields   T#<tenant>#P#<pool>#F                  -                    progress of the job for the fields
    log of changes     T#<tenant>#P#<pool>#L                  <time>#<request>#<..> old and new settings (TTL)
    resharding         T#<tenant>#P#<pool>#X                  -                    progress of resharding
    pool               T#<tenant>#POOLS                       <pool>               policy and status
    user               T#<tenant>#USERS                       <user>               name, e-mail, department, leave
    tenant             TENANTS                                <tenant>             lets the schedule find every pool
    search for pools   SCHEDULE                               -                    how far the hourly search for late
                                                                                   checks is
    idempotency record T#<tenant>#K#<user>#<route>#<key>      <part>               results of a request (TTL)

    index    sorted by  content
    roster   pk         the customers of a pool, its members, and its erased customers, by id. Claims never write it.
                        One partition of each tenant lists its suppressions, and one of each pool its unique values
    place    rank       available customers by priority and waiting time, customers set aside, suppressed
                        ones, and each holder's customers: claims by deadline, then private ones by deadline.
                        Projects PROJECTION: what a list shows of a customer
    due      due_at     the claims of a pool by deadline, and its private customers by deadline. Projects whole items,
                        so the sweep needs no second read. Two partitions of all tenants list erased customers that
                        are not yet emptied, and users whose leave is unfinished. One of each pool lists its imports,
                        the latest first. A few of all tenants list the pools by the time of their next check
    names    folded     the customers of a pool by folded name, for prefix search; and the search rows of each part
                        by folded name. Projects the card. Claims never write it
    reminder remind_at  the claims and private customers of a pool whose holders get a reminder, by time
    request  win_requested_at  the claims of a pool whose holders wait for the approval of a win, by time. Projects
                        whole items
    entered  entered_at  the customers of a pool by the time when they entered it, the latest first. Its partitions are
                        those of `roster`. Projects the card. Claims and releases never write it

One partition takes at most 1,000 writes a second, so the lists that claims write (available customers, claims by
deadline) can be split into shards. Each customer item stores the shard count that it was written with. Shard 0 has the
name of an unsharded list, so raising the count keeps it valid.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple
from zlib import crc32

from chalicelib.model.model import Customer, Tombstone
from chalicelib.model.normalization import fold_name, truncate_name


class Key(NamedTuple):
    pk: str
    sk: str


ROSTER: Final = "roster"
PLACE: Final = "place"
DUE: Final = "due"
NAMES: Final = "names"
REMINDER: Final = "reminder"
REQUEST: Final = "request"
ENTERED: Final = "entered"

INDEX_RANGE: Final = {
    ROSTER: "pk", PLACE: "rank", DUE: "due_at", NAMES: "folded", REMINDER: "remind_at", REQUEST: "win_requested_at",
    ENTERED: "entered_at",
}  # fmt: skip
INDEX_HASH: Final = {name: name for name in INDEX_RANGE} | {ENTERED: ROSTER}  # the attribute with the partition
INDEX_ATTRIBUTES: Final = frozenset((*INDEX_HASH.values(), *INDEX_RANGE.values()))
DESCENDING: Final = frozenset((ENTERED,))  # indexes that are read from the highest sort value down
COVERING: Final = frozenset((DUE, REQUEST))  # indexes that project whole items
# DynamoDB charges for names too, and nearly every customer has these attributes: their names in the table.
STORED_NAMES: Final = {
    "fields_version": "fv", "waiting_since": "ws", "returns": "rt", "claim_id": "ci", "claimed_at": "ca",
    "extensions": "ex", "last_follow_up_at": "lf", "past_holders": "ph", "past_holds": "pb", "updated_at": "ua",
}  # fmt: skip


def stored_name(name: str) -> str:
    """Return the name in the table of an attribute of a customer."""
    return STORED_NAMES.get(name, name)


# DynamoDB projects at most twenty attributes into an index. State, holder and deadline follow from the index keys.
IN_PROJECTION: Final = (
    "name", "card", "version", "claim_id", "claimed_at", "extensions", "pinned_until", "win_requested_at", "won_at",
    "amount", "ends_at", "entered_at", "last_follow_up_at", "returns", "set_aside_at", "suppressed_at", "priority",
    "created_at", "updated_at",
)  # fmt: skip
PROJECTION: Final = tuple(map(stored_name, IN_PROJECTION))
PROJECTED: Final = {PLACE: PROJECTION, ENTERED: ("card",), NAMES: ("card",)}  # other indexes: keys only
LISTING: Final = frozenset((*COVERING, PLACE))  # indexes that project what lists show

UNFINISHED_ERASURES: Final = "ERASURES"  # the partition of `due` with the tombstones that are not yet emptied
SCHEDULE_SHARDS: Final = 4  # partitions of `due` with the pools of all tenants
NO_DEADLINE: Final = 253_402_300_799_999  # the last millisecond of 9999; the sort value where there is no deadline
FIRST_PRIVATE_RANK: Final = NO_DEADLINE + 1  # in `place`, private customers follow the claims of their owner
_SEPARATORS_OF_POOL: Final = 3  # in `prefix`
PRIORITY_STEP: Final = 10**14  # more than any waiting time, so priority always comes first
RANK_LIMIT: Final = 10**37  # DynamoDB keeps 38 digits, and a rank and the next one have to fit


def prefix(tenant: str, pool: str) -> str:
    """Return the prefix of every partition key of a pool."""
    return f"T#{tenant}#P#{pool}"


# Table keys


def customer_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#C#{customer}", "-")


def fields_key(tenant: str, pool: str, customer: str) -> Key:
    return Key(customer_key(tenant, pool, customer).pk, "F")


def overwritten_key(customer: Key) -> Key:
    """Return the key of the content that the latest import of a customer overwrote."""
    return Key(customer.pk, "I")


def search_row_list_key(customer: Key) -> Key:
    """Return the key of the list of a customer's search rows."""
    return Key(customer.pk, "Q")


def search_row_key(customer: Key, part: str, *, in_fields: bool) -> Key:
    return Key(customer.pk, f"Q#{'f' if in_fields else 'n'}#{part}")


def is_search_row_of_field(sk: str) -> bool:
    """Return whether the sort key is that of a search row whose part a field has."""
    return sk.startswith("Q#f#")


def event_page_key(customer: Customer | Tombstone, pool: str, seq: int) -> Key:
    """Return the key of the page that starts with event `seq`, in `pool`, where the customer is or was.

    The creation time and a tag separate it from pages of another customer with the same id: of one that reused it, or
    of one from another pool. Older customers have no tag.
    """
    born = f"{customer.created_at:015d}" + (f"-{customer.page_tag}" if customer.page_tag else "")
    return Key(customer_key(customer.tenant, pool, customer.id).pk, f"E#{born}#{seq:010d}")


def is_event_page(key: Key) -> bool:
    return key.sk.startswith("E#")


@lru_cache(maxsize=1024)
def member_key(tenant: str, pool: str, user: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#M#{user}", "-")


def is_member(key: Key) -> bool:
    """Return whether the key is that of a member: no id contains the separator."""
    return "#M#" in key.pk and key.sk == "-"


def is_territories(key: Key) -> bool:
    """Return whether the key is that of the fields that a pool's territories name."""
    return key.pk.endswith("#T") and key.pk.count("#") == _SEPARATORS_OF_POOL + 1 and key.sk == "-"


def absent_key(member: Key) -> Key:
    """Return a key that is never written: a condition that it exists always fails, which cancels a transaction."""
    return Key(member.pk, "never")


def unique_key(tenant: str, pool: str, contact_key: str) -> Key:
    """Return the key of the item that names the customer with this contact key."""
    return Key(f"{prefix(tenant, pool)}#D#{contact_key}", "-")


def unique_values_in(tenant: str, pool: str) -> str:
    """Return the partition in `roster` of the items of a pool's unique values."""
    return f"{prefix(tenant, pool)}#D"


def suppression_key(tenant: str, contact_key: str) -> Key:
    """Return the key of the item that exists while a suppressed customer of the tenant has this contact key."""
    return Key(f"{suppressions(tenant)}#{contact_key}", "-")


def is_suppression(key: Key) -> bool:
    return "#SUPPRESSED#" in key.pk


def suppression_source(pool: str, customer: str) -> str:
    """Return the name of the attribute by which the item of a suppressed contact names a customer."""
    return f"{pool}/{customer}"


def named_in_suppression(attributes: Iterable[str]) -> set[str]:
    """Return the names of the customers among the attributes of the item of a suppressed contact."""
    return {name for name in attributes if "/" in name}


def suppressions(tenant: str) -> str:
    """Return the partition of a tenant's suppressions in `roster`, which is the beginning of their keys too."""
    return f"T#{tenant}#SUPPRESSED"


def import_key(tenant: str, pool: str, import_id: str) -> Key:
    return Key(f"{prefix(tenant, pool)}#I#{import_id}", "-")


def import_log_key(an_import: Key, place: str, part: str) -> Key:
    """Return the key of one part of the log of a request; `place` is from `place_in_import`."""
    return Key(an_import.pk, f"R#{place}#{part}")


def place_in_import(request: str, now: int) -> str:
    """Return what sorts the requests of an import, the latest first."""
    return f"{NO_DEADLINE - now:015d}#{request}"


def time_from_place(place: str) -> int:
    """Return the time of a request, from its place."""
    return NO_DEADLINE - int(place.partition("#")[0])


def place_from_sk(sk: str) -> str:
    """Return the place of a request, from the key of a part of its log."""
    return sk.removeprefix("R#").rpartition("#")[0]


def import_log_from(place: str) -> tuple[str, str]:
    """Return sort keys before and after the logs of this request and of all earlier ones."""
    return f"R#{place}", "R#~"


def counted_key(an_import: Key, request: str) -> Key:
    return Key(an_import.pk, f"N#{request}")


def undone_key(tenant: str, pool: str, request: str, part: int) -> Key:
    return Key(f"{prefix(tenant, pool)}#U#{request}", f"{part:03d}")


def days_of(tenant: str, pool: str) -> str:
    """Return the partition of a pool's statistics."""
    return f"{prefix(tenant, pool)}#S"


def day_key(member: Key, day: str) -> Key:
    """Return the key of a member's statistics for a local day."""
    pool, _, user = member.pk.rpartition("#M#")
    return Key(f"{pool}#S", f"{day}#{user}")


def end_of_day(day: str) -> str:
    """Return a sort key after the statistics of that day and before those of the next."""
    return f"{day}#~"


def pool_counts_key(tenant: str, pool: str) -> Key:
    """Return the key of the pool's own counts: entries made by admins, and members who have left."""
    return Key(days_of(tenant, pool), "-")


def log_of(tenant: str, pool: str) -> str:
    """Return the partition of a pool's log of changes."""
    return f"{prefix(tenant, pool)}#L"


def log_key(tenant: str, pool: str, at: int, request_marker: str, what: str) -> Key:
    return Key(log_of(tenant, pool), f"{log_position(at)}#{request_marker}#{what}")


def log_position(at: int) -> str:
    """Return a sort key before the log entries of that time and after all earlier ones."""
    return f"{at:015d}"


def resharding_key(tenant: str, pool: str) -> Key:
    """Return the key of the progress of a change of the pool's shard count."""
    return Key(f"{prefix(tenant, pool)}#X", "-")


def indexing_key(tenant: str, pool: str) -> Key:
    """Return the key of the progress with which the search rows of a pool are computed again."""
    return Key(f"{prefix(tenant, pool)}#Q", "-")


def field_job_key(tenant: str, pool: str) -> Key:
    """Return the key of the progress of a change of the pool's field definitions."""
    return Key(f"{prefix(tenant, pool)}#F", "-")


def pool_key(tenant: str, pool: str) -> Key:
    return Key(f"T#{tenant}#POOLS", pool)


def user_key(tenant: str, user: str) -> Key:
    """Return the key of a user: personal data of users is stored nowhere else."""
    return Key(f"T#{tenant}#USERS", user)


def tenant_key(tenant: str) -> Key:
    return Key("TENANTS", tenant)


def search_key() -> Key:
    """Return the key of the progress of the hourly search for pools whose check is missing or too late."""
    return Key("SCHEDULE", "-")


def idempotency_record_key(tenant: str, user: str, route: str, idempotency_key: str, part: int) -> Key:
    return Key(f"T#{tenant}#K#{user}#{route}#{idempotency_key}", f"{part:03d}")


def id_from_pk(pk: str) -> str:
    """Return the id at the end of a customer's or a member's partition key."""
    return pk.rpartition("#")[2]


def tenant_from_pk(pk: str) -> str:
    """Return the tenant in a customer's, a member's or a user's partition key."""
    return pk.split("#")[1]


def pool_from_pk(pk: str) -> str:
    """Return the pool in a customer's or a member's partition key."""
    return pk.split("#")[3]


# Index partitions


def customer_roster(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#C"


def territories_key(tenant: str, pool: str) -> Key:
    """Return the key of the item that counts, for each field, the territories that name it."""
    return Key(f"{prefix(tenant, pool)}#T", "-")


def member_roster(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#M"


def erased_roster(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#E"


def place_available(tenant: str, pool: str, shard: int = 0) -> str:
    return _shard(f"{prefix(tenant, pool)}#A", shard)


def place_set_aside(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#R"


def place_suppressed(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#B"


def place_of_holder(tenant: str, pool: str, holder: str) -> str:
    return f"{prefix(tenant, pool)}#H#{holder}"


def holder_from_place(partition: str) -> str | None:
    """Return the holder whose list this partition of `place` is; None if it is another list."""
    kind, *rest = partition.split("#")[_SEPARATORS_OF_POOL + 1 :]
    return rest[0] if kind == "H" and rest else None


def private_in(tenant: str, pool: str) -> str:
    """Return the partition of a pool's private customers in both `due` and `reminder`."""
    return f"{prefix(tenant, pool)}#V"


def due_in(tenant: str, pool: str, shard: int = 0) -> str:
    """Return the partition of a pool's claims in both `due` and `reminder`."""
    return _shard(f"{prefix(tenant, pool)}#D", shard)


def requests_in(tenant: str, pool: str) -> str:
    """Return the partition of a pool's open requests for a win."""
    return f"{prefix(tenant, pool)}#W"


def unfinished_leaves() -> str:
    """Return the partition in `due` of the users of all tenants whose leave the schedule has to continue."""
    return "LEAVES"


def schedule_partitions() -> list[str]:
    """Return the partitions in `due` of the pools of all tenants, by their next check."""
    return [f"SCHEDULE#{shard}" for shard in range(SCHEDULE_SHARDS)]


def schedule_of(tenant: str, pool: str) -> str:
    """Return the partition in `due` of a pool's next check."""
    return schedule_partitions()[shard_of(f"{tenant}#{pool}", SCHEDULE_SHARDS)]


def imports_in(tenant: str, pool: str) -> str:
    """Return the partition of a pool's imports in `due`."""
    return f"{prefix(tenant, pool)}#I"


def names_in(tenant: str, pool: str) -> str:
    return f"{prefix(tenant, pool)}#N"


def searched_in(tenant: str, pool: str, part: str, *, restricted: bool) -> str:
    """Return the partition in `names` of the search rows with this part: those for everybody, or the restricted."""
    return f"{prefix(tenant, pool)}#{'Y' if restricted else 'Q'}#{part}"


def _shard(partition: str, shard: int) -> str:
    return f"{partition}#{shard}" if shard else partition


def shard_of(customer: str, shards: int) -> int:
    """Return the shard of a customer id among `shards` shards."""
    return crc32(customer.encode()) % shards


def index_attributes(customer: Customer) -> dict[str, Any]:
    """Return the index attributes of a customer, derived from its state and name."""
    tenant, pool = customer.tenant, customer.pool
    shard = shard_of(customer.id, customer.shards)
    attributes: dict[str, Any] = {ROSTER: customer_roster(tenant, pool)}
    if name := truncate_name(fold_name(customer.name)):  # DynamoDB rejects an empty index key
        attributes |= {NAMES: names_in(tenant, pool), "folded": name}
    if customer.suppressed_at is not None:
        attributes |= {PLACE: place_suppressed(tenant, pool), "rank": customer.suppressed_at}
    elif customer.set_aside_at is not None:
        attributes |= {PLACE: place_set_aside(tenant, pool), "rank": customer.set_aside_at}
    elif customer.state == "available":
        rank = customer.waiting_since - customer.priority * PRIORITY_STEP
        attributes |= {PLACE: place_available(tenant, pool, shard), "rank": rank}
    elif customer.holder is not None:
        claimed = customer.state == "claimed"
        deadline = NO_DEADLINE if customer.expires_at is None else customer.expires_at
        rank = deadline if claimed else FIRST_PRIVATE_RANK + deadline
        attributes |= {PLACE: place_of_holder(tenant, pool, customer.holder), "rank": rank}
        due = due_in(tenant, pool, shard) if claimed else private_in(tenant, pool)
        attributes |= {DUE: due, "due_at": deadline}
        attributes |= {} if customer.remind_at is None else {REMINDER: due}
        attributes |= {} if customer.win_requested_at is None else {REQUEST: requests_in(tenant, pool)}
    return attributes
