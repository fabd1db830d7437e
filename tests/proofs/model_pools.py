"""What concerns a pool in the model: its customers as records, its people, its policy, its status, the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.proofs.model import Ask, Claim, Customer, Member, No, Written, refuse_if, words
from tests.proofs.model_verbs import blocking, limits, take

Row = tuple[str, str, int]  # id, name, priority


# Customers as records


def newcomer(ask: Ask, row: Row, event: str) -> Customer:
    customer, name, priority = row
    made = Customer(customer, ask.pool, name, priority, *[ask.now] * 4, ask.model.activity)
    made.step(event, ask.now)
    ask.model.customers[ask.pool, customer] = made
    return made


def create(ask: Ask, row: Row) -> None:
    ask.by_manager()
    refuse_if(ask.home.status == "closed", "pool_not_open")
    refuse_if((ask.pool, row[0]) in ask.model.customers, "duplicate_customer")
    newcomer(ask, row, "created")


def import_rows(ask: Ask, rows: Sequence[Row], mode: str) -> tuple[list[str], list[Written]]:
    """A word for each row, and what the import has written."""
    ask.by_manager()
    written: list[Written] = []
    seen: set[str] = set()

    def bring_in(row: Row) -> None:
        known = ask.model.customers.get((ask.pool, row[0]))
        refuse_if(row[0] in seen, "duplicate_in_request")
        seen.add(row[0])
        if known is None or mode == "reject":
            refuse_if(ask.home.status == "closed", "pool_not_open")
            refuse_if(known is not None, "duplicate_customer")
            made = newcomer(ask, row, "imported")
            written.append(Written(made.id, made.created, made.version, None))
        elif mode == "update" and row[1:] != (known.name, known.priority):
            was = (known.name, known.priority)
            _, known.name, known.priority = row
            known.step("updated", ask.now)
            written.append(Written(known.id, known.created, known.version, was))

    return words(lambda row=row: bring_in(row) for row in rows), written


def undo(ask: Ask, import_id: str) -> list[str]:
    """A word for each customer that the import wrote; those undone before are done."""
    ask.by_manager()
    written = ask.model.imports.get((ask.pool, import_id))
    if not written:
        raise No("not_found")
    return words(lambda each=each: undo_one(ask, each) for each in written)


def undo_one(ask: Ask, written: Written) -> None:
    if written.undone:
        return
    found = ask.model.customers.get((ask.pool, written.id))
    if found is None:
        raise No("not_found")
    refuse_if((found.created, found.version) != (written.created, written.version), "version_conflict")
    written.undone = True
    if written.was is None:
        del ask.model.customers[ask.pool, written.id]
    else:
        found.name, found.priority = written.was
        found.step("updated", ask.now)


# Claim next: the service chooses the customers, as long as there are no better ones


def may_claim_next(ask: Ask, count: int) -> int:
    """How many it takes."""
    refuse_if(ask.home.status != "open", "pool_not_open")
    ask.by_member()
    for code in limits(ask):
        raise No(code)
    claimable = [each for each in ask.model.of_pool(ask.pool) if not not_for(ask, each)]
    limit, goes_on = ask.model.limit(ask.pool, ask.who), kept(ask)
    room = count if limit is None else limit - goes_on
    today = ask.policy.get("daily_claim_limit", 10**9) - ask.by_member().claims[ask.home.day(ask.now)]
    return min(count, room, today, len(claimable))


def kept(ask: Ask) -> int:
    return sum(not each.expired(ask.moment) for each in ask.model.held_by(ask.pool, ask.who))


def not_for(ask: Ask, each: Customer) -> bool:
    mine = each.holder == ask.who and each.state == "claimed" and not each.expired(ask.moment)
    return mine or bool(blocking(ask, each))


def next_taken(ask: Ask, taken: Sequence[str], room_made: bool) -> None:
    """Take those customers. They must be the best by priority, then by waiting time; an expired claim waits since its
    deadline.
    """
    if room_made:
        ask.model.return_expired(ask.pool, ask.who, ask.now)
    chosen = [ask.model.customers[ask.pool, each] for each in taken]
    assert not any(not_for(ask, each) for each in chosen), "it took what may not be claimed"
    left = [each for each in ask.model.of_pool(ask.pool) if each not in chosen and not not_for(ask, each)]
    if chosen and not room_made:
        assert max(map(rank, chosen)) <= min(map(rank, left), default=(9, 0)), "there were better ones"
    for each in chosen:
        take(ask, each)


def rank(customer: Customer) -> tuple[int, int]:
    expired = customer.claim and customer.claim.expires
    return -customer.priority, expired or customer.waiting


# People


def put_member(ask: Ask, user: str, role: str, limit: int | None) -> None:
    member = ask.model.members.get((ask.pool, user))
    if not ask.admin:
        ask.by_manager()
        refuse_if(role == "manager" or user == ask.who, "not_admin")
        refuse_if(member is not None and member.role == "manager", "not_admin")
    if member is None:
        claims = ask.model.left.get((ask.pool, user), Counter())
        ask.model.members[ask.pool, user] = Member(role, limit, claims=claims)
    else:
        member.role, member.own_limit, member.version = role, limit, member.version + 1


def remove_member(ask: Ask, user: str, held: str | None, to: str | None) -> None:
    ask.by_manager()
    ask.model.return_expired(ask.pool, user, ask.now)
    if held is not None:
        hand_back(ask, user, held, to)
    refuse_if((ask.pool, user) not in ask.model.members, "not_found")
    refuse_if(bool(ask.model.held_by(ask.pool, user)), "member_has_claims")
    ask.model.left[ask.pool, user] = ask.model.members.pop((ask.pool, user)).claims


def hand_back(ask: Ask, user: str, held: str, to: str | None) -> None:
    """All that the member still holds, to an heir who has room for all of it, or to nobody."""
    if to is not None and to != user:
        ask.model.return_expired(ask.pool, to, ask.now)
    holds = ask.model.held_by(ask.pool, user)
    if not holds or to == user:
        return
    if held == "release" or to is None:
        for each in holds:
            ask.model.give_back(each, "reclaimed", ask.now)
        return
    ask.by_member(to)
    limit = ask.model.limit(ask.pool, to)
    refuse_if(limit is not None and limit - len(ask.model.held_by(ask.pool, to)) < len(holds), "holding_limit")
    for each in holds:
        each.left[user], each.claim = ask.now, None
        ask.model.begin(each, "transferred", to, ask.now)


# Policy and status


def change_policy(ask: Ask, rules: Mapping[str, Any], zone: str | None, to_all: bool, dry_run: bool) -> int:
    """Return how many claims get another deadline, if for all or as a dry run. Remove rules that are None."""
    ask.by_manager()
    refuse_if(ask.seen != ask.home.version, "version_conflict")
    before = ask.policy
    ask.home.policy = {name: rule for name, rule in (before | dict(rules)).items() if rule is not None}
    moment = ask.moment
    affected = [
        each
        for each in ask.model.of_pool(ask.pool)
        if each.claim is not None and not each.claim.expired(moment) and anew(ask, each.claim) != ends(each.claim)
    ]
    if dry_run:
        ask.home.policy = before
        return len(affected)
    ask.home.version += 1
    ask.home.move_to_zone(zone or ask.home.zone, ask.now)
    for each in affected if to_all else ():
        assert each.claim is not None
        each.claim.ends = anew(ask, each.claim)[0]
        each.step("updated", ask.now)
    return len(affected)


def ends(claim: Claim) -> tuple[int | None, int | None]:
    return claim.ends, claim.expires


def anew(ask: Ask, claim: Claim) -> tuple[int | None, int | None]:
    """Where the policy would have the clocks end it, and where it would end then."""
    clocks = ask.home.deadline(claim.started, claim.active or claim.started)
    if clocks is not None:
        longest = claim.started + ask.policy.get("max_hold", 10**15)
        clocks = max(min(clocks + claim.extended, longest), ask.moment)
    return clocks, None if clocks is None else max(clocks, claim.pinned or 0)


def _changed(ask: Ask, change: Callable[[], None]) -> None:
    ask.by_admin()
    before = (ask.home.status, ask.home.paused, ask.home.closing)
    change()
    ask.home.version += before != (ask.home.status, ask.home.paused, ask.home.closing)


def pause(ask: Ask) -> None:
    def change() -> None:
        refuse_if(ask.home.status == "closed", "pool_not_open")
        if ask.home.paused is None:
            ask.home.status, ask.home.paused = "paused", ask.now

    _changed(ask, change)


def resume(ask: Ask) -> None:
    """Shift every live deadline by the part of the pause within its claim. One version records the resume, another its
    end.
    """
    ask.by_admin()
    refuse_if(ask.home.status == "closed", "pool_not_open")
    if ask.home.paused is None:
        return
    for each in ask.model.of_pool(ask.pool):
        if each.claim is not None and not each.expired(ask.home.paused):
            shift(each.claim, max(ask.now - max(ask.home.paused, each.claim.began), 0))
            each.step("updated", ask.now)
    ask.home.status, ask.home.paused = "open", None
    ask.home.version += 2


def shift(claim: Claim, by: int) -> None:
    claim.stopped += by
    claim.ends, claim.pinned, claim.active = (
        None if moment is None else moment + by for moment in (claim.ends, claim.pinned, claim.active)
    )


def close(ask: Ask, mode: str) -> None:
    def change() -> None:
        ask.home.status, ask.home.closing = "closed", mode
        for each in ask.model.of_pool(ask.pool):
            if each.expired(ask.moment):
                ask.model.expire(each, ask.now)
            elif each.state == "claimed" and each.holder is not None:
                if mode == "drain":
                    ask.model.give_back(each, "reclaimed", ask.now)
                else:
                    ask.model.make_private(each, "converted", each.holder, ask.now)

    _changed(ask, change)


def open_again(ask: Ask) -> None:
    def change() -> None:
        refuse_if(ask.home.status == "paused", "pool_not_open")
        ask.home.status, ask.home.paused, ask.home.closing = "open", None, None

    _changed(ask, change)


def delete(ask: Ask) -> None:
    """Only of a pool that has customers: it stays."""
    ask.by_admin()
    refuse_if(bool(ask.model.of_pool(ask.pool)), "pool_not_empty")
    raise AssertionError("the model never deletes a pool")


def sweep(ask: Ask) -> int:
    """One pass over all pools. How many claims went back."""
    ask.by_admin()
    return sum(ask.model.return_expired(pool, None, ask.now) for pool in ask.model.pools)
