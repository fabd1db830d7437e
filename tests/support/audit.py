"""The invariants of the domain, checked over every item of a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from msgspec.structs import replace

from chalicelib.domain import suppression
from chalicelib.domain.invariants import is_transition, replayed
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.cards import card_of
from chalicelib.dynamodb.items import Item, is_tombstone
from chalicelib.dynamodb.keys import DUE, NAMES, PLACE, REMINDER, REQUEST, Key, is_territories, territories_key
from chalicelib.dynamodb.pool_items import NAMING
from chalicelib.dynamodb.table import Table
from chalicelib.model.contact_keys import contact_keys as contact_keys_of
from chalicelib.model.field_definitions import definitions_of
from chalicelib.model.first_follow_ups import minutes_of
from chalicelib.model.model import ACTIVITIES, Customer, Event, Member, Pool, Tombstone
from chalicelib.model.unique_values import unique_keys as unique_keys_of
from chalicelib.transactions.counters import activities
from chalicelib.transactions.idempotency import Result, decoded
from tests.support import tally
from tests.support.world import KEY_SECRET, everything

STANDARD_KINDS = definitions_of(()).kinds


# A deposit empties the amount of a win, so the sum of the amounts cannot be computed from the customers.
EVENT_KINDS = [kind for kind in ACTIVITIES if kind != "won_cents"]


def assert_sound(
    table: Table, *, statistics: bool = True, later_types: Collection[str] = (), now: int | None = None
) -> None:
    """Check I1, I2 and I4, index attributes against states, statistics against events, and the marks of leaves.

    `later_types` are the types of events that only a later version of the service knows.
    """
    tally.count("tables audited")
    items = list(everything(table))
    erased = [item for item in items if is_tombstone(item)]
    customers = [_customer(item) for item in _customer_items(items)]
    held = Counter((each.tenant, each.pool, each.holder) for each in customers if each.state == "claimed")
    private = Counter((each.tenant, each.pool, each.holder) for each in customers if each.state == "private")
    for item in items:
        if "#M#" in item["pk"]["S"]:
            _check_member(item, held, private)
    recorded: Counter[tuple[str, str]] = Counter()
    for customer, item in zip(customers, _customer_items(items), strict=True):
        pages = _pages(items, customer)
        _check_customer(customer, item, pages, later_types)
        recorded.update((customer.tenant, kind) for kind in _activities(pages + customer.tail))
        recorded[customer.tenant, "first"] += _first_follow_ups(pages + customer.tail)
        free = customer.suppressed_at is None
        recorded[customer.tenant, "pooled"] += customer.state != "private" and free
        recorded[customer.tenant, "aside"] += customer.set_aside_at is not None and free
        recorded[customer.tenant, "pins"] += customer.pinned_until is not None
    follow_ups_of_erased: Counter[str] = Counter()
    for item in erased:
        events = _check_erased(item, items, later_types)
        if _has_statistics(item, items):
            recorded.update((item["pk"]["S"].split("#")[1], kind) for kind in _activities(events))
            follow_ups_of_erased[item["pk"]["S"].split("#")[1]] += sum(each.type == "followed_up" for each in events)
    counted = _counted_activities(items)
    for tenant, most in follow_ups_of_erased.items():  # it is not known any more which were the first of a claim
        least = recorded[tenant, "first"]
        recorded[tenant, "first"] = min(max(counted[tenant, "first"], least), least + most)
    # Customers removed with their import took only their own events along; they still count as entered, and those that
    # the import gave to a holder as assigned.
    for tenant in _tenants_of_undone_customers(items):
        recorded[tenant, "entered"] += 1
        recorded[tenant, "assigned"] += counted[tenant, "assigned"] > recorded[tenant, "assigned"]
    if statistics:
        assert +recorded == +counted, "statistics differ from events"
    _check_unique_keys(items)
    _check_suppressions(items)
    _check_unique_values(items)
    _check_leaves(items)
    _check_schedule(items, customers, now)
    _check_cards(items)
    _check_territories(items)


def assert_unique_keys_belong_to_one_customer(table: Table) -> None:
    """Check that no two customers have the same key, which holds if all were imported by key. Edits by hand may repeat
    a key.
    """
    counts = Counter(
        key_item for _, unique_keys in _customers_with_unique_keys(list(everything(table))) for key_item in unique_keys
    )
    assert all(count == 1 for count in counts.values()), (
        f"{sum(count > 1 for count in counts.values())} keys belong to two customers"
    )


def _check_leaves(stored_items: list[dict[str, Any]]) -> None:
    """Check that the memberships of exactly the users who have left are marked, and that one who is done has nothing.
    While memberships are being marked, or the marks removed, there are both.
    """
    members: dict[tuple[str, str], list[Member]] = defaultdict(list)
    for item in stored_items:
        if "#M#" in item["pk"]["S"]:
            _, tenant, _, pool, _, user = item["pk"]["S"].split("#")
            members[tenant, user].append(pool_items.member_record(tenant, pool, item))
    people = [item for item in stored_items if item["pk"]["S"].endswith("#USERS")]
    for item in people:
        person = pool_items.user_record(item["pk"]["S"].split("#")[1], item)
        listed = {name: pool_items.user_item(person).get(name) for name in (DUE, "due_at")}
        assert {name: item.get(name) for name in listed} == listed, f"index attributes of {person.id}"
        own, leave = members.get((person.tenant, person.id), []), person.leave
        if leave is not None:
            members.pop((person.tenant, person.id), None)
            assert leave.state in ("marking", "returning") or all(each.left_at is not None for each in own), person.id
            assert leave.state != "done" or not any(each.held or each.private for each in own), person.id
    for (_, user), own in members.items():
        assert all(each.left_at is None for each in own), f"{user} is marked and has not left"


def _check_cards(stored_items: list[dict[str, Any]]) -> None:
    """Check that each card is computed from the fields, unless a change of the pool's definitions is at work."""
    stored = {item["pk"]["S"]: items.fields_record(item) for item in stored_items if item["sk"]["S"] == "F"}
    pools = _pools(stored_items)
    for item in _customer_items(stored_items):
        customer = _customer(item)
        home, written = pools.get((customer.tenant, customer.pool)), stored.get(item["pk"]["S"])
        if home is not None and written is not None and home.fields_since is None:
            assert customer.card == card_of(written.fields, home), f"card of {customer.id}"


