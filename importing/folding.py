"""Fold text for comparison, so that two spellings are equal. The service and the command line compare alike."""

from __future__ import annotations

import unicodedata


def folded(text: str) -> str:
    """Return the text with case and width folded and without invisible signs."""
    seen = "".join(sign for sign in text if unicodedata.category(sign) not in ("Cc", "Cf", "Cs") or sign.isspace())
    # Case folding may undo normalization, and normalization may restore capitals: do both twice.
    for _ in range(2):
        seen = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", seen).casefold())
    return seen
