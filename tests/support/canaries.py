"""Personal data that no log may contain, and a capture of all logs that searches for it.

Tests about secrets use these strings. The capture runs in every test.
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
OUR_LOGGERS = ("customer-pool", "chalice")


class LogCapture(logging.Handler):
    """Collect all log records as they would be written, with the text of exceptions and all extras.

    Our own loggers are recorded at every level, other loggers from warnings on, as in production: the debug logging of
    botocore and pynamodb contains whole requests and is off.
    """

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.messages: list[str] = []
        self._last: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        again, self._last = record is self._last, record  # passed on to the root logger
        if not again and (record.name.partition(".")[0] in OUR_LOGGERS or record.levelno >= logging.WARNING):
            self.messages.append(f"{self.format(record)} {vars(record)}")

    def leaks(self) -> list[str]:
        return [text for text in self.messages if any(each in text.lower() for each in CANARIES)]


@contextmanager
def captured_logs() -> Iterator[LogCapture]:
    """Enable every level of our loggers; no record may contain a secret."""
    logs, loggers = LogCapture(), [logging.getLogger(), *map(logging.getLogger, OUR_LOGGERS)]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.addHandler(logs)
    for each in loggers[1:]:
        each.setLevel(logging.DEBUG)
    try:
        yield logs
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.removeHandler(logs)
            each.setLevel(level)
    assert logs.leaks() == []
