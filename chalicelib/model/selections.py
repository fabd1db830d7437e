"""What requests select: states and orders of lists, keys of imports, and what to do about duplicates."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta

from chalicelib.model.model import State

Listed: TypeAlias = State | Literal["set_aside", "win_requested", "suppressed"]
Owned: TypeAlias = Literal["claimed", "private"]
OwnOrder: TypeAlias = Literal["expires_at", "name", "last_follow_up_at", "-entered_pool_at"]
MemberOrder: TypeAlias = Literal["held", "-held", "name"]
ImportKey: TypeAlias = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="`id`, `phone`, `email`, `external_id`, a `unique` field, or `auto`: the first that a row has.",
    ),
]
WhenDuplicate: TypeAlias = Literal["reject", "allow"]
