"""Routes for the caller over all their pools, and for the users of the tenant. One short function each."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from chalicelib import services
from chalicelib.api.requests import Name, PageQuery, checked_visible, invalid
from chalicelib.api.routing import Answer, route
from chalicelib.model import pool_responses, responses
from chalicelib.model.identities import User
from chalicelib.model.normalization import email
from chalicelib.model.selections import Owned, OwnOrder
from chalicelib.model.text import NAME_PATTERN
from chalicelib.model.users import PERSONAL, Disposal, HeldAnswer, PrivateAnswer
from chalicelib.transactions.context import RequestContext

LEAVE: Final = "/v1/users/{user}/leave"
Address = Annotated[str, Meta(min_length=1, max_length=PERSONAL["email"], pattern=NAME_PATTERN)]


@route("GET", "/v1/me", answers=pool_responses.Me)
def get_me(ctx: RequestContext) -> Answer:
    """Return the caller and their pools, and store the name, e-mail address and department of their token."""
    return Answer(services.users.me(ctx))


class OwnQuery(PageQuery, frozen=True, forbid_unknown_fields=True):
    state: Annotated[Owned | None, Meta(description="Only customers in this state.")] = None
    sort: Annotated[OwnOrder, Meta(description="The order of the list.")] = "expires_at"


@route("GET", "/v1/me/customers", query=OwnQuery, answers=responses.CustomerPage)
def list_own_customers(ctx: RequestContext, query: OwnQuery) -> Answer:
    """List what the caller holds or owns, over all pools that they are a member of."""
    return Answer(services.own_customers.list_customers(ctx, query.state, query.sort, query.limit, query.cursor))


@route("GET", "/v1/users", query=PageQuery, answers=pool_responses.UserPage, admins=True)
def list_users(ctx: RequestContext, query: PageQuery) -> Answer:
    """List the users who called GET /me, and those added by an admin."""
    return Answer(services.users.list_users(ctx, query.limit, query.cursor))


class UserBody(Struct, frozen=True, forbid_unknown_fields=True):
    name: Name | UnsetType | None = UNSET
    email: Address | UnsetType | None = UNSET
    department: Name | UnsetType | None = UNSET
    forget: bool = False
    left: Annotated[bool, Meta(extra_json_schema={"const": False})] | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.left is True:
            raise ValueError("leave_by_post - at `$.left`")
        for member, text in self.given.items():
            checked_visible(text, member)
        address = self.given.get("email")
        if address is not None and email(address) is None:
            raise ValueError("email - at `$.email`")

    @property
    def given(self) -> dict[str, str | None]:
        return {member: text for member in PERSONAL if (text := getattr(self, member)) is not UNSET}


@route("PUT", "/v1/users/{user}", body=UserBody, answers=pool_responses.User, admins=True)
def put_user(ctx: RequestContext, body: UserBody, user: str) -> Answer:
    """Set members of a user. Null leaves one to the token; `forget` empties all; `left`: false takes a leave back."""
    return Answer(services.users.put_user(ctx, user, body.given, forget=body.forget, returns=body.left is False))


class LeaveBody(Struct, frozen=True, forbid_unknown_fields=True):
    held: HeldAnswer
    private: PrivateAnswer
    to: User | None = None


@route("POST", LEAVE, body=LeaveBody, answers=pool_responses.LeaveProgress, admins=True, continues=True)
def leave_company(ctx: RequestContext, body: LeaveBody, user: str) -> Answer:
    """Let a user leave the company, and release, deposit or transfer their customers in all pools."""
    to = body.to and body.to.id
    if ("transfer" in (body.held, body.private)) != (to is not None):
        raise invalid("transfer_only", "to")
    if to == user:
        raise invalid("other_user", "to")
    return Answer(services.leaving.leave(ctx, user, Disposal(body.held, body.private, to)))


@route("GET", LEAVE, answers=pool_responses.LeaveProgress, admins=True)
def get_leave(ctx: RequestContext, user: str) -> Answer:
    """Return how far the leave of a user is."""
    return Answer(services.leaving.progress(ctx, user))
