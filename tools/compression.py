"""Compress responses like API Gateway: gzip, for clients that accept it, from a minimum size.

The deployed gateway is configured with the same size: `MinimumCompressionSize` in infra/template.yaml. This module
opens no sockets.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from typing import Final

MINIMUM_BYTES: Final = 1024

_QUALITY = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def accepts_gzip(accepted: str | None) -> bool:
    """Return whether this Accept-Encoding header allows gzip and does not prefer the plain body."""
    weights: dict[str, float] = {}
    for part in (accepted or "").lower().split(","):
        name, _, parameter = (text.strip() for text in part.partition(";"))
        quality = _QUALITY.fullmatch(parameter or "q=1")
        weights[name] = float(quality[1]) if quality else 0.0
    gzipped = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzipped > 0 and gzipped >= weights.get("identity", 0.0)


def compressed(headers: Mapping[str, str], body: bytes, accepted: str | None) -> tuple[dict[str, str], bytes]:
    """Return headers and body to send. A body that is short or already encoded stays unchanged."""
    if len(body) < MINIMUM_BYTES or any(name.lower() == "content-encoding" for name in headers):
        return dict(headers), body
    varying = {**headers, "Vary": ", ".join([*_varies(headers), "Accept-Encoding"])}
    if not accepts_gzip(accepted):
        return varying, body
    return varying | {"Content-Encoding": "gzip"}, gzip.compress(body, compresslevel=6, mtime=0)


def _varies(headers: Mapping[str, str]) -> list[str]:
    return [value for name, value in headers.items() if name == "Vary"]
