"""Random calls of GET /me and PUT /users in two processes, compared with a model of two dictionaries."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings, strategies as st

from chalicelib.model.users import PERSONAL, Profile
from chalicelib.transactions.context import Caller
from tests.support.memory import Memory, memory_table
from tests.support.world import User, World

USERS = ("alice", "bob")
TEXTS = st.sampled_from(["a@b.cn", "c@d.cn", "张@e.cn"])  # an e-mail address is a name too
STATED = st.dictionaries(st.sampled_from(sorted(PERSONAL)), TEXTS)
GIVEN = st.dictionaries(st.sampled_from(sorted(PERSONAL)), TEXTS | st.none())
STEPS = st.lists(
    st.tuples(st.booleans(), st.sampled_from(USERS), st.one_of(
        st.tuples(st.just("me"), STATED), st.tuples(st.just("put"), GIVEN), st.tuples(st.just("forget"), GIVEN),
    )),
    max_size=12,
)  # fmt: skip


class Model:
    """What is stored of each user, and which members an admin has set."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.set_by_admin: dict[str, set[str]] = {user: set() for user in USERS}

    def me(self, user: str, stated: dict[str, str]) -> None:
        known = self.users.setdefault(user, dict.fromkeys(PERSONAL) | {"seen": False})
        known |= {name: text for name, text in stated.items() if name not in self.set_by_admin[user]} | {"seen": True}

    def put(self, user: str, given: dict[str, str | None], *, forget: bool) -> None:
        known = self.users.setdefault(user, dict.fromkeys(PERSONAL) | {"seen": False})
        if forget:
            known |= dict.fromkeys(PERSONAL)
            self.set_by_admin[user] |= set(PERSONAL)
        known |= given
        self.set_by_admin[user] -= {name for name, text in given.items() if text is None}
        self.set_by_admin[user] |= {name for name, text in given.items() if text is not None}


def play(world: World, model: Model, user: str, verb: str, given: dict[str, Any]) -> Any:
    if verb == "me":
        model.me(user, given)
        return User(world, Caller("main", user, False, Profile(**given))).request("GET", "/v1/me").json
    model.put(user, given, forget=verb == "forget")
    body = given | ({"forget": True} if verb == "forget" else {})
    return world.root.request("PUT", f"/v1/users/{user}", body).json


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_users_match_the_model_after_random_calls_in_two_processes(steps: list[tuple[bool, str, Any]]) -> None:
    world, model = World(memory_table(Memory())), Model()
    world.pool(members="alice bob")
    other = world.another_process()

    for elsewhere, user, (verb, given_members) in steps:
        with world.process(other if elsewhere else world.service):
            answer = play(world, model, user, verb, given_members)
        world.clock.forward(1)
        assert {name: answer[name] for name in model.users[user]} == model.users[user]

    listed = {each["user_id"]: each for each in world.root.request("GET", "/v1/users").json["items"]}
    assert {user: {name: listed[user][name] for name in known} for user, known in model.users.items()} == model.users
    seen = {
        each["user_id"]: each["seen"] for each in world.mona.get("/members").json["items"] if each["user_id"] in USERS
    }
    assert seen == {user: model.users.get(user, {}).get("seen", False) for user in USERS}
