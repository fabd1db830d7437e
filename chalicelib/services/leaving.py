"""Let a user leave the company: dispose of their customers in all pools of the tenant (rule 33).

The first transaction marks the user: no pool takes them as a member any more. Then their memberships are marked, and
from then on nothing gives them a customer. Then their customers move, pool by pool. The user's record stores how far
this is, and each write requires that it still belongs to the same request. So the work may be killed at any point, run
twice, get other answers or be cancelled. A request works until its time is up, and the schedule continues it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from chalicelib.domain import rendering, rules
from chalicelib.domain.claim_transitions import LeaveContext
from chalicelib.domain.rules import MALFORMED_RECORD, Rule
from chalicelib.domain.transitions import Tally
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.conditions import Attribute
from chalicelib.dynamodb.items import MALFORMED
from chalicelib.dynamodb.keys import DUE, INDEX_RANGE, Key
from chalicelib.dynamodb.pool_items import LEAVE_ATTRIBUTES
from chalicelib.dynamodb.table import MAX_ACTIONS, Action, Check, MalformedWrite, Page, Throttled, Update
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.identities import CALLER
from chalicelib.model.model import MARK, USER_LEFT
from chalicelib.model.pool_responses import LeaveProgress
from chalicelib.model.responses import Body, Schema
from chalicelib.model.text import IDENTIFIER
from chalicelib.model.users import Disposal, Leave, Person
from chalicelib.observability import exception_summary
from chalicelib.services.disposal import Moves, Refusals
from chalicelib.services.expiry import MIN_SECONDS_LEFT
from chalicelib.services.pools import Membership, memberships_of
from chalicelib.services.sweeper import SecondsLeft, request_time_left
from chalicelib.services.users import MAX_WRITES
from chalicelib.transactions.context import Backend, Caller, RequestContext
from chalicelib.transactions.idempotency import NO_KEY
from chalicelib.transactions.unit_of_work import Planner, PlanOutdated
from chalicelib.transactions.user_records import stored_user, user_unchanged, user_write

MAX_PASSES: Final = 5  # over the pools: an index is late, or a claim expires during a pass
MARKS: Final = MAX_ACTIONS - 1  # in one transaction, beside the user
log = logging.getLogger("customer-pool")


def leave(ctx: RequestContext, user: str, disposal: Disposal) -> Body:
    """Mark the user, and dispose of their customers as far as time allows. Return how far that is."""
    ctx.by_admin()
    _require_user(user)
    if 0 not in ctx.idempotency.answers:
        _begin(ctx, user, disposal)
    return ctx.finish(_progress(ctx, continue_leave(ctx, user, request_time_left())))


def progress(ctx: RequestContext, user: str) -> LeaveProgress:
    """Return how far the leave is. Raises Refused if the user has not left."""
    ctx.by_admin()
    _require_user(user)
    return _progress(ctx, stored_user(ctx.backend.table, ctx.caller.tenant, user))


def _require_user(user: str) -> None:
    if IDENTIFIER.fullmatch(user) is None or user == CALLER:
        raise Refused(Refusal("not_found"))


def _progress(ctx: RequestContext, person: Person) -> LeaveProgress:
    if person.leave is None:
        raise Refused(Refusal("not_found"))
    remaining = 0
    if person.leave.state != "done":
        own = memberships_of(ctx.backend.table, person.tenant, person.id)
        remaining = sum(_customers(each) or 0 for each in own)
    return rendering.leave_progress(person.id, person.leave, remaining)


def _customers(membership: Membership) -> int | None:
    """Return how many customers the member has. None if the record is malformed, which is logged."""
    try:
        member = membership.member
    except MALFORMED as error:
        log.error("malformed member of pool %s: %s", membership.pool_id, exception_summary(error))
        return None
    return member.held + member.private


def _begin(ctx: RequestContext, user: str, disposal: Disposal) -> None:
    """Mark the user. Raises Refused if the recipient has left."""
    tenant, heir = ctx.caller.tenant, disposal.to
    for _ in range(MAX_WRITES):
        known = stored_user(ctx.backend.table, tenant, user)
        after = known.leaving(disposal, ctx.backend.new_id(), ctx.caller.user, ctx.now)
        stays = [] if heir is None else [rules.user_stays(keys.user_key(tenant, heir))]
        writes: list[Action] = [user_write(known, after), *(Check(rule.key, rule.condition) for rule in stays)]
        try:
            ctx.commit(writes, [*stays, user_unchanged(known)], Schema(), position=0)
            return
        except Refused as refused:
            if refused.refusal.reason != "version_conflict":
                raise
    raise Throttled


def continue_leave(ctx: RequestContext, user: str, seconds_left: SecondsLeft) -> Person:
    """Continue the leave, or its return, until it is done or time is up. Return the user as stored then."""
    goes_on = True
    for _ in range(MAX_PASSES):
        person = stored_user(ctx.backend.table, ctx.caller.tenant, user)
        if person.leave is None or person.leave.state == "done" or not goes_on:
            return person
        goes_on = _Job.of(ctx, user, person.leave, seconds_left).run()
    return person


def continue_all(backend: Backend, users: Sequence[Key], now: int, seconds_left: SecondsLeft) -> int:
    """Continue the leaves of these users. Return how many failed: a malformed record does not stop the others."""
    failed = 0
    for key in users:
        ctx = RequestContext(backend, Caller(keys.tenant_from_pk(key.pk), "", admin=True), now)
        try:
            continue_leave(ctx, key.sk, seconds_left)
        except MALFORMED as error:
            log.error("malformed user %s: %s", key.sk, exception_summary(error))
            failed += 1
    return failed


class _Job(Struct, frozen=True):
    """The work on one leave in the state in which it was read. `ctx` is that of the admin who requested it."""

    ctx: RequestContext
    user: str
    leave: Leave
    seconds_left: SecondsLeft

    @classmethod
    def of(cls, ctx: RequestContext, user: str, known: Leave, seconds_left: SecondsLeft) -> _Job:
        by = Caller(ctx.caller.tenant, known.by, admin=True)
        marker = ctx.request_marker or ctx.backend.new_id()[-MARK:]
        return cls(RequestContext(ctx.backend, by, ctx.now, None, NO_KEY, marker), user, known, seconds_left)

    def run(self) -> bool:
        """Return whether the record has to be read again: the work is complete, or another request has replaced it."""
        own = memberships_of(self.ctx.backend.table, self.ctx.caller.tenant, self.user)
        try:
            if self.leave.state == "returning":
                self._unmark(own)
                return True
            if self.leave.state == "marking":
                self._mark(own)
                own = self._read_again(own)
                return replace(self, leave=replace(self.leave, state="moving"))._move_all(own)
            return self._move_all(own)
        except PlanOutdated:
            return True

    # Marks

    @property
    def _key(self) -> Key:
        return keys.user_key(self.ctx.caller.tenant, self.user)

    def _rule(self) -> Rule:
        return rules.leave_unchanged(self._key, self.leave.id, self.leave.state)

    def _advance(self, *changes: object) -> Update:
        return Update(self._key, list(changes), self._rule().condition)

    def _mark(self, own: Sequence[Membership]) -> None:
        mark = rules.left_at.set(self.leave.at)
        marks = [Update(self._member_key(each), [mark], rules.pk.exists()) for each in own if not _is_marked(each)]
        self._write_all(marks, self._advance(rules.leave_state.set("moving")))

    def _unmark(self, own: Sequence[Membership]) -> None:
        unmark = [rules.left_at.remove()]
        marked = [Update(self._member_key(each), unmark, rules.pk.exists()) for each in own if _is_marked(each)]
        forgotten = (*LEAVE_ATTRIBUTES.values(), DUE, INDEX_RANGE[DUE])
        self._write_all(marked, self._advance(*(Attribute(name).remove() for name in forgotten)))

    def _member_key(self, membership: Membership) -> Key:
        return keys.member_key(self.ctx.caller.tenant, membership.pool_id, self.user)

    def _write_all(self, marks: Sequence[Update], last: Update) -> None:
        """Write the changes of members, and in the last transaction that of the user."""
        same = Check(self._key, self._rule().condition)
        chunks = [marks[at : at + MARKS] for at in range(0, max(len(marks), 1), MARKS)]
        for chunk in chunks:
            self._write(chunk, last if chunk is chunks[-1] else same)

    def _write(self, marks: Sequence[Action], of_user: Action) -> None:
        """Write one transaction, without the members who have been removed. Raises PlanOutdated if replaced."""
        for _ in range(MAX_WRITES):
            failed_items = self.ctx.backend.table.write([of_user, *marks])
            if failed_items is None:
                return
            if of_user.key in failed_items:
                raise PlanOutdated
            marks = [each for each in marks if each.key not in failed_items]
        raise Throttled

    # Customers

    def _move_all(self, own: Sequence[Membership]) -> bool:
        """Move the customers of all pools. Return False if some are left for another run."""
        for _ in range(MAX_PASSES):
            own = [each for each in own if _customers(each) != 0]
            if not own:
                self._write([], self._done())
                return True
            before = [each.member_item for each in own]
            for each in own:
                self._move(each)
            own = self._read_again(own)
            if self._is_late() or [each.member_item for each in own] == before:
                return False
        return False

    def _done(self) -> Update:
        finished = [Attribute(name).remove() for name in (DUE, INDEX_RANGE[DUE])]
        return self._advance(rules.leave_state.set("done"), *finished)

    def _read_again(self, own: Sequence[Membership]) -> list[Membership]:
        """Return the memberships with the members as they are now, without those who have been removed."""
        found = self.ctx.backend.table.get([self._member_key(each) for each in own])
        now = ((each, found.get(self._member_key(each))) for each in own)
        return [replace(each, member_item=stored) for each, stored in now if stored is not None]

    def _is_late(self) -> bool:
        return self.seconds_left() < MIN_SECONDS_LEFT

    def _in_time(self, pages: Iterator[Page]) -> Iterator[Page]:
        while not self._is_late() and (page := next(pages, None)) is not None:
            yield page

    def _move(self, membership: Membership) -> None:
        """Move the customers of one pool. A fault of its records, or a change of it, does not stop the others."""
        if self._is_late():
            return
        try:
            moves = Moves(self.ctx, membership.pool, self.user, USER_LEFT)
            moves.return_expired()
            answers = self.leave
            self._dispose(moves, moves.claims(), moves.release(), answers.held == "transfer")
            moves.return_expired_private(_log_refused, self._leave_context("leave_moved"))
            self._dispose(moves, moves.private(), moves.deposit(), answers.private == "transfer")
        except PlanOutdated as error:
            log.warning("a leave from pool %s is left for later: %s", membership.pool_id, exception_summary(error))
        except (*MALFORMED, MalformedWrite) as error:
            log.error("malformed record in pool %s: %s", membership.pool_id, exception_summary(error))

    def _dispose(self, moves: Moves, pages: Iterator[Page], give_back: Planner, to_heir: bool) -> None:
        """Give the customers of the pages back, or to the recipient, and give back what the recipient cannot get."""
        in_time, moved = self._in_time(pages), self._leave_context("leave_moved")
        if not to_heir:
            moves.move_all(in_time, give_back, _log_refused, moved)
            return
        moves.move_all(in_time, moves.give(self.leave.to or ""), partial(self._fall_back, moves, give_back), moved)

    def _fall_back(self, moves: Moves, give_back: Planner, refusals: Refusals) -> None:
        sound = [each for each, refusal in refusals.items() if refusal.reason != MALFORMED_RECORD]
        leave = self._leave_context("leave_moved", "leave_not_transferred")
        _log_refused(refusals if not sound else moves.move(sound, give_back, leave))

    def _leave_context(self, *counters: str) -> LeaveContext:
        return LeaveContext(self._rule(), Tally(self._key, counters))


def _is_marked(membership: Membership) -> bool:
    return "left_at" in membership.member_item


def _log_refused(refusals: Refusals) -> None:
    for reason in sorted({refusal.reason for refusal in refusals.values()}):
        log.error("customers of a user who leaves cannot be moved: %s", reason)
