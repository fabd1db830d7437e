"""Find the keys of written e-mail addresses: the address in lower case. Mail distinguishes case, people do not."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

MAX_LENGTH: Final = 254  # characters, the limit of e-mail itself
_MAX_WRITTEN_LENGTH: Final = 500
_SEPARATORS: Final = r"@\s<>()\[\]:;,、。|/\""
_ADDRESS: Final = re.compile(
    rf"(?<![^{_SEPARATORS}])(?<!@)[^{_SEPARATORS}]+@[^{_SEPARATORS}.]+(?:\.[^{_SEPARATORS}.]+)+(?![^{_SEPARATORS}.])(?!@)"
)


def email_keys(written: Any) -> list[str]:
    """Return each address in a value, in its order, without repetitions. A name may stand beside an address."""
    if not isinstance(written, str) or "@" not in (text := _folded(written[: _MAX_WRITTEN_LENGTH + 1])):
        return []
    if len(written) > _MAX_WRITTEN_LENGTH:
        return []
    return list(dict.fromkeys(each for each in _ADDRESS.findall(text) if len(each) <= MAX_LENGTH))


def _folded(text: str) -> str:
    """Return the text without invisible signs, with case and width folded. Folding may need a second pass."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cf", "Cs") or sign.isspace())
    for _ in range(2):
        seen = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return seen
