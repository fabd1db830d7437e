"""What each verb does in the model, to one customer or to several. Each raises No with the code of the refusal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.proofs.model import Ask, Claim, Customer, Do, No, refuse_if

IMPOSSIBLE = ("no id",)  # what no customer can be called
Plan = Callable[[str], tuple[Do, bool]]  # what to do with a customer, and whether it uses up a limit


def nothing() -> None:
    """It is so already."""


def settle(
    ask: Ask, ids: Sequence[str], plan: Plan, atomic: bool = False, recipient: str = "", daily: bool = False
) -> list[str]:
    """A word for each id, in order. The first of those who take get what is left of the taker's limits."""
    told, todo, takes = dict[int, str](), dict[int, Do](), list[int]()
    for at, each in enumerate(ids):
        try:
            refuse_if(each in ids[:at], "duplicate_in_request")
            refuse_if(each in IMPOSSIBLE, "not_found")  # whoever asks
            todo[at], uses = plan(each)
            takes += [at] if uses else []
        except No as no:
            told[at] = no.code
    if takes:
        granted, code = ration(ask, recipient, len(takes), daily)
        told |= dict.fromkeys(takes[granted:], code)
    if not (atomic and told):
        for at, do in todo.items():
            if at not in told:
                do()
    return [told.get(at, "ok") for at in range(len(ids))]


def ration(ask: Ask, recipient: str, wanted: int, daily: bool) -> tuple[int, str]:
    """Return how many of those they may take, and the refusal of the others. Expired claims are returned first."""
    model, home = ask.model, ask.home
    limit = model.limit(ask.pool, recipient)
    if limit is not None and limit - len(model.held_by(ask.pool, recipient)) < wanted:
        model.return_expired(ask.pool, recipient, ask.now)
    room = wanted if limit is None else max(limit - len(model.held_by(ask.pool, recipient)), 0)
    today = wanted
    if daily and "daily_claim_limit" in ask.policy:
        claimed = model.members[ask.pool, recipient].claims[home.day(ask.now)]
        today = max(ask.policy["daily_claim_limit"] - claimed, 0)
    granted = min(room, today, wanted)
    return granted, "daily_limit" if today <= granted else "holding_limit"


def about_all(told: list[str], code: str) -> list[str]:
    """Refused as a whole, if one is refused with that."""
    refuse_if(code in told, code)
    return told


def one(told: list[str]) -> None:
    refuse_if(told[0] != "ok", told[0])


# Claims


def blocking(ask: Ask, found: Customer) -> list[str]:
    """Every rule about the customer that keeps them from claiming it."""
    policy, told = ask.policy, []
    expired = found.expired(ask.moment)
    if found.state == "private" or (found.state == "claimed" and not expired):
        told.append("already_claimed")
    once_more = expired and found.returns >= policy.get("max_returns", 10**9) - 1
    if found.aside is not None or once_more:
        told.append("set_aside")
    if ask.now - found.entered < policy.get("embargo", 0):
        told.append("embargoed")
    if found.holder == ask.who and found.claim is not None and found.claim.expires is not None:
        told += ["cooldown"] if ask.now - found.claim.expires < policy.get("cooldown", -(10**15)) else []
    elif ask.now - found.left.get(ask.who, -(10**15)) < policy.get("cooldown", 0):
        told.append("cooldown")
    return told


def plan_claim(ask: Ask, customer: str) -> tuple[Do, bool]:
    refuse_if(ask.home.status != "open", "pool_not_open")
    ask.by_member()
    found = ask.customer(customer)
    if found.state == "claimed" and found.holder == ask.who and not found.expired(ask.moment):
        return nothing, False
    for code in blocking(ask, found):
        raise No(code)
    return lambda: take(ask, found), True


def take(ask: Ask, found: Customer) -> None:
    ask.model.begin(found, "claimed", ask.who, ask.now)
    ask.by_member().claims[ask.home.day(ask.now)] += 1


def claim(ask: Ask, ids: Sequence[str], atomic: bool = False) -> list[str]:
    return settle(ask, ids, lambda each: plan_claim(ask, each), atomic, ask.who, daily=True)


def eligibility(ask: Ask, customer: str) -> list[str]:
    found = ask.customer(customer)
    closed = [] if ask.home.status == "open" else ["pool_not_open"]
    if found.state == "claimed" and found.holder == ask.who and not found.expired(ask.moment):
        return closed
    if (ask.pool, ask.who) not in ask.model.members:
        return [*closed, "not_a_member", *blocking(ask, found)]
    return [*closed, *blocking(ask, found), *limits(ask)]


