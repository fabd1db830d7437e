"""Store the results of an Idempotency-Key, in the same transactions as their changes.

Only facts are stored: for each id the refusal, or the state of the customer at that time. A record never holds names,
fields or other text of people; they are read again when a result is replayed.

A request with a key commits in parts. Each part holds its results and is put only if it does not exist yet. A
repetition reads the stored parts and continues after them, so a key has one effect, even after a crash.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from chalicelib.dynamodb.conditions import Attribute
from chalicelib.dynamodb.items import Item, deserialize, serialize
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import FailedItems, Put, Table, Throttled
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import Customer
from chalicelib.model.responses import Body, Facts
from chalicelib.model.text import IDENTIFIER

RETENTION_SECONDS: Final = 24 * 3600
# Refusals that do not depend on the caller.
OPEN_TO_ALL: Final = ("invalid_request", "policy_invalid", "batch_too_large", "duplicate_in_request", "pool_not_open")
MAX_ROUNDS: Final = 200  # far more attempts than there are at once; only a defect uses up all
WHOLE: Final = -1  # the position of an answer about the request as a whole
NEXT_CURSOR: Final = "next_cursor"  # in the stored answer of a request for customers that may go on


class Result(Struct, frozen=True):
    """The result of one id: the facts of its customer, or the refusal. A deleted customer has neither.

    `body` is the answer of a request that is not about customers. `seen` is the customer that this attempt wrote or
    read, and `managed` is True if only a manager can have done this. Neither is stored.
    """

    id: str
    facts: Facts | None = None
    body: Body | None = None
    refusal: Refusal | None = None
    seen: Customer | None = None
    managed: bool = False

    def refused_as(self, reason: str) -> bool:
        return self.refusal is not None and self.refusal.reason == reason


class _Kept(Struct, omit_defaults=True):
    """A stored result."""

    id: str
    facts: Facts | None = None
    body: dict[str, Any] | None = None
    refusal: Refusal | None = None


def encoded(answers: Mapping[int, Result]) -> bytes:
    """Encode results for storage. An invalid id is free text, so it is not stored; the request has it."""
    kept = [(position, _kept(result)) for position, result in answers.items()]
    return zlib.compress(msgspec.json.encode(kept))


def _kept(result: Result) -> _Kept:
    known_id = result.id if IDENTIFIER.fullmatch(result.id) else ""
    return _Kept(known_id, result.facts, msgspec.to_builtins(result.body), result.refusal)


def decoded(content: bytes) -> dict[int, Result]:
    kept = msgspec.json.decode(zlib.decompress(content), type=list[tuple[int, _Kept]])
    return {position: Result(each.id, each.facts, each.body, each.refusal) for position, each in kept}


def named(result: Result, given: str) -> Result:
    """Return the result with the id of the request, if the record stores none."""
    return result if result.id else replace(result, id=given)


def _discloses_nothing(position: int, result: Result, reason: str) -> bool:
    """An invalid id is not found for any caller; the record stores it as empty."""
    if result.refusal is None:
        return False
    if result.refused_as("not_found"):
        return position == WHOLE or not result.id
    return result.refusal.reason in (reason, *OPEN_TO_ALL)


class IdempotencyRecord:
    """The parts of one key. The `fingerprint` detects a repetition with another body.

    `met` is True if an earlier attempt has stored results; `replayed` if this attempt has added none.
    """

    def __init__(
        self, key_of_part: Callable[[int], Key], fingerprint: str, now: int, kept_seconds: int = RETENTION_SECONDS
    ) -> None:
        self.answers: dict[int, Result] = {}
        self.replayed = False
        self.met = False
        self._key_of_part, self._fingerprint, self._seconds = key_of_part, fingerprint, now // 1000
        self._part = 0
        self._ends = self._seconds + kept_seconds  # of all its parts together

    @property
    def reserved_keys(self) -> list[Key]:
        """The key of the next part: every transaction of the request writes it."""
        return [self._next_key]

    @property
    def _next_key(self) -> Key:
        return self._key_of_part(self._part)

    @property
    def name(self) -> str:
        """The name of this use of the key: the same for all repetitions, and a new one after the key has expired.

        It is final once a part is written or read.
        """
        return blake2b(f"{self._key_of_part(0).pk} {self._ends}".encode(), digest_size=16).hexdigest()

    @property
    def is_finished(self) -> bool:
        """Whether an attempt has stored an answer about the request as a whole."""
        return WHOLE in self.answers

    def load(self, table: Table) -> None:
        """Load the parts of earlier attempts, in one read. Raises Refused if an attempt had another body."""
        for page in table.pages(self._next_key.pk):
            for stored in page.items:
                if stored["sk"] != serialize(self._next_key.sk) or deserialize(stored["ttl"]) <= self._seconds:
                    return
                self._add_stored(stored)

    def parts(self, answers: Mapping[int, Result]) -> list[Put]:
        """Return the action that writes the next part. DynamoDB may not have deleted an expired one yet."""
        key, ttl = self._next_key, Attribute("ttl")
        unwritten = Attribute("pk").does_not_exist() | (ttl <= self._seconds)
        item = {
            "pk": serialize(key.pk), "sk": serialize(key.sk), "fingerprint": serialize(self._fingerprint),
            "answers": {"B": encoded(answers)}, "ttl": serialize(self._ends),
        }  # fmt: skip
        return [Put(key, item, unwritten)]

    def committed(self, answers: Mapping[int, Result]) -> None:
        """Count the part with these answers as written."""
        self.answers.update(answers)
        self._part += 1

    def merge_stored(self, failed_items: FailedItems) -> bool:
        """Return whether the next part is among the failed items: then another attempt has stored it. Add it.

        Raises Refused if that attempt had another body.
        """
        stored = failed_items.get(self._next_key)
        if stored is not None:
            self._add_stored(stored)
        return stored is not None

    def _add_stored(self, stored: Item) -> None:
        if deserialize(stored["fingerprint"]) != self._fingerprint:
            raise Refused(Refusal("idempotency_key_reused"))
        self.answers.update(decoded(stored["answers"]["B"]))
        self._ends = deserialize(stored["ttl"])
        self.replayed = self.met = True
        self._part += 1
        if (whole := self.answers.get(WHOLE)) is not None and whole.refusal is not None:
            raise Refused(whole.refusal)

    def discloses_nothing(self, reason: str) -> bool:
        """Return whether the stored results are only refusals for this reason or for errors in the request.

        Then a replay discloses nothing that the caller may not know.
        """
        whole = self.answers.get(WHOLE)
        results = self.answers if whole is None or whole.refusal is None else {WHOLE: whole}
        return all(_discloses_nothing(position, result, reason) for position, result in results.items())

    def close(self, table: Table, results: Mapping[int, Result]) -> dict[int, Result]:
        """Store the missing results. Return all, with those of earlier attempts first.

        Raises Throttled after MAX_ROUNDS: each round that fails has found a part of another attempt.
        """
        for _ in range(MAX_ROUNDS):
            missing = {position: result for position, result in results.items() if position not in self.answers}
            if not missing:
                return {position: named(self.answers[position], result.id) for position, result in results.items()}
            self.replayed = False
            failed_items = table.write(self.parts(missing))
            if failed_items is None:
                self.committed(missing)
            else:
                self.merge_stored(failed_items)
        raise Throttled


class NoIdempotencyKey(IdempotencyRecord):
    """The record of a request without a key: it stores nothing and knows no earlier attempt."""

    def __init__(self) -> None:
        self.answers, self.replayed, self.met = {}, False, False

    @property
    def reserved_keys(self) -> list[Key]:
        return []

    @property
    def name(self) -> str:
        return ""

    def load(self, table: Table) -> None:
        pass

    def parts(self, answers: Mapping[int, Result]) -> list[Put]:
        return []

    def committed(self, answers: Mapping[int, Result]) -> None:
        pass

    def merge_stored(self, failed_items: FailedItems) -> bool:
        return False

    def close(self, table: Table, results: Mapping[int, Result]) -> dict[int, Result]:
        return dict(results)


NO_KEY: Final = NoIdempotencyKey()
