"""Operations of the model on a pool: customer records, members, policy, status and the sweep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from tests.proofs.model import Claim, Customer, Member, Own, Refusal, Request, Written, refuse_if, results_of
from tests.proofs.model_verbs import blocking, hand_private, limits, put_back, take
from tests.support.world import DAY

Row = tuple[str, str, int]  # id, name, priority


# Customers as records


def newcomer(req: Request, row: Row, event: str, *, entered: bool = True) -> Customer:
    customer, name, priority = row
    now = req.now
    made = Customer(customer, req.pool, name, priority, now, now, now, now, req.model.activity)
    made.step(event, req.now)
    req.model.activity[req.pool, "entered"] -= not entered
    req.model.customers[req.pool, customer] = made
    return made


def create(
    req: Request, row: Row, owner: str | None = None, email: str | None = None, on_duplicate: str | None = None
) -> None:
    req.by_manager()
    refuse_if(req.home.status == "closed", "pool_not_open")
    refuse_if((req.pool, row[0]) in req.model.erased, "suppressed")
    refuse_if(not req.model.may_get(email), "suppressed")
    if owner is not None:
        req.by_recipient(owner)
    refuse_if((req.pool, row[0]) in req.model.customers, "duplicate_customer")
    if email is not None and on_duplicate != "allow":
        refuse_if(req.model.has_email(req.pool, email), "duplicate_customer")
    if owner is not None:
        refuse_if(not req.model.private_room(req.pool, owner, req.now), "private_limit")
    made = newcomer(req, row, "created", entered=owner is None)
    made.email = email
    req.model.take_email(made)
    if owner is None:
        return
    made.state, made.holder, made.own = "private", owner, Own(req.now, req.home.private_deadline(req.now))


def import_rows(req: Request, rows: Sequence[Row], mode: str) -> tuple[list[str], list[Written]]:
    """Return `ok` or a code for each row, and the changes of the import."""
    req.by_manager()
    written: list[Written] = []
    seen: set[str] = set()

    def bring_in(row: Row) -> None:
        known = req.model.customers.get((req.pool, row[0]))
        refuse_if(row[0] in seen, "duplicate_in_request")
        seen.add(row[0])
        if known is None or mode == "reject":
            refuse_if(req.home.status == "closed", "pool_not_open")
            refuse_if((req.pool, row[0]) in req.model.erased, "suppressed")
            refuse_if(known is not None, "duplicate_customer")
            made = newcomer(req, row, "imported")
            written.append(Written(made.id, made.created, made.version, None))
        elif mode == "update" and row[1:] != (known.name, known.priority):
            was = (known.name, known.priority)
            known.edit(*row[1:], req.now)
            written.append(Written(known.id, known.created, known.version, was))

    return results_of(partial(bring_in, row) for row in rows), written


def undo(req: Request, import_id: str) -> list[str]:
    """Return `ok` or a code for each customer that the import wrote. A second undo returns `ok`."""
    req.by_manager()
    written = req.model.imports.get((req.pool, import_id))
    if not written:
        raise Refusal("not_found")
    return results_of(partial(undo_one, req, each) for each in written)


def undo_one(req: Request, written: Written) -> None:
    if written.undone:
        return
    found = req.model.customers.get((req.pool, written.id))
    if found is None:
        raise Refusal("not_found")
    refuse_if((found.created, found.version) != (written.created, written.version), "version_conflict")
    written.undone = True
    if written.was is None:
        del req.model.customers[req.pool, written.id]
    else:
        found.edit(*written.was, req.now)


# Claim next: the service chooses the customers, as long as there are no better ones


def may_claim_next(req: Request, count: int) -> int:
    """Return the number of customers that claim next takes."""
    refuse_if(req.home.status != "open", "pool_not_open")
    req.by_recipient()
    for code in limits(req):
        raise Refusal(code)
    claimable = [each for each in req.model.of_pool(req.pool) if not not_for(req, each)]
    limit, goes_on = req.model.limit(req.pool, req.who), kept(req)
    room = count if limit is None else limit - goes_on
    today: int = req.policy.get("daily_claim_limit", 10**9) - req.by_member().claims[req.home.day(req.now)]
    return min(count, room, today, len(claimable))


def kept(req: Request) -> int:
    return sum(not req.expired(each) for each in req.model.held_by(req.pool, req.who))


def not_for(req: Request, each: Customer) -> bool:
    """Return whether claim next passes it over. It finds private customers only where the policy has them expire."""
    mine = each.holder == req.who and each.state == "claimed" and not req.expired(each)
    unlisted = each.own is not None and "private_ttl" not in req.policy
    return mine or unlisted or bool(blocking(req, each))


def next_taken(req: Request, taken: Sequence[str], room_made: bool) -> None:
    """Take those customers. They must be the best by priority, then by waiting time; an expired claim waits since its
    deadline.
    """
    if room_made:
        req.model.return_expired(req.pool, req.who, req.now)
    chosen = [req.model.customers[req.pool, each] for each in taken]
    assert not any(not_for(req, each) for each in chosen), "it took what may not be claimed"
    left = [each for each in req.model.of_pool(req.pool) if each not in chosen and not not_for(req, each)]
    if chosen and not room_made:
        assert max(map(rank, chosen)) <= min(map(rank, left), default=(9, 0)), "there were better ones"
    for each in chosen:
        take(req, each)


def rank(customer: Customer) -> tuple[int, int]:
    return -customer.priority, customer.deadline or customer.waiting


# People


def put_member(
    req: Request, user: str, role: str, limit: int | None, takes: dict[str, list[str]] | None = None
) -> None:
    member = req.model.members.get((req.pool, user))
    if not req.admin:
        req.by_manager()
        refuse_if(role == "manager" or user == req.who, "not_admin")
        refuse_if(member is not None and member.role == "manager", "not_admin")
    if member is None:
        refuse_if(user in req.model.gone, "user_left")
        claims = req.model.left.get((req.pool, user), Counter())
        req.model.members[req.pool, user] = Member(role, limit, takes, claims=claims)
    else:
        member.role, member.own_limit, member.takes = role, limit, takes
        member.version += 1


def change_member(req: Request, user: str, given: dict[str, Any]) -> None:
    member = req.model.members.get((req.pool, user))
    if not req.admin:
        req.by_manager()
        refuse_if(given.get("role") == "manager" or user == req.who, "not_admin")
        refuse_if(member is not None and member.role == "manager", "not_admin")
    if member is None:
        raise Refusal("not_found")
    member.role, member.own_limit = given.get("role", member.role), given.get("holding_limit", member.own_limit)
    member.takes = given.get("takes", member.takes)
    member.version += 1


def remove_member(req: Request, user: str, held: str | None, private: str | None, to: str | None) -> None:
    req.by_manager()
    if held is None:
        req.model.return_expired(req.pool, user, req.now)
    refuse_if(held is None and bool(req.model.held_by(req.pool, user)), "member_has_claims")
    if private is None:
        req.model.return_private(req.pool, user, req.now)
    refuse_if(private is None and bool(req.model.owned_by(req.pool, user)), "member_has_private")
    if held is not None:
        req.model.return_expired(req.pool, user, req.now)
        require_room_for_claims(req, user, to if held == "transfer" else None)
    if private is not None:
        end_private(req, user)
        require_room_for_private(req, user, to if private == "transfer" else None)
    if held is not None:
        hand_back(req, user, held, to)
    if private is not None:
        hand_private_on(req, user, private, to)
    refuse_if((req.pool, user) not in req.model.members, "not_found")
    refuse_if(bool(req.model.held_by(req.pool, user)), "member_has_claims")
    refuse_if(bool(req.model.owned_by(req.pool, user)), "member_has_private")
    req.model.left[req.pool, user] = req.model.members.pop((req.pool, user)).claims


def require_room_for_claims(req: Request, user: str, heir: str | None) -> None:
    if heir is None:
        return
    req.model.return_expired(req.pool, heir, req.now)
    if holds := len(req.model.held_by(req.pool, user)):
        req.by_recipient(heir)
        limit = req.model.limit(req.pool, heir)
        refuse_if(limit is not None and limit - len(req.model.held_by(req.pool, heir)) < holds, "holding_limit")


def require_room_for_private(req: Request, user: str, heir: str | None) -> None:
    if heir is None:
        return
    req.model.return_private(req.pool, heir, req.now)
    if owned := len(req.model.owned_by(req.pool, user)):
        req.by_recipient(heir)
        refuse_if(req.model.private_room(req.pool, heir, req.now, 0) < owned, "private_limit")


def end_private(req: Request, user: str) -> None:
    """Return the expired private customers of the member. In a pool that is not open the caller deposits them."""
    req.model.return_private(req.pool, user, req.now)
    for each in req.model.owned_by(req.pool, user):
        if req.expired(each):
            put_back(req, each, req.pool)


def hand_private_on(req: Request, user: str, private: str, to: str | None) -> None:
    """Transfer all private customers of the member to an heir, or deposit them."""
    for each in req.model.owned_by(req.pool, user):
        if private == "deposit":
            put_back(req, each, req.pool)
        elif to is not None:
            req.by_recipient(to)
            hand_private(req, each, to)


def hand_back(req: Request, user: str, held: str, to: str | None) -> None:
    """Transfer all claims of the member to an heir with enough headroom, or release them."""
    holds = req.model.held_by(req.pool, user)
    if held == "release" or to is None:
        for each in holds:
            req.model.give_back(each, "released" if user == req.who else "reclaimed", req.now)
        return
    req.model.return_expired(req.pool, to, req.now)
    if not holds:
        return
    req.by_recipient(to)
    limit = req.model.limit(req.pool, to)
    refuse_if(limit is not None and limit - len(req.model.held_by(req.pool, to)) < len(holds), "holding_limit")
    used_up = [each for each in holds if req.model.hold_used_up(each, to, req.now)]
    for each in holds:
        if each not in used_up:
            req.model.leave(each, req.now)
            each.claim = None
            req.model.begin(each, "transferred", to, req.now)
    refuse_if(bool(used_up), "cooldown")


# Policy and status


def change_policy(req: Request, rules: Mapping[str, Any], zone: str | None, to_all: bool, dry_run: bool) -> int:
    """Return how many claims get another deadline, if for all or as a dry run. Remove rules that are None."""
    req.by_manager()
    refuse_if(req.seen != req.home.version, "version_conflict")
    before = req.policy
    req.home.policy = {name: rule for name, rule in (before | dict(rules)).items() if rule is not None}
    affected = [each for each in req.model.of_pool(req.pool) if not req.expired(each) and would_change(req, each)]
    if dry_run:
        req.home.policy = before
        return len(affected)
    req.home.version += 1
    req.home.move_to_zone(zone or req.home.zone, req.now)
    for each in affected if to_all else ():
        if each.claim is not None:
            each.claim.ends, _, each.claim.pinned = recomputed(req, each.claim)
        elif each.own is not None:
            each.own.ends = recomputed_own(req, each.own)
        each.step("updated", req.now)
    return len(affected)


def would_change(req: Request, each: Customer) -> bool:
    if each.own is not None:
        return recomputed_own(req, each.own) != each.own.ends
    return each.claim is not None and recomputed(req, each.claim) != each.claim.clocks


def recomputed_own(req: Request, own: Own) -> int | None:
    ends = req.home.private_deadline(own.active)
    return None if ends is None else max(ends, req.now)


def recomputed(req: Request, claim: Claim) -> tuple[int | None, int | None, int | None]:
    """Return the deadlines under the current policy, of the clocks and with the pin, and the end of the pin."""
    clocks, longest = req.home.deadline(claim.started, claim.active or claim.started, claim.hold), 10**15
    if "max_hold" in req.policy:
        longest = claim.hold + req.policy["max_hold"]
    if clocks is not None:
        declined = 0 if claim.declined is None else claim.declined + DAY
        clocks = max(min(clocks + claim.extended, longest), declined, req.moment)
    pinned = None if claim.pinned is None else min(claim.pinned, max(longest, req.moment))
    return clocks, None if clocks is None else max(clocks, pinned or 0, claim.review or 0), pinned


def _changed(req: Request, change: Callable[[], None]) -> None:
    req.by_admin()
    before = (req.home.status, req.home.paused, req.home.closing)
    change()
    req.home.version += before != (req.home.status, req.home.paused, req.home.closing)


def pause(req: Request) -> None:
    def change() -> None:
        refuse_if(req.home.status == "closed", "pool_not_open")
        if req.home.paused is None:
            req.home.status, req.home.paused = "paused", req.now

    _changed(req, change)


def resume(req: Request) -> None:
    """Shift every live deadline by the part of the pause within its claim. One version records the resume, another its
    end.
    """
    req.by_admin()
    refuse_if(req.home.status == "closed", "pool_not_open")
    if req.home.paused is None:
        return
    for each in req.model.of_pool(req.pool):
        if each.claim is not None and not each.claim.expired(req.home.paused):
            shift(each.claim, max(req.now - max(req.home.paused, each.claim.began), 0))
            each.step("updated", req.now)
    req.home.status, req.home.paused = "open", None
    req.home.version += 2


def shift(claim: Claim, by: int) -> None:
    claim.stopped += by
    claim.ends, claim.pinned, claim.active, claim.review, claim.declined = (
        None if moment is None else moment + by
        for moment in (claim.ends, claim.pinned, claim.active, claim.review, claim.declined)
    )


def close(req: Request, mode: str) -> None:
    def change() -> None:
        req.home.status, req.home.closing = "closed", mode
        claims = [each for each in req.model.of_pool(req.pool) if each.claim is not None]
        for each in sorted(claims, key=lambda known: ((known.claim and known.claim.expires) or 10**15, known.id)):
            if req.expired(each):
                req.model.expire(each, req.now)
            elif each.state == "claimed" and each.holder is not None:
                if mode == "drain" or not req.model.private_room(req.pool, each.holder, req.now):
                    req.model.give_back(each, "reclaimed", req.now)
                else:
                    req.model.make_private(each, "converted", each.holder, req.now)

    _changed(req, change)


def open_again(req: Request) -> None:
    def change() -> None:
        refuse_if(req.home.status == "paused", "pool_not_open")
        req.home.status, req.home.paused, req.home.closing = "open", None, None

    _changed(req, change)


def delete(req: Request) -> None:
    """Delete a pool. The model tries this only for pools with customers."""
    req.by_admin()
    refuse_if(bool(req.model.of_pool(req.pool)), "pool_not_empty")
    raise AssertionError("the model never deletes a pool")


def sweep(req: Request) -> int:
    """Sweep all pools. Return the number of returned customers."""
    req.by_admin()
    model = req.model
    return sum(
        model.return_expired(pool, None, req.now) + model.return_private(pool, None, req.now) for pool in model.pools
    )