def limits(ask: Ask) -> list[str]:
    """Return the limits that block one more claim, without counting expired claims."""
    goes_on = [each for each in ask.model.held_by(ask.pool, ask.who) if not each.expired(ask.moment)]
    limit, told = ask.model.limit(ask.pool, ask.who), []
    if ask.by_member().claims[ask.home.day(ask.now)] >= ask.policy.get("daily_claim_limit", 10**9):
        told.append("daily_limit")
    if limit is not None and len(goes_on) >= limit:
        told.append("holding_limit")
    return told


def release(
    ask: Ask, ids: Sequence[str], atomic: bool = False, claim_id: str | None = None, reason: str = ""
) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        ask.customer(customer)
        refuse_if(bool(ask.policy.get("reason_required")) and not reason, "reason_required")
        found, _ = ask.claim(customer, claim_id)
        return lambda: released(ask, found, reason), False

    return about_all(settle(ask, ids, plan, atomic), "reason_required")


def released(ask: Ask, found: Customer, reason: str) -> None:
    assert found.holder is not None
    if reason:
        found.notes[found.version + 1] = (ask.who, found.holder, reason)
    ask.model.give_back(found, "released" if found.holder == ask.who else "reclaimed", ask.now)


# A manager's verbs


def assign(ask: Ask, ids: Sequence[str], to: str, atomic: bool = False) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        refuse_if(ask.home.status != "open", "pool_not_open")
        found = for_member(ask, customer, to)
        for code in blocking(ask, found):
            refuse_if(code in ("already_claimed", "set_aside"), code)
        return lambda: ask.model.begin(found, "assigned", to, ask.now), True

    return settle(ask, ids, plan, atomic, to)


def transfer(ask: Ask, ids: Sequence[str], to: str, atomic: bool = False, claim_id: str | None = None) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        refuse_if(ask.home.status != "open", "pool_not_open")
        found = for_member(ask, customer, to)
        ask.claim(customer, claim_id)
        return (nothing, False) if found.holder == to else (lambda: hand_over(ask, found, to), True)

    return settle(ask, ids, plan, atomic, to)


def for_member(ask: Ask, customer: str, to: str) -> Customer:
    """A manager does something for the good of a member."""
    ask.by_manager()
    ask.by_member(to)
    return ask.customer(customer)


def hand_over(ask: Ask, found: Customer, to: str) -> None:
    assert found.holder is not None
    found.left[found.holder] = ask.now
    found.claim = None
    ask.model.begin(found, "transferred", to, ask.now)


def convert(ask: Ask, ids: Sequence[str], to: str | None, atomic: bool = False) -> list[str]:
    def plan(customer: str) -> tuple[Do, bool]:
        ask.by_manager()
        if to is None:
            found, _ = ask.claim(customer)
        else:
            found = for_member(ask, customer, to)
            refuse_if(found.state == "private", "already_claimed")
        holder = to or found.holder
        assert holder is not None
        return lambda: ask.model.make_private(found, "converted", holder, ask.now), False

    return settle(ask, ids, plan, atomic)


def restore(ask: Ask, customer: str) -> None:
    ask.by_manager()
    found = ask.customer(customer)
    if "set_aside" in blocking(ask, found):
        if found.expired(ask.moment):
            ask.model.expire(found, ask.now)
        found.aside, found.returns, found.waiting = None, 0, ask.now
        found.step("restored", ask.now)


# A holder's verbs


def extend(
    ask: Ask, ids: Sequence[str], by: int | None, atomic: bool = False, claim_id: str | None = None
) -> list[str]:
    length = ask.policy.get("extension") if by is None else by

    def plan(customer: str) -> tuple[Do, bool]:
        found, claim = ask.claim(customer, claim_id)
        refuse_if((claim.pinned or 0) > ask.moment, "pinned")
        if claim.ends is None:
            raise No("extension_not_allowed")
        refuse_if(claim.extensions >= ask.policy.get("max_extensions", 10**9), "extension_limit")
        longest = claim.started + ask.policy.get("max_hold", 10**15)
        refuse_if(claim.ends + (length or 0) > longest, "extension_limit")
        refuse_if(not ask.manages and not ask.policy.get("members_may_extend"), "extension_not_allowed")
        if length is None:
            raise No("invalid_request")
        return lambda: extended(ask, found, length), False

    return about_all(settle(ask, ids, plan, atomic), "invalid_request")


def extended(ask: Ask, found: Customer, by: int) -> None:
    claim = found.claim
    assert claim is not None and claim.ends is not None
    claim.ends += by
    claim.extended += by
    claim.extensions += 1
    found.step("extended", ask.now)


