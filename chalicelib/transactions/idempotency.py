"""What an Idempotency-Key has done so far: its answers, kept in the transactions that they are about.

Only facts are kept: of each id the refusal, or what the customer was at that moment. Name, fields and whatever people
wrote are never in a record; `answering` reads them when an answer is given again.

A request with a key commits in parts, each with the answers of that part, put only if that part is not there yet. A
repetition meets the parts, takes their answers, and goes on after them; so a key has one effect, also after a crash.
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
from chalicelib.dynamodb.table import Put, Table
from chalicelib.model.errors import Refusal, Refused
from chalicelib.model.model import IDENTIFIER, Customer
from chalicelib.transactions.serializers import Facts

RETENTION_SECONDS: Final = 24 * 3600
# Refusals that come before the question who is asking.
OPEN_TO_ALL: Final = ("invalid_request", "policy_invalid", "batch_too_large", "duplicate_in_request", "pool_not_open")
WHOLE: Final = -1  # the position of an answer about the request as a whole


class Result(Struct, frozen=True):
    """What came of one id of a request: the facts of its customer at that moment, or the refusal. A customer that has
    left the table has neither. `body` is the answer of a request that is not about customers.

    `seen` is the customer as this very attempt has written or read it, and `managed` says that only a manager can have
    done this. Neither is kept.
    """

    id: str
    facts: Facts | None = None
    body: dict[str, Any] | None = None
    refusal: Refusal | None = None
    seen: Customer | None = None
    managed: bool = False

    def refused_as(self, reason: str) -> bool:
        return self.refusal is not None and self.refusal.reason == reason


class _Kept(Struct, omit_defaults=True):
    """A result as the record keeps it: `body` has the facts of a customer, or the answer about something else."""

    id: str
    body: dict[str, Any] | None = None
    refusal: Refusal | None = None


def encoded(answers: Mapping[int, Result]) -> bytes:
    """Those answers as a record keeps them. An id that is none is free text: it stands in the request, not here."""
    kept = [
        (
            position,
            _Kept(
                result.id if IDENTIFIER.fullmatch(result.id) else "",
                result.body if result.facts is None else msgspec.to_builtins(result.facts),
                result.refusal,
            ),
        )
        for position, result in answers.items()
    ]
    return zlib.compress(msgspec.json.encode(kept))


def decoded(content: bytes) -> dict[int, Result]:
    """The answers in a record. Those of the release before this one have the customers whole: only facts are taken."""
    kept = msgspec.json.decode(zlib.decompress(content), type=list[tuple[int, _Kept]])
    return {position: _result(each) for position, each in kept}


def _result(kept: _Kept) -> Result:
    body = kept.body
    if body is not None and "claim_id" in body:
        return Result(kept.id, msgspec.convert(body, Facts))
    if body is not None and "items" in body:  # of a claim-next, whose customers stand in the parts too
        body = None
    return Result(kept.id, body=body, refusal=kept.refusal)


def known_answers(idempotency: IdempotencyRecord | None) -> dict[int, Result]:
    """What earlier attempts with the same Idempotency-Key have answered: nothing, where there is no key."""
    return {} if idempotency is None else dict(idempotency.answers)


def named(result: Result, given: str) -> Result:
    """The result under the id that the request gives, where the record keeps none."""
    return result if result.id else replace(result, id=given)


def _says_nothing(position: int, result: Result, reason: str) -> bool:
    """An id that is none is not found, whoever asks; the record keeps it empty."""
    if result.refusal is None:
        return False
    if result.refused_as("not_found"):
        return position == WHOLE or not result.id
    return result.refusal.reason in (reason, *OPEN_TO_ALL)


class IdempotencyRecord:
    """The parts of one key. `fingerprint` tells whether a repetition has the same body.

    `met` says that an earlier attempt has left answers; `replayed`, that nothing was added to them.
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
    def key(self) -> Key:
        """Where the next part goes."""
        return self._key_of_part(self._part)

    @property
    def name(self) -> str:
        """Names this use of the key: one for all repetitions, and another after the key was forgotten. It is certain
        as soon as a part is written or met."""
        return blake2b(f"{self._key_of_part(0).pk} {self._ends}".encode(), digest_size=16).hexdigest()

    def recall(self, table: Table) -> None:
        """Takes over all that earlier attempts wrote, in one read. Raises Refused as `absorb` does."""
        for page in table.pages(self.key.pk):
            for stored in page.items:
                if stored["sk"] != serialize(self.key.sk) or deserialize(stored["ttl"]) <= self._seconds:
                    return
                self.absorb(stored)

    def part(self, answers: Mapping[int, Result]) -> Put:
        """The action that writes those answers as the next part; the engine may have kept one older than a day."""
        ttl = Attribute("ttl")
        unwritten = Attribute("pk").does_not_exist() | (ttl <= self._seconds)
        item = {
            "pk": serialize(self.key.pk), "sk": serialize(self.key.sk), "fingerprint": serialize(self._fingerprint),
            "answers": {"B": encoded(answers)}, "ttl": serialize(self._ends),
        }  # fmt: skip
        return Put(self.key, item, unwritten)

    def wrote(self, answers: Mapping[int, Result]) -> None:
        self.answers.update(answers)
        self._part += 1

    def absorb(self, stored: Item) -> None:
        """Takes over a part that an earlier attempt wrote. Raises Refused where that was about another body."""
        if deserialize(stored["fingerprint"]) != self._fingerprint:
            raise Refused(Refusal("idempotency_key_reused"))
        self.answers.update(decoded(stored["answers"]["B"]))
        self._ends = deserialize(stored["ttl"])
        self.replayed = self.met = True
        self._part += 1
        if (whole := self.answers.get(WHOLE)) is not None and whole.refusal is not None:
            raise Refused(whole.refusal)

    def says_nothing(self, reason: str) -> bool:
        """Whether an earlier attempt was refused for that reason, which is about the caller, or for what is wrong with
        the request: then its answer says nothing that the caller may not know."""
        whole = self.answers.get(WHOLE)
        told = self.answers if whole is None or whole.refusal is None else {WHOLE: whole}
        return all(_says_nothing(position, result, reason) for position, result in told.items())

    def close(self, table: Table, results: Mapping[int, Result]) -> dict[int, Result]:
        """The answers to give: those of earlier attempts where they exist, the rest written down now."""
        while missing := {position: result for position, result in results.items() if position not in self.answers}:
            self.replayed = False
            refusing = table.write([self.part(missing)])
            if refusing is None:
                self.wrote(missing)
            else:
                self.absorb(refusing[self.key])
        return {position: named(self.answers[position], result.id) for position, result in results.items()}
