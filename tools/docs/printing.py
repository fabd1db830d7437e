"""Responses as readable JSON: filled lines, and `…` for omitted parts. Contains no routes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

WIDTH: Final = 110
REST: Final = "…"  # as a member's name: others were omitted

CUSTOMER: Final = ("id", "state", "holder", "claim_id", "expires_at", "old_expires_at", "version")
PROBLEM: Final = ("code", "detail", "retry_at", "limit", "used", "errors", "results", "summary")


class Beginning(str):
    """The shown beginning of a longer text."""


def shortened(value: Any, also: Sequence[str] = ()) -> Any:
    """Return the value without the parts that a page need not repeat.

    Keeps the main members of a customer and those named in `also`, the active rules of a policy, of a problem the
    members that its code does not imply, and leaves out a pool's definitions of fields.
    """
    if isinstance(value, list):
        return [shortened(each, also) for each in value]
    if not isinstance(value, dict):
        return value
    if "entered_pool_at" in value:
        there = [name for name in CUSTOMER if name == "holder" or value.get(name) is not None]
        return _only(value, [name for name in value if name in (*there, *also)])
    if "sweep_breaker" in value:
        return _only(value, [name for name, rule in value.items() if rule not in (None, [])])
    if "paths" in value:
        return _only(value, ["openapi"])
    if "instance" in value:
        value = _only(value, [name for name in PROBLEM if name in value])
    if "fields_ready" in value and "fields" not in also:
        value = _only(value, [name for name in value if name not in ("fields", "fields_ready")])
    return {name: shortened(each, also) for name, each in value.items()}


def _only(value: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    kept = {name: value[name] for name in names}
    return kept if len(kept) == len(value) else kept | {REST: None}


def printed(value: Any, indent: int = 0) -> str:
    """JSON on one line if it fits, or its parts on as few lines as they fill."""
    if isinstance(value, Beginning):
        return f"{value}\n{REST}"
    whole = _on_one_line(value)
    if len(whole) + indent <= WIDTH or not isinstance(value, dict | list):
        return whole
    deeper = indent + 2
    if isinstance(value, dict):
        parts = [REST if name == REST else f'"{name}": {printed(each, deeper)}' for name, each in value.items()]
    else:
        parts = [printed(each, deeper) for each in value]
    opened, closed = "{}" if isinstance(value, dict) else "[]"
    return f"{opened}\n{_filled(parts, deeper)}\n{' ' * indent}{closed}"


def _on_one_line(value: Any) -> str:
    if isinstance(value, dict):
        members = (REST if name == REST else f'"{name}": {_on_one_line(each)}' for name, each in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_on_one_line, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _filled(parts: Sequence[str], indent: int) -> str:
    lines: list[str] = []
    for index, part in enumerate(parts):
        text = part + ("," if index + 1 < len(parts) else "")
        fits = lines and "\n" not in lines[-1] + text and len(lines[-1]) + 1 + len(text) <= WIDTH
        if fits:
            lines[-1] += f" {text}"
        else:
            lines.append(" " * indent + text)
    return "\n".join(lines)