def _check_territories(stored_items: list[dict[str, Any]]) -> None:
    """Check that each pool counts the territories that name a field."""
    counted, named = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for item in stored_items:
        pk = item["pk"]["S"]
        if is_territories(Key(pk, item["sk"]["S"])):
            counted.update({(pk, name): int(item[name]["N"]) for name in item if name.startswith(NAMING)})
        elif "#M#" in pk and (takes := pool_items.territory_record(item)) is not None:
            _, tenant, _, pool, *_ = pk.split("#")
            named[territories_key(tenant, pool).pk, f"{NAMING}{takes.field}"] += 1
    assert +counted == +named and min(counted.values(), default=0) >= 0, "territories are counted wrongly"


def _check_unique_values(stored_items: list[dict[str, Any]]) -> None:
    """Check that each value of a unique field has the item of its one customer, and that no other item is left.

    While a change of the definitions is at work, some values have none yet, or still have one.
    """
    pools, expected = _pools(stored_items), dict[str, str]()
    for item in stored_items:
        if item["sk"]["S"] != "F":
            continue
        _, tenant, _, pool, _, customer = item["pk"]["S"].split("#")
        read, home = items.fields_record(item), pools.get((tenant, pool))
        for each in read.unique_keys:
            pk = keys.unique_key(tenant, pool, each).pk
            assert pk not in expected, f"{customer} and {expected[pk]} have one value of a unique field"
            expected[pk] = customer
        if home is not None:
            present = unique_keys_of(read.fields, home.definitions, home.policy.region, KEY_SECRET)
            wanted = {each for own in present.values() for each in own}
            assert home.fields_since is not None or {*read.unique_keys} == wanted, f"values of {customer}"
    stored = {item["pk"]["S"]: items.unique_key_owner(item) for item in stored_items if "#D#unique#" in item["pk"]["S"]}
    assert stored == expected, "items of unique values"


def _check_schedule(stored_items: list[dict[str, Any]], customers: list[Customer], now: int | None) -> None:
    """Check that every pool has a check and, if the time is given, that an open pool has none that is later than a
    deadline or a reminder of its customers, unless it is due already.
    """
    pools = _pools(stored_items)
    checks: dict[tuple[str, str], int] = {}
    for item in stored_items:
        pk, pool = item["pk"]["S"], item["sk"]["S"]
        if pk.endswith("#POOLS") and (pk.split("#")[1], pool) in pools:
            tenant = pk.split("#")[1]
            assert item.get(DUE) == items.serialize(keys.schedule_of(tenant, pool)), f"the check of {pool} is missing"
            checks[tenant, pool] = items.deserialize(item["due_at"])
    for customer in customers:
        home = pools.get((customer.tenant, customer.pool))
        if home is not None and home.status == "open":
            moments = [each for each in (customer.expires_at, customer.remind_at) if each is not None]
            late = [each for each in moments if now is not None and max(each, now) < checks[home.tenant, home.id]]
            assert not late, f"the check of {home.id} is later than {customer.id}"


def _check_unique_keys(stored_items: list[dict[str, Any]]) -> None:
    """Check that each phone number and address has a unique-key item of a customer that has it, or had it later. The
    item may name a customer that is gone or has another number now, but no version it never had.
    """
    stored = {item["pk"]["S"]: item for item in stored_items if "#D#" in item["pk"]["S"]}
    erased = {item["pk"]["S"] for item in stored_items if is_tombstone(item) and not items.is_unfinished(item)}
    versions = {item["pk"]["S"]: items.deserialize(item["version"]) for item in _customer_items(stored_items)}
    for customer, unique_keys in _customers_with_unique_keys(stored_items):
        assert all(key.pk in stored for key in unique_keys), f"{customer.id} has a key without a unique-key item"
    for pk, key_item in stored.items():
        _, tenant, _, pool, *_ = pk.split("#")
        owner = keys.customer_key(tenant, pool, items.unique_key_owner(key_item)).pk
        known = items.deserialize(key_item["version"])
        assert versions.get(owner, known) >= known, f"a unique-key item is newer than its customer {owner}"
        assert owner not in erased, f"a unique-key item names the erased customer {owner}"


def _check_suppressions(stored_items: list[dict[str, Any]]) -> None:
    """Check that the suppressions name exactly the suppressed customers, and the tombstones, with each contact."""
    expected: dict[str, set[str]] = defaultdict(set)
    for customer, _ in _customers_with_unique_keys(stored_items):
        for each in suppression.of_customer(customer):
            expected[each.key.pk].add(each.source)
    for item in stored_items:
        if is_tombstone(item):
            for each in suppression.of_tombstone(items.tombstone_record(item)):
                expected[each.key.pk].add(each.source)
    stored = {item["pk"]["S"]: item for item in stored_items if "#SUPPRESSED#" in item["pk"]["S"]}
    assert {pk: keys.named_in_suppression(item) for pk, item in stored.items()} == expected, "suppressions"
    for pk, item in stored.items():
        assert items.deserialize(item["count"]) == len(expected[pk]), "the count of a suppression"
        assert items.deserialize(item[keys.ROSTER]) == pk.partition("SUPPRESSED")[0] + "SUPPRESSED"


