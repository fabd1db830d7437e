"""What no log may hold: a customer's name, phone number and address, and tokens. And the ear that listens for it.

The tests that are about secrets use these very strings; the ear listens in every test.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

NAME = "Zhang Canary"
PHONE = "13810029999"
EMAIL = "canary@example.test"
FIELDS = {"phone": PHONE, "email": EMAIL}
JWT = "eyJ"  # as every token begins: {" in base64

CANARIES = ("canary", PHONE, JWT.lower())
OURS = ("customer-pool", "chalice")


class Ear(logging.Handler):
    """Collect everything that is logged, as it would be written: with the text of exceptions and all extras.

    Of our own loggers it records every level. Of other loggers it records what production writes, warnings and above:
    the debug logging of botocore and pynamodb contains whole requests and is off.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []
        self._last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        again, self._last = record is self._last, record  # passed on to the root logger
        if not again and (record.name.partition(".")[0] in OURS or record.levelno >= logging.WARNING):
            self.heard.append(f"{self.format(record)} {vars(record)}")

    def leaks(self) -> list[str]:
        return [text for text in self.heard if any(each in text.lower() for each in CANARIES)]


@contextmanager
def listening() -> Iterator[Ear]:
    """Enable every level of our loggers; no record may contain a secret."""
    ear, loggers = Ear(), [logging.getLogger(), *map(logging.getLogger, OURS)]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(ear)
    for each in loggers[1:]:
        each.setLevel(logging.DEBUG)
    try:
        yield ear
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(ear)
            each.setLevel(level)
    assert ear.leaks() == []
