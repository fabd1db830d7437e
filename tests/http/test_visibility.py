"""Private customers are seen by their owner and managers only; for others they do not exist (rule 36)."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Any

import pytest

from chalicelib.dynamodb import keys
from chalicelib.model.contact_keys import KeySecret
from chalicelib.services.pagination import CursorCodec
from tests.support.canaries import FIELDS, NAME
from tests.support.dynamodb_calls import counted
from tests.support.world import DAY, HOUR, Reply, User, World

READS = ("", "/history", "/eligibility")
VERBS: dict[str, dict[str, Any]] = {
    "claim": {}, "release": {}, "follow-up": {"note": "called"}, "extend": {"by": "PT1H"}, "win": {}, "deposit": {},
    "pin": {"until": "2026-06-02T00:00:00Z"}, "unpin": {}, "convert": {}, "assign": {"to": "bob"},
    "transfer": {"to": "bob"}, "win/approve": {}, "erase": {"reason": "asked", "force": True},
}  # fmt: skip
OF_MANAGERS = ("convert", "assign", "transfer", "win/approve", "erase")


def private(world: World, **policy: Any) -> User:
    """Create c1 and c3, private customers of alice, the available c2, and the first process's knowledge of them."""
    mona = world.pool(**policy)
    for customer in ("c1", "c2", "c3"):
        mona.create(customer, name=f"{NAME} {customer}", fields=FIELDS if customer == "c1" else {})
    assert mona.post("/convert", {"customer_ids": ["c1", "c3"], "to": "alice"}).results == ["ok", "ok"]
    return mona