def _customers_with_unique_keys(stored_items: list[dict[str, Any]]) -> Iterator[tuple[Customer, dict[Key, Item]]]:
    """Yield each customer with its fields and the unique-key items these require."""
    stored = {item["pk"]["S"]: items.fields_record(item)[1:3] for item in stored_items if item["sk"]["S"] == "F"}
    pools = _pools(stored_items)
    for item in _customer_items(stored_items):
        fields, contact_keys = stored.get(item["pk"]["S"], ({}, ()))
        customer = replace(_customer(item), fields=fields, contact_keys=contact_keys)
        home = pools.get((customer.tenant, customer.pool))
        region, kinds = ("CN", STANDARD_KINDS) if home is None else (home.policy.region, home.definitions.kinds)
        if home is None or home.fields_since is None:
            assert contact_keys == contact_keys_of(fields, kinds, region, KEY_SECRET), f"contact keys of {customer.id}"
        yield customer, items.unique_key_items(customer)


def _pools(stored_items: list[dict[str, Any]]) -> dict[tuple[str, str], Pool]:
    """Return the pools by tenant and id, without malformed ones."""
    pools = dict[tuple[str, str], Pool]()
    for item in stored_items:
        if item["pk"]["S"].endswith("#POOLS"):
            with suppress(*items.MALFORMED):
                pool = pool_items.pool_record(item["pk"]["S"].split("#")[1], item)
                pools[pool.tenant, pool.id] = pool
    return pools


def _customer_items(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in items if "#C#" in item["pk"]["S"] and item["sk"]["S"] == "-" and not is_tombstone(item)]


def _customer(item: dict[str, Any]) -> Customer:
    _, tenant, _, pool, *_ = item["pk"]["S"].split("#")
    return items.customer_record(tenant, pool, item)


def _pages(stored_items: list[dict[str, Any]], customer: Customer | Tombstone) -> tuple[Event, ...]:
    """Return the older events, from every pool of the customer's past."""
    homes = {customer.pool, *customer.homes}
    pks = {keys.customer_key(customer.tenant, pool, customer.id).pk for pool in homes}
    born = keys.event_page_key(customer, customer.pool, 0).sk.rpartition("#")[0] + "#"
    pages = [item for item in stored_items if item["pk"]["S"] in pks and item["sk"]["S"].startswith(born)]
    ordered = sorted(pages, key=lambda item: str(item["sk"]["S"]))
    return tuple(event for page in ordered for event in items.event_page_record(page))


def _tenants_of_undone_customers(items: list[dict[str, Any]]) -> Iterator[str]:
    """Yield the tenant of each customer that an undo removed, read from the stored results of the undo."""
    for item in items:
        if "#U#" in item["pk"]["S"]:
            answers = decoded(item["answers"]["B"]).values()
            yield from (item["pk"]["S"].split("#")[1] for result in answers if result == Result(result.id))


def _activities(events: tuple[Event, ...]) -> list[str]:
    return [kind for event in events for kind in activities(event)]


def _first_follow_ups(events: tuple[Event, ...]) -> int:
    """Return how many claims have a follow-up by their holder."""
    return len({each.claim_id for each in events if each.type == "followed_up" and each.to_state == "claimed"
                and each.by == each.holder})  # fmt: skip


def _counted_activities(stored_items: list[dict[str, Any]]) -> Counter[tuple[str, str]]:
    """Return the counts in member items and in rows of past days, by tenant, since customers move between pools."""
    counted: Counter[tuple[str, str]] = Counter()
    for item in stored_items:
        pk = item["pk"]["S"]
        if "#M#" in pk or pk.endswith("#S"):
            tenant = pk.split("#")[1]
            attributes = items.deserialize_item(item)
            for kind in (*EVENT_KINDS, "pooled", "aside", "pins"):
                counted[tenant, kind] += attributes.get(kind, 0) + attributes.get("did", {}).get(kind, 0)
            for counters in (attributes, attributes.get("did", {})):
                counted[tenant, "first"] += sum(counters[name] for name in counters if minutes_of(name) is not None)
    return counted


