"""Every message and help text of poolctl in the user's language.

`messages.en.json` and `messages.zh.json` have the same keys, and each pair of texts uses the same values. The client
requests the same language from the service.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

LANGUAGES: Final = ("zh", "en")
_language = "en"


def set_language(language: str) -> None:
    global _language  # noqa: PLW0603 - one language per process
    _language = language


def language() -> str:
    return _language


@cache
def messages(language: str) -> dict[str, str]:
    """Return the texts of a language by key."""
    texts: dict[str, str] = json.loads(Path(__file__).with_name(f"messages.{language}.json").read_bytes())
    return texts


def has_message(key: str) -> bool:
    return key in messages(_language)


def message(key: str, /, **values: object) -> str:
    text = messages(_language)[key]
    return text.format(**values) if values else text


def language_of(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the language of `--lang`, or else of the locale: `zh` for Chinese, `en` for all others."""
    wanted = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    options = before_dashes(arguments)
    for index, argument in enumerate(options):
        named = "".join(options[index + 1 : index + 2]) if argument == "--lang" else argument.removeprefix("--lang=")
        if argument.startswith("--lang") and named in LANGUAGES:
            wanted = named
    return "zh" if wanted.lower().startswith("zh") else "en"


def before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments before `--`, which may be options."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments
