"""The verbs of the model, for one or several customers. Each raises Refusal with a code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tests.proofs.model import Claim, Customer, Do, Own, Refusal, Request, refuse_if
from tests.support.world import DAY

IMPOSSIBLE = ("no id",)  # what no customer can be called
Plan = Callable[[str], tuple[Do, bool | str]]  # what to do, and whether it uses a limit: an owner names the private one
Grant = Callable[[int], tuple[int, str]]  # how many of the wanted number the limits allow, and the code for the others


def nothing() -> None:
    """Do nothing: the state is already as requested."""


def apply_to_each(
    req: Request, ids: Sequence[str], plan: Plan, atomic: bool = False, grant: Grant | None = None
) -> list[str]:
    """Return `ok` or a code for each id, in order. What is left of the limits goes to the first ids."""
    results, todo, takes = dict[int, str](), dict[int, Do](), list[int]()
    owners: dict[str, list[int]] = {}
    for at, each in enumerate(ids):
        try:
            refuse_if(each in ids[:at], "duplicate_in_request")
            refuse_if(each in IMPOSSIBLE, "not_found")  # for any caller
            todo[at], uses = plan(each)
            if isinstance(uses, str):
                owners.setdefault(uses, []).append(at)
            else:
                takes += [at] if uses else []
        except Refusal as refusal:
            results[at] = refusal.code
    if takes and grant is not None:
        granted, code = grant(len(takes))
        results |= dict.fromkeys(takes[granted:], code)
    for owner, at_owner in owners.items():
        room = req.model.private_room(req.pool, owner, req.now, len(at_owner))
        results |= dict.fromkeys(at_owner[room:], "private_limit")
    if not (atomic and results):
        for at, do in todo.items():
            if at not in results:
                do()
    return [results.get(at, "ok") for at in range(len(ids))]


def granted_by_limits(req: Request, recipient: str, wanted: int, daily: bool) -> tuple[int, str]:
    """Return how many the recipient may take, and the code for the others. Expired claims are returned first."""
    model, home = req.model, req.home
    limit = model.limit(req.pool, recipient)
    if limit is not None and limit - len(model.held_by(req.pool, recipient)) < wanted:
        model.return_expired(req.pool, recipient, req.now)
    room = wanted if limit is None else max(limit - len(model.held_by(req.pool, recipient)), 0)
    today = wanted
    if daily and "daily_claim_limit" in req.policy:
        claimed = model.members[req.pool, recipient].claims[home.day(req.now)]
        today = max(req.policy["daily_claim_limit"] - claimed, 0)
    granted = min(room, today, wanted)
    return granted, "daily_limit" if today <= granted else "holding_limit"


def refuse_all_if(results: list[str], code: str) -> list[str]:
    """Refuse the whole request if one customer is refused with that code."""
    refuse_if(code in results, code)
    return results


def one(results: list[str]) -> None:
    refuse_if(results[0] != "ok", results[0])


# Claims


def blocking(req: Request, found: Customer) -> list[str]:
    """Return the codes of all rules about the customer that block a claim."""
    policy, results = req.policy, []
    expired = req.expired(found)
    if found.state != "available" and not expired:
        results.append("already_claimed")
    if found.suppressed is not None:
        results.append("suppressed")
    once_more = expired and found.returns >= policy.get("max_returns", 10**9) - 1
    if found.aside is not None or once_more:
        results.append("set_aside")
    member = req.model.members.get((req.pool, req.who))
    if member is not None and member.takes is not None and found.city not in member.takes["city"]:
        results.append("territory")
    entry = found.own.ends if expired and found.own is not None else found.entered
    if req.now - (entry or 0) < policy.get("embargo", 0):
        results.append("embargoed")
    if req.model.hold_used_up(found, req.who, req.now):
        results.append("cooldown")
    elif found.holder == req.who:
        ended = found.deadline
        waits = ended is not None and req.now - ended < policy.get("cooldown", -(10**15))
        results += ["cooldown"] if waits else []
    elif req.now - found.left.get(req.who, -(10**15)) < policy.get("cooldown", 0):
        results.append("cooldown")
    return results


def plan_claim(req: Request, customer: str) -> tuple[Do, bool]:
    refuse_if(req.home.status != "open", "pool_not_open")
    req.by_recipient()
    found = req.customer(customer)
    if found.state == "claimed" and found.holder == req.who and not req.expired(found):
        return nothing, False
    for code in blocking(req, found):
        raise Refusal(code)
    return lambda: take(req, found), True


def take(req: Request, found: Customer) -> None:
    req.model.begin(found, "claimed", req.who, req.now)
    req.by_member().claims[req.home.day(req.now)] += 1


def claim(req: Request, ids: Sequence[str], atomic: bool = False) -> list[str]:
    return apply_to_each(
        req, ids, lambda each: plan_claim(req, each), atomic, lambda count: granted_by_limits(req, req.who, count, True)
    )


def eligibility(req: Request, customer: str) -> list[str]:
    found = req.customer(customer)
    closed = [] if req.home.status == "open" else ["pool_not_open"]
    if found.state == "claimed" and found.holder == req.who and not req.expired(found):
        return closed
    if (req.pool, req.who) not in req.model.members:
        return [*closed, "not_a_member", *blocking(req, found)]
    left = ["user_left"] if req.who in req.model.gone else []
    return [*closed, *left, *blocking(req, found), *limits(req)]


def limits(req: Request) -> list[str]:
    """Return the limits that block one more claim, without counting expired claims."""
    goes_on = [each for each in req.model.held_by(req.pool, req.who) if not req.expired(each)]
    limit, results = req.model.limit(req.pool, req.who), []
    if req.by_member().claims[req.home.day(req.now)] >= req.policy.get("daily_claim_limit", 10**9):
        results.append("daily_limit")
    if limit is not None and len(goes_on) >= limit:
        results.append("holding_limit")
    return results


def release(
    req: Request, ids: Sequence[str], atomic: bool = False, claim_id: str | None = None, reason: str = ""
) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        req.customer(customer)
        refuse_if(bool(req.policy.get("reason_required")) and not reason, "reason_required")
        found, _ = req.claim(customer, claim_id)
        return lambda: released(req, found, reason), False

    return refuse_all_if(apply_to_each(req, ids, plan, atomic), "reason_required")


def released(req: Request, found: Customer, reason: str) -> None:
    assert found.holder is not None
    if reason:
        found.notes[found.version + 1] = (req.who, found.holder, reason)
    req.model.give_back(found, "released" if found.holder == req.who else "reclaimed", req.now)


# A manager's verbs


def assign(req: Request, ids: Sequence[str], to: str, atomic: bool = False) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        refuse_if(req.home.status != "open", "pool_not_open")
        found = for_member(req, customer, to)
        for code in blocking(req, found):
            refuse_if(code in ("already_claimed", "suppressed", "set_aside"), code)
        refuse_if(req.model.hold_used_up(found, to, req.now), "cooldown")
        return lambda: req.model.begin(found, "assigned", to, req.now), True

    return apply_to_each(req, ids, plan, atomic, lambda count: granted_by_limits(req, to, count, False))


def transfer(req: Request, ids: Sequence[str], to: str, atomic: bool = False, claim_id: str | None = None) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool | str]:
        stored = req.model.customers.get((req.pool, customer))
        private = stored is not None and stored.state == "private"
        if req.home.status != "open" and not private:
            req.by_manager()
            raise Refusal("pool_not_open")
        found = for_member(req, customer, to)
        if private:
            refuse_if(claim_id is not None, "claim_changed")
            refuse_if(req.expired(found), "expired")
            return (nothing, False) if found.holder == to else (lambda: hand_private(req, found, to), to)
        req.claim(customer, claim_id)
        if found.holder == to:
            return nothing, False
        refuse_if(req.model.hold_used_up(found, to, req.now), "cooldown")
        return lambda: hand_over(req, found, to), True

    return apply_to_each(req, ids, plan, atomic, lambda count: granted_by_limits(req, to, count, False))


def hand_private(req: Request, found: Customer, to: str) -> None:
    assert found.holder is not None
    req.model.leave(found, req.now)
    found.holder = to
    start_own_clock(req, found)
    found.step("transferred", req.now)


def start_own_clock(req: Request, found: Customer) -> None:
    active = max(req.now, found.own.active if found.own is not None else 0)
    found.own = Own(active, req.home.private_deadline(active))


def for_member(req: Request, customer: str, to: str) -> Customer:
    """Return the customer. Require a manager, and a recipient who is a member and has not left."""
    req.by_manager()
    req.by_recipient(to)
    return req.customer(customer)


def hand_over(req: Request, found: Customer, to: str) -> None:
    assert found.holder is not None
    req.model.leave(found, req.now)
    found.claim = None
    req.model.begin(found, "transferred", to, req.now)


def convert(req: Request, ids: Sequence[str], to: str | None, atomic: bool = False) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool | str]:
        req.by_manager()
        if to is None:
            found, _ = req.claim(customer)
        else:
            found = for_member(req, customer, to)
            refuse_if(found.state == "private" and not req.expired(found), "already_claimed")
            refuse_if(found.suppressed is not None, "suppressed")
        holder = to or found.holder
        assert holder is not None
        return lambda: req.model.make_private(found, "converted", holder, req.now), holder

    return apply_to_each(req, ids, plan, atomic)


def restore(req: Request, customer: str) -> None:
    req.by_manager()
    found = req.customer(customer)
    if "set_aside" in blocking(req, found):
        if req.expired(found):
            req.model.expire(found, req.now)
        found.aside, found.returns, found.waiting = None, 0, req.now
        found.step("restored", req.now)


def suppress(req: Request, customer: str, force: bool) -> None:
    req.by_manager()
    found = req.customer(customer)
    refuse_if(not force and found.state != "available" and not req.expired(found), "already_claimed")
    if found.suppressed is not None:
        return
    if req.expired(found):
        req.model.expire(found, req.now)
    if found.holder is not None:
        taken_back(req, found)
    found.suppressed = req.now
    found.step("suppressed", req.now)


def taken_back(req: Request, found: Customer) -> None:
    req.model.leave(found, req.now)
    if found.state == "claimed":
        found.returns += 1
        req.model.activity[found.pool, "released"] += 1
    else:
        found.entered, found.won = req.now, None
    found.state, found.holder, found.claim, found.own, found.waiting = "available", None, None, None, req.now


def unsuppress(req: Request, customer: str) -> None:
    req.by_manager()
    if (req.pool, customer) in req.model.erased:
        req.model.suppressed.pop((req.pool, customer), None)
        return
    found = req.customer(customer)
    if found.suppressed is not None:
        found.suppressed, found.waiting = None, req.now
        found.step("unsuppressed", req.now)


def erase(req: Request, ids: Sequence[str], force: bool, atomic: bool = False, suppressed: bool = False) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        req.by_manager()
        found = req.customer(customer)
        free = found.state == "available" or found.expired(req.moment, req.now)
        refuse_if(not force and not free, "already_claimed")
        return lambda: erased(req, customer, suppressed), False

    return apply_to_each(req, ids, plan, atomic)


def erased(req: Request, customer: str, suppressed: bool) -> None:
    known = req.model.customers.pop((req.pool, customer))
    req.model.leave_emails(known)
    if suppressed:
        req.model.suppressed[req.pool, customer] = known.email
    req.model.erased.add((req.pool, customer))


# A holder's verbs


def extend(
    req: Request, ids: Sequence[str], by: int | None, atomic: bool = False, claim_id: str | None = None
) -> list[str]:
    length = req.policy.get("extension") if by is None else by

    def plan(customer: str) -> tuple[Do, bool]:
        found, claim = req.claim(customer, claim_id)
        refuse_if(claim.requested is not None, "win_requested")
        refuse_if((claim.pinned or 0) > req.moment, "pinned")
        if claim.ends is None:
            raise Refusal("extension_not_allowed")
        refuse_if(claim.extensions >= req.policy.get("max_extensions", 10**9), "extension_limit")
        longest = claim.hold + req.policy.get("max_hold", 10**15)
        refuse_if(claim.ends + (length or 0) > longest, "extension_limit")
        refuse_if(not req.manages and not req.policy.get("members_may_extend"), "extension_not_allowed")
        if length is None:
            raise Refusal("invalid_request")
        return lambda: extended(req, found, length), False

    return refuse_all_if(apply_to_each(req, ids, plan, atomic), "invalid_request")


def extended(req: Request, found: Customer, by: int) -> None:
    claim = found.claim
    assert claim is not None and claim.ends is not None
    claim.ends += by
    claim.extended += by
    claim.extensions += 1
    found.step("extended", req.now)


def follow_up(req: Request, ids: Sequence[str], note: str, single: bool = True, atomic: bool = False) -> list[str]:
    refuse_if(note != "called", "invalid_request")  # the only one here that is not blank

    def plan(customer: str) -> tuple[Do, bool]:
        found = req.customer(customer)
        refuse_if(found.state == "available", "not_claimed")
        req.theirs(found)
        refuse_if(req.expired(found), "expired")
        return lambda: followed_up(req, found, note, single), False

    return apply_to_each(req, ids, plan, atomic)


def followed_up(req: Request, found: Customer, note: str, single: bool) -> None:
    found.step("followed_up", req.now)
    found.notes[found.version] = (req.who, found.holder or "", note)
    if found.holder != req.who:
        return
    if found.claim is not None and found.followed_up is None:
        found.activity[found.pool, f"first {req.now - found.claim.began}"] += 1
    found.followed_up = req.now
    if found.claim is not None and single:
        restart(req, found.claim)
    if found.own is not None and single:
        restart_own(req, found.own)


def restart_own(req: Request, own: Own) -> None:
    own.active = max(req.now, own.active)
    fresh = req.home.private_deadline(own.active)
    if own.ends is not None and fresh is not None:
        own.ends = max(own.ends, fresh)


def restart(req: Request, claim: Claim) -> None:
    claim.active = req.moment
    fresh = req.home.deadline(claim.started, claim.active, claim.hold)
    restarts = req.policy.get("follow_up_restarts_clock") or "idle_ttl" in req.policy
    if restarts and claim.ends is not None and fresh is not None:
        claim.ends = max(claim.ends, fresh)
        claim.extended = min(claim.extended, claim.ends - fresh)


def win(req: Request, customer: str) -> None:
    found, claim = req.claim(customer)
    assert found.holder is not None
    mode = req.policy.get("win", "approval") if found.holder == req.who and not req.manages else "holder"
    refuse_if(mode == "manager", "not_manager")
    if mode == "holder":
        refuse_if(not req.model.private_room(req.pool, found.holder, req.now), "private_limit")
        req.model.make_private(found, "won", found.holder, req.now)
        return
    refuse_if(claim.requested is not None or claim.declined is not None, "win_requested")
    claim.requested, claim.review = req.now, req.moment + req.policy.get("win_review", 7 * DAY)
    found.step("win_requested", req.now)


def under_review(req: Request, customer: str) -> tuple[Customer, Claim]:
    req.by_manager()
    found = req.customer(customer)
    claim = found.claim
    if claim is None:
        raise Refusal("not_claimed")
    refuse_if(req.expired(found), "expired")
    refuse_if(claim.requested is None, "win_not_requested")
    return found, claim


def approve_win(req: Request, customer: str) -> None:
    found, _ = under_review(req, customer)
    assert found.holder is not None
    refuse_if(not req.model.private_room(req.pool, found.holder, req.now), "private_limit")
    req.model.make_private(found, "won", found.holder, req.now)


def decline_win(req: Request, customer: str, reason: str) -> None:
    found, claim = under_review(req, customer)
    refuse_if(not reason, "reason_required")
    claim.requested, claim.review, claim.declined = None, None, req.moment
    claim.ends = None if claim.ends is None else max(claim.ends, req.moment + DAY)
    found.step("win_declined", req.now)
    found.notes[found.version] = (req.who, found.holder or "", reason)


def deposit(req: Request, ids: Sequence[str], into: str | None, atomic: bool = False) -> list[str]:
    there = Request(req.model, req.who, into or req.pool, req.now)

    def plan(customer: str) -> tuple[Do, bool]:
        if there.pool != req.pool:
            req.by_manager()
        found = req.customer(customer)
        refuse_if(found.state == "claimed", "not_private")
        refuse_if(found.state == "available", "already_available")
        req.theirs(found)
        refuse_if(req.expired(found), "expired")
        refuse_if(there.home.status == "closed", "pool_not_open")
        if there.pool != req.pool:
            there.belongs()
            refuse_if((there.pool, customer) in req.model.erased, "suppressed")
            refuse_if((there.pool, customer) in req.model.customers, "duplicate_customer")
            refuse_if(not req.model.may_get(found.email), "suppressed")
        return lambda: put_back(req, found, there.pool), False

    return apply_to_each(req, ids, plan, atomic)


def put_back(req: Request, found: Customer, into: str) -> None:
    assert found.holder is not None
    found.left[found.holder] = found.entered = found.waiting = req.now
    if "max_hold" not in req.model.pools[into].policy:
        found.begun.clear()
    found.state, found.holder, found.own, found.won = "available", None, None, None
    del req.model.customers[found.pool, found.id]
    moved, found.pool = found.pool != into, into
    req.model.customers[into, found.id] = found
    if moved:
        req.model.take_email(found)
    found.step("deposited", req.now)


def pin(req: Request, ids: Sequence[str], until: int, atomic: bool = False) -> list[str]:
    refuse_if(until <= req.now, "invalid_request")
    return apply_to_each(req, ids, partial(plan_pin, req, until), atomic, partial(room_for_pins, req))


def plan_pin(req: Request, until: int, customer: str) -> tuple[Do, bool]:
    found, claim = req.claim(customer)
    own, policy = found.holder == req.who, req.policy
    refuse_if(own and "pin_limit" not in policy and not req.manages, "not_manager")
    refuse_if(until > claim.hold + policy.get("max_hold", 10**15), "pin_limit")
    refuse_if(until > req.now + policy.get("max_pin", 30 * DAY if own else 10**15), "pin_limit")
    new = (claim.pinned or 0) <= req.moment
    return lambda: pinned(req, found, until), own and new and "pin_limit" in policy


def pinned(req: Request, found: Customer, until: int) -> None:
    assert found.claim is not None
    found.claim.pinned = until
    found.step("pinned", req.now)


def room_for_pins(req: Request, wanted: int) -> tuple[int, str]:
    """Return how many claims the caller may pin, and the code for the others. Ended pins are removed first."""
    if pins_left(req) < wanted:
        end_pins(req)
    return max(min(pins_left(req), wanted), 0), "pin_limit"


def pins_left(req: Request) -> int:
    left: int = req.policy["pin_limit"] - req.model.pins(req.pool, req.who)
    return left


def end_pins(req: Request) -> None:
    """Remove the caller's ended pins; return their claims to the pool if these have expired."""
    for each in req.model.held_by(req.pool, req.who):
        over = each.claim is not None and each.claim.pinned is not None and each.claim.pinned <= req.moment
        if over and req.expired(each):
            req.model.expire(each, req.now)
        elif over:
            each_unpinned(req, each)


def unpin(req: Request, ids: Sequence[str], atomic: bool = False) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        found, claim = req.claim(customer)
        return (nothing if claim.pinned is None else lambda: each_unpinned(req, found)), False

    return apply_to_each(req, ids, plan, atomic)


def each_unpinned(req: Request, found: Customer) -> None:
    claim = found.claim
    assert claim is not None
    claim.pinned = None
    claim.ends = None if claim.ends is None else max(claim.ends, req.moment)
    found.step("unpinned", req.now)


def edit(
    req: Request, ids: Sequence[str], name: str | None, priority: int | None, city: str | None, atomic: bool = False
) -> list[str]:
    named = any(each.takes is not None for (pool, _), each in req.model.members.items() if pool == req.pool)

    def plan(customer: str) -> tuple[Do, bool]:
        found = req.customer(customer)
        req.theirs(found)
        refuse_if(found.holder == req.who and req.expired(found) and not req.manages, "expired")
        changed = (name or found.name, found.priority if priority is None else priority)
        moved = city not in (None, found.city)
        same = changed == (found.name, found.priority) and not moved
        refuse_if((changed[1] != found.priority or (moved and named)) and not req.manages, "not_manager")
        return (nothing if same else lambda: found.edit(*changed, req.now, city)), False

    return apply_to_each(req, ids, plan, atomic)
