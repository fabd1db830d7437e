"""Faulty stores, each with one mistake that a proof must detect."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec.structs import replace
from pynamodb.expressions.condition import And, Comparison, Condition, Or
from pynamodb.expressions.operand import Path

from chalicelib.dynamodb.conditions import all_of, evaluate
from chalicelib.dynamodb.table import Action, Check, FailedItems, Put, Table, Update


class ChecksFirst(Table):
    """Check the conditions first, then write without them."""

    def write(self, actions: Sequence[Action]) -> FailedItems | None:
        current = self.get([action.key for action in actions])
        refusing = {
            action.key: current.get(action.key, {})
            for action in actions
            if action.condition is not None and not evaluate(action.condition, current.get(action.key, {}))
        }
        if refusing:
            return refusing
        return super().write([replace(action, condition=None) for action in actions if not isinstance(action, Check)])


class WritesOneByOne(Table):
    """Write every action under its conditions, but each in its own transaction."""

    def write(self, actions: Sequence[Action]) -> FailedItems | None:
        for action in actions:
            refusing = super().write([action])
            if refusing is not None:
                return refusing
        return None


class _Without(Table):
    """Write without the conditions that `about` selects."""

    about: Callable[[Action, Condition], bool]

    def write(self, actions: Sequence[Action]) -> FailedItems | None:
        kept: list[Action] = []
        for action in actions:
            condition = self._remaining(action, action.condition)
            if condition is not None or not isinstance(action, Check):
                kept.append(replace(action, condition=condition))
        return super().write(kept)

    def _remaining(self, action: Action, condition: Condition | None) -> Condition | None:
        if isinstance(condition, And):
            parts = [self._remaining(action, part) for part in condition.values]
            rest = [part for part in parts if part is not None]
            return all_of(rest) if rest else None
        return None if condition is None or type(self).about(action, condition) else condition


def _names(condition: Condition) -> set[str]:
    if isinstance(condition, (And, Or)):
        return set().union(*(_names(part) for part in condition.values))
    return {operand.path[0] for operand in condition.values if isinstance(operand, Path)}


class Unbound(_Without):
    """Write customers without the condition that they are unchanged."""

    about = staticmethod(
        lambda action, condition: isinstance(condition, Comparison) and _names(condition) == {"version"}
    )


class Unlimited(_Without):
    """Update member counters without the condition on limits."""

    about = staticmethod(lambda action, condition: bool(_names(condition) & {"held", "room", "did", "pins"}))


class Shared(_Without):
    """Write the value of a unique field without the condition that no other customer has it."""

    about = staticmethod(lambda action, condition: isinstance(action, Put) and "#D#unique#" in action.key.pk)


class Unsuppressed(_Without):
    """Write a contact without the condition that no suppressed customer has it."""

    about = staticmethod(lambda action, condition: isinstance(action, Check) and "#SUPPRESSED#" in action.key.pk)


class Forgetful(_Without):
    """Store the results of an Idempotency-Key without the condition that there are none yet."""

    about = staticmethod(lambda action, condition: isinstance(action, Put) and "#K#" in action.key.pk)


class Unguarded(_Without):
    """Write a unique key without the condition that no other customer has it."""

    about = staticmethod(lambda action, condition: isinstance(action, Update) and "#D#" in action.key.pk)
