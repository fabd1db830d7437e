"""Move the customers of one member of a pool: release or deposit them, or transfer them to another member (rule 33).

For a removal and for a leave. Nothing here decides for a customer: each one moves under the conditions of its own
transition. It works in a pool of any status.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import claim_transitions, transitions
from chalicelib.domain.claim_transitions import LeaveContext
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import NO_DEADLINE
from chalicelib.dynamodb.table import Page
from chalicelib.model.errors import Refusal
from chalicelib.model.model import Pool
from chalicelib.transactions.context import RequestContext
from chalicelib.transactions.expired_claims import (
    claims_of,
    private_of,
    return_expired_claims,
    return_expired_private,
)
from chalicelib.transactions.idempotency import NO_KEY
from chalicelib.transactions.unit_of_work import Planner

LARGEST_PAGE: Final = 100
GONE_MEANWHILE: Final = frozenset(
    ("not_claimed", "not_holder", "expired", "not_found", "not_private", "already_available")
)
Refusals: TypeAlias = Mapping[str, Refusal]  # by customer id, in the order of the page


class Moves(Struct, frozen=True):
    """The moves of one member's customers in one pool. `reason` is that of the release of a claim."""

    ctx: RequestContext
    pool: Pool
    user: str
    reason: str

    def give(self, to: str) -> Planner:
        """Return the plan of a transfer, of a claim or a private customer."""
        new_id = self.ctx.backend.new_id
        return partial(claim_transitions.transfer, self._actor, to=to, new_id=new_id, open_only=False)

    def release(self) -> Planner:
        return partial(transitions.release, self._actor, claim_id=None, reason=self.reason)

    def deposit(self) -> Planner:
        return partial(claim_transitions.deposit, self._actor, into=self._actor, open_only=False)

    @property
    def _actor(self) -> transitions.Actor:
        return replace(self.ctx.actor(self.pool), if_match=None)

    def claims(self) -> Iterator[Page]:
        """Yield pages of the claims of the member, by the index."""
        return claims_of(self.ctx.backend.table, self.pool, self.user, limit=LARGEST_PAGE)

    def private(self, *, until: int = NO_DEADLINE) -> Iterator[Page]:
        """Yield pages of the private customers of the member, by the index, with deadlines no later than `until`."""
        return private_of(self.ctx.backend.table, self.pool, self.user, until=until, limit=LARGEST_PAGE)

    def return_expired(self) -> bool:
        """Return the expired claims of the member to the pool. Return whether there were any."""
        backend = self.ctx.backend
        return return_expired_claims(backend.table, backend.new_id, self.pool, self.user, self.ctx.now)

    def return_expired_private(self, refused: Callable[[Refusals], None], leave: LeaveContext | None = None) -> None:
        """Return the expired private customers of the member. Outside an open pool, deposit them."""
        backend = self.ctx.backend
        return_expired_private(backend.table, backend.new_id, self.pool, self.user, self.ctx.now)
        if self.pool.status != "open":
            self.move_all(self.private(until=self.ctx.now), self.deposit(), refused, leave)

    def move_all(
        self,
        pages: Iterator[Page],
        plan: Planner,
        refused: Callable[[Refusals], None],
        leave: LeaveContext | None = None,
    ) -> None:
        """Move each customer of the pages that is still the member's. Call `refused` for a page with refusals."""
        for page in pages:
            refusals = self.move([keys.id_from_pk(key.pk) for key in page.keys], plan, leave)
            if refusals:
                refused(refusals)

    def move(self, ids: list[str], plan: Planner, leave: LeaveContext | None = None) -> dict[str, Refusal]:
        """Move these customers. Return the refusals, without those of customers that the member no longer has."""
        planner = partial(claim_transitions.from_holder, plan, self.user, leave=leave)
        uow = replace(self.ctx.taking_uow(self._actor, planner, managed=True), idempotency=NO_KEY)
        results = [result for _, result in sorted(uow.execute(ids).results.items())]
        refusals = {result.id: result.refusal for result in results if result.refusal is not None}
        return {each: refusal for each, refusal in refusals.items() if refusal.reason not in GONE_MEANWHILE}