def _check_member(
    item: dict[str, Any], held: Counter[tuple[str, str, str | None]], private: Counter[tuple[str, str, str | None]]
) -> None:
    _, tenant, _, pool, _, user = item["pk"]["S"].split("#")
    try:
        member = pool_items.member_record(tenant, pool, item)
    except items.MALFORMED as error:
        raise AssertionError(f"I2: the record of {user} is malformed: {error}") from error
    assert member.held == held[tenant, pool, user], (
        f"I2: {user} holds {held[tenant, pool, user]}, counted {member.held}"
    )
    assert member.private == private[tenant, pool, user], (
        f"I2: {user} owns {private[tenant, pool, user]}, counted {member.private}"
    )
    if member.own_private_limit is not None:
        assert items.deserialize(item["private_room"]) == member.own_private_limit - member.private
    if member.own_limit is not None:
        assert items.deserialize(item["room"]) == member.own_limit - member.held, f"room of {user} has drifted"


def _check_customer(
    customer: Customer, item: dict[str, Any], pages: tuple[Event, ...], later_types: Collection[str]
) -> None:
    assert (customer.state == "claimed") == (customer.claim_id is not None), f"I1: {customer.id}"
    assert (customer.state == "available") == (customer.holder is None), f"I1: {customer.id}"
    expected = items.customer_item(customer)
    for name in (PLACE, "rank", DUE, "due_at", REMINDER, REQUEST, keys.ROSTER, NAMES, "folded"):
        assert item.get(name) == expected.get(name), f"index attribute {name} of {customer.id}"
    events = pages + customer.tail
    assert [event.seq for event in events] == list(range(1, customer.version + 1)), f"I4: events of {customer.id}"
    froms, tos = [event.from_state for event in events], [event.to_state for event in events]
    assert froms == [None, *tos[:-1]], f"I4: an event of {customer.id} does not start in the state of the one before"
    unknown = [event for event in events if event.type not in later_types and not is_transition(event)]
    assert not unknown, f"I4: unknown transitions: {unknown}"
    last = events[-1]
    assert last.to_state == customer.state, f"I4: {customer.id} is {customer.state}, replayed {last.to_state}"
    claim_by_state = {
        "claimed": (last.holder, last.claim_id, last.expires_at), "private": (last.holder, None, last.expires_at)
    }  # fmt: skip
    stored = (customer.holder, customer.claim_id, customer.expires_at)
    assert claim_by_state.get(str(last.to_state), (None, None, None)) == stored, f"I4: claim of {customer.id}"
    assert replayed(events) == (customer.state, *stored), f"I4: {customer.id}, replayed from its first event"


def _has_statistics(tombstone: dict[str, Any], stored_items: list[dict[str, Any]]) -> bool:
    """Return whether the pool of an erased customer still exists: a deleted one leaves its tombstones."""
    _, tenant, _, pool, *_ = tombstone["pk"]["S"].split("#")
    of_pool = [item for item in stored_items if (item["pk"]["S"], item["sk"]["S"]) == keys.pool_key(tenant, pool)]
    erased_at = items.deserialize(tombstone["erased_at"])
    return any(items.deserialize(item["created_at"]) <= erased_at for item in of_pool)


def _check_erased(
    item: dict[str, Any], stored_items: list[dict[str, Any]], later_types: Collection[str]
) -> tuple[Event, ...]:
    """Check that the events of an erased customer have no gap and end with the erasure, and that nothing else is left
    of it once its partition is emptied. Return the events.
    """
    tombstone = items.tombstone_record(item)
    events = _pages(stored_items, tombstone) + tombstone.tail
    assert [event.seq for event in events] == list(range(1, tombstone.version + 1)), f"I4: events of {tombstone.id}"
    assert [event.type for event in events].count("erased") == 1 and events[-1].type == "erased"
    unknown = [event for event in events if event.type not in later_types and not is_transition(event)]
    assert not unknown, f"I4: unknown transitions: {unknown}"
    if not items.is_unfinished(item):
        assert all(event == event.emptied for event in events[:-1]), f"an event of {tombstone.id} is not emptied"
        left = [each["sk"]["S"] for each in stored_items if each["pk"] == item["pk"] and each["sk"] != item["sk"]]
        assert not [sk for sk in left if not sk.startswith("E#")], f"{left} are left of {tombstone.id}"
    return events