def response(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.text


@pytest.fixture
def owned(world: World) -> World:
    private(world)
    return world


def test_rule_36_a_private_customer_is_404_for_others_on_every_path(owned: World) -> None:
    for path in READS:
        of_hers, of_none = (owned.bob.get(f"/customers/{each}{path}") for each in ("c1", "nobody"))
        assert of_hers.status == 404 and response(of_hers) == response(of_none), path
    for verb, body in VERBS.items():
        of_hers, of_none = (owned.bob.post(f"/customers/{each}/{verb}", body) for each in ("c1", "nobody"))
        assert of_hers.code == ("not_manager" if verb in OF_MANAGERS else "not_found"), verb
        assert response(of_hers) == response(of_none), verb
        assert {owned.bob.post(f"/{verb}", {"customer_ids": ["c1"], "atomic": each} | body).results[0]
                for each in (True, False)} == {of_none.code}, verb  # fmt: skip
    assert owned.bob.patch("/customers/c1", {"name": "Mine"}).code == "not_found"
    assert owned.bob.post("/edit", {"customer_ids": ["c1"], "name": "Mine"}).results == ["not_found"]


def test_not_found_comes_before_a_wrong_version(owned: World) -> None:
    assert owned.bob.claim("c1", if_match='"77"').code == "not_found"
    assert owned.mona.claim("c1", if_match='"77"').code == "version_conflict"


def test_its_owner_and_managers_read_a_private_customer(owned: World) -> None:
    for user in (owned.alice, owned.mona, owned.root):
        assert {user.get(f"/customers/c1{path}").status for path in READS} == {200}
    assert owned.mona.claim("c1").code == "already_claimed"
    assert owned.mona.release("c1").code == "not_claimed"
    assert owned.alice.post("/customers/c1/deposit").status == 200


@pytest.mark.parametrize(
    "query", ["", "?state=private", "?holder=alice", "?state=private&holder=alice", "?name=zhang", "?phone=13810029999",
              "?email=canary%40example.test"],
)  # fmt: skip
def test_lists_and_searches_show_private_customers_to_their_owner_and_managers_only(owned: World, query: str) -> None:
    hers = {each["id"] for each in owned.mona.walk(f"/customers{query}")} - {"c2"}

    assert hers and hers <= {"c1", "c3"}
    for user, seen in ((owned.alice, hers), (owned.root, hers), (owned.bob, set())):
        assert {each["id"] for each in user.walk(f"/customers{query}")} - {"c2"} == seen


def test_a_page_of_any_size_reveals_no_private_customer(world: World) -> None:
    mona = world.pool(customers=9)
    mona.post("/convert", {"customer_ids": [f"c{number}" for number in (1, 2, 3, 5, 6, 7, 9)], "to": "alice"})

    for limit in (1, 2, 3, 100):
        page = world.bob.get(f"/customers?limit={limit}").json
        shown = [each["id"] for each in page["items"]]
        while page["next_cursor"] is not None:
            position = urlsafe_b64decode(page["next_cursor"] + "==")
            assert b'"c' not in position or shown[-1].encode() in position
            page = world.bob.get(f"/customers?limit={limit}&cursor={page['next_cursor']}").json
            shown += [each["id"] for each in page["items"]]
        assert sorted(shown) == ["c4", "c8"], limit


def test_an_encrypted_cursor_is_of_no_use_elsewhere(world: World) -> None:
    mona = world.pool()
    world.pool("q", customers=3)
    *hidden, last = [f"c{number}" for number in range(1, 15)]
    for each in (last, *reversed(hidden)):
        mona.create(each)
        world.clock.forward(1)
    mona.post("/convert", {"customer_ids": hidden, "to": "alice"})

    empty = world.bob.get("/customers?limit=1")  # a request passes ten hidden customers at most
    cursor = empty.json["next_cursor"]

    assert empty.ids == []
    assert world.bob.get(f"/customers?limit=5&cursor={cursor}").ids == [last]
    assert mona.get(f"/customers?limit=5&cursor={cursor}").ids == [*hidden[10:], last]
    for path in ("/v1/pools/q/customers", "/v1/pools/p/members", "/v1/pools/p/customers/c3/history"):
        assert mona.request("GET", f"{path}?cursor={cursor}").code == "invalid_cursor"


def test_a_search_costs_the_same_whether_or_not_a_private_customer_matches(owned: World) -> None:
    owned.bob.get("/customers/c2")
    costs = []

    for query in ("name=zhang%20wei%20c1", "name=nobody", "phone=13810029999", "phone=13810020000"):
        with counted(owned) as calls:
            assert owned.bob.get(f"/customers?{query}").json == {"items": [], "next_cursor": None}
        costs.append(dict(calls))

    assert costs[0] == costs[1] and costs[2] == costs[3]


def test_a_filter_costs_the_same_whether_or_not_a_private_customer_matches(owned: World) -> None:
    owned.mona.patch("/customers/c1", {"fields": {"city": "Shanghai"}})
    costs = []

    for city in ("Shanghai", "Nowhere"):
        with counted(owned) as calls:
            assert owned.bob.get(f"/customers?filter=city:{city}").json["items"] == []
        costs.append(dict(calls))

    assert costs[0] == costs[1]


@pytest.mark.parametrize("verb", ["claim", "release", "deposit", "win"])
def test_a_verb_costs_the_same_for_a_private_customer_and_an_unknown_id(owned: World, verb: str) -> None:
    owned.alice.get("/customers/c1")  # the process knows it
    costs = []

    for customer in ("c1", "nobody"):
        with counted(owned) as calls:
            assert owned.bob.post(f"/customers/{customer}/{verb}", {} if verb != "claim" else None).status == 404
        costs.append(dict(calls))

    assert costs[0] == costs[1]


def test_the_policy_may_show_private_customers_to_the_whole_pool(world: World) -> None:
    private(world, private_visible_to="pool")

    assert world.mona.get().json["policy"]["private_visible_to"] == "pool"
    assert {world.bob.get(f"/customers/c1{path}").status for path in READS} == {200}
    for query in ("?state=private", "?holder=alice", "?state=private&holder=alice"):
        assert {each["id"] for each in world.bob.walk(f"/customers{query}")} == {"c1", "c3"}
    assert (world.bob.claim("c1").code, world.bob.release("c1").code) == ("already_claimed", "not_claimed")


def test_everybody_sees_and_claims_a_private_customer_past_its_deadline(world: World) -> None:
    private(world, private_ttl="PT1H")
    before = world.bob.get("/customers/c1").status
    world.clock.forward(HOUR)

    assert (before, world.bob.get("/customers/c1").status) == (404, 200)
    for query in ("", "?holder=alice", "?state=private&holder=alice", "?name=zhang"):
        assert {each["id"] for each in world.bob.walk(f"/customers{query}")} >= {"c1", "c3"}, query
    assert world.bob.get("/customers/c1/eligibility").json["eligible"]
    assert world.bob.claim("c1").status == 200


def test_a_replay_of_a_former_holder_shows_nothing_of_a_customer_that_is_private_now(world: World) -> None:
    mona = world.pool()
    mona.create("c1", name=NAME)
    world.alice.claim("c1")
    first = world.alice.release("c1", idempotency_key="k")
    mona.post("/customers/c1/convert", {"to": "bob"})

    again = world.alice.release("c1", idempotency_key="k")

    assert first.json["name"] == NAME and again.headers["Idempotent-Replayed"] == "true"
    assert again.json == first.json | {"name": None, "fields": None}


def test_a_process_that_has_an_old_customer_cached_hides_and_shows_it_rightly(world: World) -> None:
    mona = world.pool(claim_ttl="P7D", customers=2)
    first, second = world.service, world.another_process()
    for customer in ("c1", "c2"):
        world.alice.claim(customer)
    mona.post("/customers/c2/convert")
    world.service = second
    world.bob.claim_batch(["c1", "c2"])
    world.service = first
    mona.post("/customers/c1/convert")
    mona.post("/customers/c2/deposit")
    world.service = second

    claims = world.bob.claim_batch(["c1", "c2"])
    extended = world.bob.post("/extend", {"customer_ids": ["c1", "c2"], "by": "PT1H"})

    assert claims.results == ["not_found", "ok"]
    assert extended.results == ["not_found", "extension_not_allowed"]


def test_an_owners_history_is_read_again_once_the_customer_is_deposited(owned: World) -> None:
    owned.clock.forward(DAY)
    owned.alice.post("/customers/c1/deposit")

    assert owned.bob.events("c1") == ["created", "converted", "deposited"]


# Pages and cursors


def test_a_page_is_full_although_customers_between_are_hidden(world: World) -> None:
    mona = world.pool()
    for each in ("aaa", "deal7", "deal8", "zzz"):
        mona.create(each)
        world.clock.forward(1)
    mona.post("/convert", {"customer_ids": ["deal7", "deal8"], "to": "bob"})

    pages = [[each["id"] for each in page] for page in world.alice.pages("/customers", 1)]

    assert pages == [["zzz"], ["aaa"]]


def test_a_cursor_made_without_the_secret_of_the_stack_is_rejected(world: World) -> None:
    mona = world.pool(customers=3)
    roster = keys.customer_roster("main", "p")
    made = CursorCodec(KeySecret("1", "a guess"), roster, "None", "None", "None").write(["c1", None, 0])

    assert mona.get(f"/customers?cursor={made}").code == "invalid_cursor"


@pytest.mark.parametrize("status", ["pause", "close"])
def test_a_transfer_in_a_pool_that_is_not_open_does_not_show_that_a_private_customer_exists(
    world: World, status: str
) -> None:
    mona = world.pool(customers=2, members="alice bob")
    mona.post("/customers/c1/convert", {"to": "bob"})
    world.root.post(f"/{status}", {"mode": "drain"} if status == "close" else {})
    callers = (world.alice, world.user("eve"))

    refused = [[caller.post(f"/customers/{each}/transfer", {"to": "alice"}) for each in ("c1", "nobody")]
               for caller in callers]  # fmt: skip

    assert [[(reply.status, reply.code) for reply in each] for each in refused] == [
        [(403, "not_manager")] * 2, [(403, "not_a_member")] * 2
    ]  # fmt: skip
    assert mona.post("/customers/c2/transfer", {"to": "alice"}).code == "pool_not_open"
