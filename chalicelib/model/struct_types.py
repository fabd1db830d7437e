"""Preparation of msgspec's types before threads use them.

msgspec inspects a type when it is first decoded, and publishes a half-built description while it inspects the types of
the fields. A second thread that decodes the same type at that moment crashes the process. So each place that starts
threads calls `prepare_structs` first. It takes some 40 ms once, so a process that starts no threads does not call it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import msgspec


def prepare_structs() -> None:
    """Let msgspec inspect all types that are defined so far, in this thread."""
    for kind in _subclasses(msgspec.Struct):
        with suppress(TypeError, NameError):  # never decoded: some responses, and what has types of other modules
            msgspec.json.Decoder(kind)


def _subclasses(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
