"""Find the keys of written e-mail addresses: the address in lower case. Mail distinguishes case, people do not."""

from __future__ import annotations

import re
from typing import Any, Final

from importing.folding import folded

MAX_LENGTH: Final = 254  # characters, the limit of e-mail itself
_MAX_WRITTEN_LENGTH: Final = 500
_SEPARATORS: Final = r"@\s<>()\[\]:;,、。|/\"“”‘’"
_USUAL: Final = re.compile(r"(?=.{3,100}\Z)[A-Za-z0-9._+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
_ADDRESS: Final = re.compile(
    rf"(?<![^{_SEPARATORS}])(?<!@)[^{_SEPARATORS}]+@[^{_SEPARATORS}.]+(?:\.[^{_SEPARATORS}.]+)+(?![^{_SEPARATORS}.])(?!@)"
)


def email_keys(written: Any) -> list[str]:
    """Return each address in a value, in its order, without repetitions. A name may stand beside an address."""
    if isinstance(written, str) and _USUAL.fullmatch(written):
        return [written.lower()]  # which an import meets very often
    if not isinstance(written, str) or "@" not in (text := folded(written[: _MAX_WRITTEN_LENGTH + 1])):
        return []
    if len(written) > _MAX_WRITTEN_LENGTH:
        return []
    found = (each.lstrip("'") for each in _ADDRESS.findall(text))  # which keeps a spreadsheet from calculating
    return list(dict.fromkeys(each for each in found if len(each) <= MAX_LENGTH and not each.startswith("@")))
