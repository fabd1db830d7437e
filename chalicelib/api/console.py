"""The console: a small HTML page, and the script, style and texts that it loads, made from the files in `page/`.

Script, style and texts have the digest of their content in their names and never change: browsers keep them. The page
is an API client without rights of its own, under a Content-Security-Policy that runs nothing from elsewhere. Nothing
here knows a customer or a caller.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.api.bundle import bundles
from chalicelib.api.routing import HTML, File
from chalicelib.config import SignIn
from chalicelib.model.errors import Refusal, Refused

FOLDER: Final = Path(__file__).parent.parent / "page"
ENTRY: Final = "main"
VERBS_LATER: Final = ("verb.convert", "verb.pin", "verb.suppress", "verb.unsuppress")
OF_MEMBERS: Final = ("refusal.member_has_", "refusal.user_left")
# Scripts that are loaded when they are first needed, each with the beginnings of the keys of its texts. Parts may share
# texts.
PARTS: Final = {
    "managing": (
        "rule.",
        "import.",
        "members.",
        "team.",
        "fields.",
        "type.",
        "mark.",
        "log.",
        *VERBS_LATER,
        *OF_MEMBERS,
    ),
    "rules": ("rule.", "rules.", "warning.", "refusal.policy_invalid"),
    "state": ("pools.", "status.", "sweep.", "refusal.pool_not_empty"),
    "statistics": ("stats.", "kind."),
    "customer": ("event.", *VERBS_LATER),
    "company": (),
    "filters": ("filter.",),
    "link": ("link.",),
}
STYLES: Final = {"app": "page", "later": "later"}  # the page's, and that of all parts
LANGUAGES: Final = ("en", "zh")
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'{hosts}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOREVER: Final = "public, max-age=31536000, immutable"
ORIGIN: Final = re.compile(r"https?://[\w.-]+(:[0-9]+)?", re.ASCII)


def page(sign_in: SignIn | None = None, path: str = "/console") -> File:
    """Return the page. `path` is that of the request: from one that ends with a slash, the files are nearer."""
    policy = POLICY.replace("{hosts}", "".join(f" {host}" for host in _hosts(sign_in)))
    text = _page(sign_in).replace("{base}", "" if path.endswith("/") else "console/")
    return File(text, HTML, {"Content-Security-Policy": policy, "Cache-Control": "no-cache"})


def asset(name: str) -> File:
    """Return the script, the style or the texts of that name. Raise Refused for another name or digest."""
    if name not in assets():
        raise Refused(Refusal("not_found"))
    text, media = assets()[name]
    return File(text, media, {"Cache-Control": FOREVER})


@cache
def assets() -> dict[str, tuple[str, str]]:
    """Return the text and the media type of each file by name."""
    texts = {(name, "css"): _compact_style(_text(f"{style}.css")) for name, style in STYLES.items()}
    texts |= {("app" if name == ENTRY else name, "js"): script for name, script in scripts().items()}
    for language in LANGUAGES:
        texts |= {
            (f"{language}-{part}" if part else language, "json"): some_words(language, part) for part in ("", *PARTS)
        }
    media = {"js": "text/javascript", "css": "text/css", "json": "application/json"}
    return {f"{name}.{_digest(text)}.{kind}": (text, media[kind]) for (name, kind), text in texts.items()}


@cache
def scripts() -> dict[str, str]:
    """Return the script of the page, all modules joined, and those of the parts that are loaded later."""
    return bundles(ENTRY, tuple(PARTS), lambda name: _text(f"{name}.js"))


def some_words(language: str, part: str = "") -> str:
    """Return the texts of that part, or those of the page itself, as JSON."""
    later = tuple(start for starts in PARTS.values() for start in starts)
    of_part = {key: text for key, text in words(language).items() if key.startswith(PARTS.get(part, later))}
    some = of_part if part else {key: text for key, text in words(language).items() if key not in of_part}
    return json.dumps(some, ensure_ascii=False, separators=(",", ":"))


def _compact_style(style: str) -> str:
    """Return the style without comments and indentation."""
    lines = (line.strip() for line in re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL).splitlines())
    return "\n".join(line for line in lines if line)


def words(language: str) -> dict[str, str]:
    """Return the texts of the page in that language, by key."""
    return dict(json.loads(_text(f"{language}.json")))


def _hosts(sign_in: SignIn | None) -> list[str]:
    """Return the origins that the sign-in connects to. Anything else could inject a policy directive: left out."""
    named = () if sign_in is None else (sign_in.issuer, *sign_in.hosts)
    return list(dict.fromkeys(found[0] for name in named if (found := ORIGIN.match(name))))


@cache
def _page(sign_in: SignIn | None) -> str:
    """Return the page with a placeholder for the folder of its files."""
    names = {name.partition(".")[0] + "." + name.rpartition(".")[2]: name for name in assets()}
    given = {
        "files": {name: file for name, file in names.items() if not name.startswith("app.")},
        "signIn": None if sign_in is None else msgspec.structs.asdict(sign_in),
    }
    parts = {"script": names["app.js"], "style": names["app.css"], "given": _embedded(given)}
    whole = _text("page.html")
    for name, text in parts.items():
        whole = whole.replace(f"{{{name}}}", text)
    return whole


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _embedded(given: Any) -> str:
    """Return JSON that cannot close its HTML element."""
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