def follow_up(ask: Ask, customer: str, note: str) -> None:
    refuse_if(note != "called", "invalid_request")  # the only one here that is not blank
    found = ask.customer(customer)
    refuse_if(found.state == "available", "not_claimed")
    ask.theirs(found)
    refuse_if(found.expired(ask.moment), "expired")
    found.step("followed_up", ask.now)
    found.notes[found.version] = (ask.who, found.holder or "", note)
    if found.holder != ask.who:
        return
    found.followed_up = ask.now
    if found.claim is not None:
        restart(ask, found.claim)


def restart(ask: Ask, claim: Claim) -> None:
    claim.active = ask.moment
    fresh = ask.home.deadline(claim.started, claim.active)
    restarts = ask.policy.get("follow_up_restarts_clock") or "idle_ttl" in ask.policy
    if restarts and claim.ends is not None and fresh is not None:
        claim.ends = max(claim.ends, fresh)
        claim.extended = min(claim.extended, claim.ends - fresh)


def win(ask: Ask, customer: str) -> None:
    found, _ = ask.claim(customer)
    assert found.holder is not None
    ask.model.make_private(found, "won", found.holder, ask.now)


def deposit(ask: Ask, ids: Sequence[str], into: str | None, atomic: bool = False) -> list[str]:
    there = Ask(ask.model, ask.who, into or ask.pool, ask.now)

    def plan(customer: str) -> tuple[Do, bool]:
        if there.pool != ask.pool:
            ask.by_manager()
        found = ask.customer(customer)
        refuse_if(found.state == "claimed", "not_private")
        refuse_if(found.state == "available", "already_available")
        ask.theirs(found)
        refuse_if(there.home.status == "closed", "pool_not_open")
        if there.pool != ask.pool:
            there.belongs()
            refuse_if((there.pool, customer) in ask.model.customers, "duplicate_customer")
        return lambda: put_back(ask, found, there.pool), False

    return settle(ask, ids, plan, atomic)


def put_back(ask: Ask, found: Customer, into: str) -> None:
    assert found.holder is not None
    found.left[found.holder] = found.entered = found.waiting = ask.now
    found.state, found.holder, found.won = "available", None, None
    del ask.model.customers[found.pool, found.id]
    found.pool = into
    ask.model.customers[into, found.id] = found
    found.step("deposited", ask.now)


def pin(ask: Ask, customer: str, until: int) -> None:
    refuse_if(until <= ask.now, "invalid_request")
    try:
        pinned(ask, customer, until)
    except No as no:
        if no.code != "pin_limit":
            raise
        end_pins(ask, customer)
        pinned(ask, customer, until)


def pinned(ask: Ask, customer: str, until: int) -> None:
    found, claim = ask.claim(customer)
    if (claim.pinned or 0) <= ask.moment:
        pins = sum(each.claim.pinned is not None for each in pinnable(ask, found))
        refuse_if(pins >= ask.policy.get("pin_limit", 10**9), "pin_limit")
    refuse_if(until > ask.now + ask.policy.get("max_pin", 10**15), "pin_limit")
    claim.pinned = until
    found.step("pinned", ask.now)


def pinnable(ask: Ask, found: Customer) -> list[Customer]:
    return ask.model.held_by(ask.pool, found.holder or "")


def end_pins(ask: Ask, customer: str) -> None:
    """Those of the holder that have ended of themselves make room, and their claims end with them where they have."""
    for each in pinnable(ask, ask.model.customers[ask.pool, customer]):
        over = each.claim is not None and each.claim.pinned is not None and each.claim.pinned <= ask.moment
        if over and each.expired(ask.moment):
            ask.model.expire(each, ask.now)
        elif over:
            each_unpinned(ask, each)


def unpin(ask: Ask, customer: str) -> None:
    found, claim = ask.claim(customer)
    if claim.pinned is not None:
        each_unpinned(ask, found)


def each_unpinned(ask: Ask, found: Customer) -> None:
    claim = found.claim
    assert claim is not None
    claim.pinned = None
    claim.ends = None if claim.ends is None else max(claim.ends, ask.moment)
    found.step("unpinned", ask.now)


def edit(ask: Ask, customer: str, name: str, priority: int | None) -> None:
    found = ask.customer(customer)
    ask.theirs(found)
    refuse_if(found.holder == ask.who and found.expired(ask.moment) and not ask.manages, "expired")
    said = (name, found.priority if priority is None else priority)
    if said != (found.name, found.priority):
        found.name, found.priority = said
        found.step("updated", ask.now)
