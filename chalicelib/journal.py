"""What an Idempotency-Key has done so far: its answers, kept in the transactions that they are about.

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

from chalicelib.conditions import Attribute
from chalicelib.layout import Item, Key, plain, value
from chalicelib.refusals import Refusal, Refused
from chalicelib.table import Put, Table

KEPT_SECONDS: Final = 24 * 3600
WHOLE: Final = -1  # the position of an answer about the request as a whole


class Result(Struct, frozen=True, omit_defaults=True):
    """What came of one id of a request: the body to show, or the refusal."""

    id: str
    body: dict[str, Any] | None = None
    refusal: Refusal | None = None

    def refused_as(self, reason: str) -> bool:
        return self.refusal is not None and self.refusal.reason == reason


def known_answers(journal: Journal | None) -> dict[int, Result]:
    """What earlier attempts with the same Idempotency-Key have answered: nothing, where there is no key."""
    return {} if journal is None else dict(journal.answers)


class Journal:
    """The parts of one key. `fingerprint` tells whether a repetition has the same body."""

    def __init__(
        self, key_of_part: Callable[[int], Key], fingerprint: str, now: int, kept_seconds: int = KEPT_SECONDS
    ) -> None:
        self.answers: dict[int, Result] = {}
        self.replayed = False
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
                if stored["sk"] != value(self.key.sk) or plain(stored["ttl"]) <= self._seconds:
                    return
                self.absorb(stored)

    def part(self, answers: Mapping[int, Result]) -> Put:
        """The action that writes those answers as the next part; the engine may have kept one older than a day."""
        ttl = Attribute("ttl")
        unwritten = Attribute("pk").does_not_exist() | (ttl <= self._seconds)
        content = zlib.compress(msgspec.json.encode(list(answers.items())))
        item = {
            "pk": value(self.key.pk), "sk": value(self.key.sk), "fingerprint": value(self._fingerprint),
            "answers": {"B": content}, "ttl": value(self._ends),
        }  # fmt: skip
        return Put(self.key, item, unwritten)

    def wrote(self, answers: Mapping[int, Result]) -> None:
        self.answers.update(answers)
        self._part += 1

    def absorb(self, stored: Item) -> None:
        """Takes over a part that an earlier attempt wrote. Raises Refused where that was about another body."""
        if plain(stored["fingerprint"]) != self._fingerprint:
            raise Refused(Refusal("idempotency_key_reused"))
        written = msgspec.json.decode(zlib.decompress(stored["answers"]["B"]), type=list[tuple[int, Result]])
        self.answers.update(written)
        self._ends = plain(stored["ttl"])
        self.replayed = True
        self._part += 1
        if (whole := self.answers.get(WHOLE)) is not None and whole.refusal is not None:
            raise Refused(whole.refusal)

    def close(self, table: Table, results: Mapping[int, Result]) -> dict[int, Result]:
        """The answers to give: those of earlier attempts where they exist, the rest written down now."""
        while missing := {position: result for position, result in results.items() if position not in self.answers}:
            self.replayed = False
            refusing = table.write([self.part(missing)])
            if refusing is None:
                self.wrote(missing)
            else:
                self.absorb(refusing[self.key])
        return {position: self.answers[position] for position in results}
