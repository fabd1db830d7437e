"""`make pictures`: draw the pictures of the pages from the code, so that they match it.

This module contains only positions: names and numbers come from the service. A transition without a position is an
error, not a picture without it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

from chalicelib.domain.invariants import TRANSITIONS
from tools.paths import PROJECT
from tools.problems import Unusable, run_tool

PICTURES = PROJECT / "docs" / "pictures"

STYLE: Final = (
    "text { font: 13px ui-sans-serif, system-ui, 'Segoe UI', 'PingFang SC', 'Noto Sans CJK SC', sans-serif; "
    "fill: #24292f } "
    ".name { font-size: 16px; font-weight: 600 } .small { font-size: 12px; fill: #57606a } "
    ".event { font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; fill: #0550ae } "
    ".box { fill: #f6f8fa; stroke: #57606a; stroke-width: 1.5 } "
    ".passed { fill: #ddf4ff; stroke: #0550ae } "
    ".way { fill: none; stroke: #57606a; stroke-width: 1.5; marker-end: url(#arrow) }"
)
ARROW: Final = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#57606a"/></marker>'
)


class Way(NamedTuple):
    """Where a transition is drawn, and where its events are named: above `y` if they end there, else from it down."""

    path: str
    x: int
    y: int
    anchor: str = "middle"
    upwards: bool = False


BOXES: Final = {  # x, y, what it is called in Chinese
    "available": (190, 110, "公海未分配"),
    "claimed": (610, 110, "公海已分配"),
    "private": (400, 370, "普通客户"),
}
WIDTH, HEIGHT = 160, 60

WAYS: Final = {
    (None, "available"): Way("M40 140 H186", 108, 132, upwards=True),
    (None, "private"): Way("M250 400 H396", 318, 392, upwards=True),
    ("available", "claimed"): Way("M350 124 H606", 480, 114, upwards=True),
    ("claimed", "available"): Way("M610 156 H354", 480, 174),
    ("claimed", "claimed"): Way("M680 110 C660 40 780 40 752 106", 780, 40, "start"),
    ("available", "available"): Way("M218 110 C190 40 310 40 290 106", 186, 50, "end"),
    ("available", "private"): Way("M310 170 L440 366", 396, 268, "start"),
    ("private", "available"): Way("M404 370 L262 174", 300, 290, "end"),
    ("claimed", "private"): Way("M680 170 L532 366", 626, 290, "start"),
    ("private", "private"): Way("M560 386 C630 370 630 430 564 416", 622, 392, "start"),
    ("available", None): Way("M206 170 L110 260", 120, 236, "end"),
    ("claimed", None): Way("M770 152 H880", 826, 172),
    ("private", None): Way("M400 412 H300", 350, 432),
}


def lifecycle() -> str:
    """The states of a customer, with every transition that there is. Raises Unusable for one that has no place."""
    events: dict[Any, list[str]] = {}
    for event, steps in TRANSITIONS.items():
        for step in steps:
            events.setdefault(step, []).append(event)
    if missing := sorted(f"{start} to {end}" for start, end in events.keys() - WAYS.keys()):
        raise Unusable(f"the picture has no place yet for {', '.join(missing)}: give it one in tools/pictures.py")
    parts = [each for name, (x, y, chinese) in BOXES.items() for each in _box(x, y, WIDTH, HEIGHT, name, chinese)]
    parts += [each for step, names in events.items() for each in _way(WAYS[step], names)]
    return _drawn(920, 450, "The states of a customer and the events that lead from one to another", parts)


def _box(x: int, y: int, width: int, height: int, name: str, small: str) -> list[str]:
    middle = x + width // 2
    return [
        f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>',
        f'<text class="name" x="{middle}" y="{y + 26}" text-anchor="middle">{escape(name)}</text>',
        f'<text class="small" x="{middle}" y="{y + 46}" text-anchor="middle">{escape(small)}</text>',
    ]


def _way(way: Way, names: list[str]) -> list[str]:
    top = way.y - 16 * (len(names) - 1) if way.upwards else way.y
    texts = [
        f'<text class="event" x="{way.x}" y="{top + 16 * at}" text-anchor="{way.anchor}">{escape(name)}</text>'
        for at, name in enumerate(names)
    ]
    return [f'<path class="way" d="{way.path}"/>', *texts]


def _drawn(width: int, height: int, title: str, parts: Iterable[str]) -> str:
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
        f"<defs>{ARROW}</defs>",
        f'<rect width="{width}" height="{height}" rx="10" fill="#ffffff"/>',
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


# What a claim passes through, and in which step of docs/architecture.md. A test follows one to see that this is all.
WAY_OF_A_CLAIM: Final = {
    1: ("api.auth", "api.handler", "api.requests", "api.replays"),
    2: ("api.routing", "api.verbs", "api.claims", "services.claims", "transactions.context"),
    3: (
        "transactions.unit_of_work",
        "transactions.customer_cache",
        "transactions.territory_cache",
        "domain.transitions",
        "domain.deadlines",
        "domain.checks",
        "model.model",
        "model.policy",
        "model.times",
    ),
    4: (
        "domain.rules",
        "domain.suppression",
        "domain.unique_values",
        "transactions.suppressions",
        "transactions.scheduled_checks",
        "transactions.counters",
        "transactions.idempotency",
        "transactions.customer_writes",
        "transactions.transaction_builder",
        "dynamodb.items",
        "dynamodb.keys",
        "model.normalization",
    ),
    5: (
        "dynamodb.table",
        "dynamodb.operations",
        "dynamodb.client",
        "dynamodb.conditions",
        "model.errors",
        "api.results",
        "domain.rendering",
        "domain.masking",
        "api.problems",
        "api.people",
        "model.users",
        "transactions.user_cache",
    ),
}
ROW, LEFT, WIDTH_OF_MODULES, A_ROW = 34, 20, 960, 6


def house() -> str:
    """Draw the packages of the service in their layers, with the modules that a claim passes through marked.

    Raises Unusable where the way of a claim names a module that does not exist.
    """
    step_of = {module: step for step, modules in WAY_OF_A_CLAIM.items() for module in modules}
    packages = {name: _modules(name) for layer in _layers() for name in layer}
    if unknown := sorted(step_of.keys() - {module for modules in packages.values() for module in modules}):
        raise Unusable(
            f"WAY_OF_A_CLAIM in tools/docs/pictures.py names modules that do not exist: {', '.join(unknown)}"
        )
    parts, y = _band(20, "app.py: routes, authorizer, schedule, stream"), 20 + ROW + 10
    for name, modules in packages.items():
        rows = -(-len(modules) // A_ROW)
        parts += _package(y, name, rows)
        for index, module in enumerate(modules):
            x = LEFT + 120 + index % A_ROW * 138
            parts += _module(x, y + 4 + index // A_ROW * ROW, 132, module, step_of.get(module))
        y += rows * ROW + 10
    parts += _band(y, "DynamoDB")
    return _drawn(1000, y + ROW + 14, "The packages in their layers, and the way of a claim", parts)


def _layers() -> list[list[str]]:
    """Return the packages from the top layer down, as `make check` holds their imports."""
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract.get("containers") == ["chalicelib"])
    return [layer.split(" : ") for layer in layers]


def _modules(package: str) -> list[str]:
    folder = PROJECT / "chalicelib" / package
    found = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    return [f"{package}.{name}" for name in found] or [package]


def _band(y: int, name: str) -> list[str]:
    return [
        f'<rect class="box" x="{LEFT}" y="{y}" width="{WIDTH_OF_MODULES}" height="28" rx="6"/>',
        f'<text class="small" x="500" y="{y + 18}" text-anchor="middle">{escape(name)}</text>',
    ]


def _package(y: int, name: str, rows: int) -> list[str]:
    return [
        f'<rect class="box" x="{LEFT}" y="{y}" width="{WIDTH_OF_MODULES}" height="{rows * ROW + 2}" rx="6"/>',
        f'<text class="name" x="{LEFT + 10}" y="{y + 24}">{escape(name)}</text>',
    ]


def _module(x: int, y: int, width: int, name: str, step: int | None) -> list[str]:
    kind, short, middle = "box" if step is None else "box passed", name.partition(".")[2], x + width // 2
    parts = [
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="26" rx="6"/>',
        f'<text class="small" x="{middle}" y="{y + 17}" text-anchor="middle">{escape(short)}</text>',
    ]
    if step is not None:
        parts.append(f'<text class="event" x="{x + 5}" y="{y + 17}">{step}</text>')
    return parts


PAGES: Final = {"lifecycle.svg": lifecycle, "house.svg": house}


def main() -> int:
    PICTURES.mkdir(exist_ok=True)
    for name, draw in PAGES.items():
        (PICTURES / name).write_text(draw(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    run_tool(main)
