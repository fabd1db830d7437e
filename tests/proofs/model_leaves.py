"""Operations of the model on a user of the tenant: leaving the company, and taking that back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.proofs.model import Customer, Leave, Request, refuse_if
from tests.proofs.model_verbs import granted_by_limits, hand_over, hand_private, put_back


def leave(req: Request, user: str, held: str, private: str, to: str | None) -> Leave:
    """Dispose of all that the user has in all pools. Return the numbers of this leave."""
    refuse_if(to == user, "invalid_request")
    req.by_admin()
    refuse_if(to in req.model.gone, "user_left")
    counts = req.model.gone.setdefault(user, Leave())
    for pool in sorted(req.model.pools):
        if (pool, user) in req.model.members:
            there = Request(req.model, req.who, pool, req.now)
            _give_up_claims(there, user, to if held == "transfer" else None, counts)
            _give_up_private(there, user, to if private == "transfer" else None, counts)
    return counts


def come_back(req: Request, user: str) -> None:
    req.by_admin()
    req.model.gone.pop(user, None)


def _give_up_claims(req: Request, user: str, to: str | None, counts: Leave) -> None:
    def release(each: Customer) -> None:
        req.model.give_back(each, "released" if user == req.who else "reclaimed", req.now)

    req.model.return_expired(req.pool, user, req.now)
    holds = sorted(
        req.model.held_by(req.pool, user), key=lambda each: ((each.claim and each.claim.expires) or 10**15, each.id)
    )
    granted: Sequence[Customer] = []
    if to is not None and (req.pool, to) in req.model.members:
        fit = [each for each in holds if not req.model.hold_used_up(each, to, req.now)]
        granted = fit[: granted_by_limits(req, to, len(fit), daily=False)[0]] if fit else []
    _give(holds, granted, lambda each: hand_over(req, each, str(to)), release, counts, wanted=to is not None)


def _give_up_private(req: Request, user: str, to: str | None, counts: Leave) -> None:
    def deposit(each: Customer) -> None:
        put_back(req, each, req.pool)

    req.model.return_private(req.pool, user, req.now)
    for each in [each for each in req.model.owned_by(req.pool, user) if req.expired(each)]:
        deposit(each)
        counts.moved += 1
    owns = sorted(
        req.model.owned_by(req.pool, user), key=lambda each: ((each.own and each.own.ends) or 10**15, each.id)
    )
    granted: Sequence[Customer] = []
    if to is not None and (req.pool, to) in req.model.members:
        granted = owns[: req.model.private_room(req.pool, to, req.now, len(owns))] if owns else []
    _give(owns, granted, lambda each: hand_private(req, each, str(to)), deposit, counts, wanted=to is not None)


def _give(
    owned: Sequence[Customer], granted: Sequence[Customer], give: Callable[[Customer], None],
    give_back: Callable[[Customer], None], counts: Leave, wanted: bool,
) -> None:  # fmt: skip
    """Give what is granted to the recipient, and the rest back. Count what the recipient should have got."""
    for each in owned:
        if each in granted:
            give(each)
        else:
            give_back(each)
            counts.not_transferred += wanted
        counts.moved += 1
