"""The console: one HTML page, built from the files in `page/` at the first request.

The page is an API client without rights of its own. Style, script and texts are inline, under a Content-Security-Policy
that lets nothing else run. Nothing here knows a customer or a caller.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from chalicelib.api.routing import HtmlPage
from chalicelib.config import SignIn

FOLDER: Final = Path(__file__).parent.parent / "page"
LANGUAGES: Final = ("en", "zh")
# In page order; each file starts with a description.
SCRIPTS: Final = (
    "element", "words", "session", "requests", "parts", "durations", "results", "customer_list", "customer_dialog",
    "oidc", "sign_in", "pool_tab", "mine_tab", "manage_customers", "import_file", "import_section", "members_section",
    "rules_section", "state_section", "manage_tab", "charts", "statistics_tab", "main",
)  # fmt: skip
POLICY: Final = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src data:; "
    "connect-src 'self'{hosts}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


ORIGIN: Final = re.compile(r"https?://[\w.-]+(:[0-9]+)?", re.ASCII)


def page(nonce: str, sign_in: SignIn | None = None) -> HtmlPage:
    """Return the page. `nonce` must be unpredictable and used once."""
    policy = POLICY.replace("{hosts}", "".join(f" {host}" for host in _hosts(sign_in)))
    return HtmlPage(_page(sign_in).replace("{nonce}", nonce), policy.replace("{nonce}", nonce))


def _hosts(sign_in: SignIn | None) -> list[str]:
    """Return the origins that the sign-in connects to. Anything else could inject a policy directive: left out."""
    named = () if sign_in is None else (sign_in.issuer, *sign_in.hosts)
    return list(dict.fromkeys(found[0] for name in named if (found := ORIGIN.match(name))))


def words(language: str) -> dict[str, str]:
    """Return the texts of the page in that language, by key."""
    return dict(json.loads(_text(f"{language}.json")))


@cache
def _page(sign_in: SignIn | None) -> str:
    """Return the page with a placeholder for the nonce."""
    script = "\n".join(_text(f"{name}.js") for name in SCRIPTS)
    parts = {
        "style": _text("page.css"),
        "given": _embedded(
            {
                "words": {language: words(language) for language in LANGUAGES},
                "signIn": None if sign_in is None else msgspec.structs.asdict(sign_in),
            }
        ),
        "script": f'(() => {{\n"use strict";\n{script}}})();',
    }
    whole = _text("page.html")
    for name, text in parts.items():
        whole = whole.replace(f"{{{name}}}", text)
    return whole


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _embedded(given: Any) -> str:
    """Return JSON that cannot close its HTML element."""
    return json.dumps(given, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
