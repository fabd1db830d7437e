"""Move the check of a pool to the present, in the transaction that may set a deadline sooner than the check.

Derived from the transition and nowhere else, like the counters, so that no verb can forget it.
"""

from __future__ import annotations

from chalicelib.domain import checks, rules
from chalicelib.domain.transitions import Actor, Transition, Write
from chalicelib.dynamodb import keys, pool_items
from chalicelib.dynamodb.operations import SetAttributes


def checks_moved(transition: Transition, actor: Actor) -> list[SetAttributes]:
    """Return the write that makes the next round of the schedule check the pool; none if its check is early enough.

    A customer that moves to another pool is available there, so its pool is always that of the actor.
    """
    if not isinstance(transition, Write):
        return []
    if not checks.comes_sooner(transition.before, transition.after, actor.policy, actor.now):
        return []
    now = pool_items.check_now(actor.tenant, actor.pool, actor.now)
    return [SetAttributes(keys.pool_key(actor.tenant, actor.pool), now, condition=rules.pk.exists())]
