"""Search by name prefix, phone number or e-mail address in a pool of any size."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.keys import NAMES
from chalicelib.model.normalization import fold_name
from chalicelib.services.pagination import CursorCodec
from tests.support.dynamodb_calls import counted
from tests.support.world import HOUR, KEY_SECRET, Reply, User, World

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # no name contains one


def create(user: User, customer: str, name: str = "New", **fields: Any) -> Reply:
    body = {"id": customer, "name": name, "fields": fields, "on_duplicate": "allow"}
    return user.post("/customers", body)


def patch_customer(user: User, customer: str, **text: Any) -> Reply:
    return user.patch(f"/customers/{customer}", text)


def search(user: User, query: str) -> list[str]:
    return user.customer_ids(f"{query}")


NAMED = {
    "c1": "Acme", "c2": "acme trading", "c3": "ＡＣＭＥ　Works", "c4": "Acne", "c5": "An Acme",
    "c6": "上海贸易", "c7": "上海", "c8": "上",
    "c9": "Straße", "c10": " \u200b10", "c11": "x" * 200, "c12": "户" * 199 + "甲", "c13": "户" * 199 + "乙",
}  # fmt: skip


@pytest.fixture
def named(world: World) -> World:
    mona = world.pool(claim_ttl="P7D")
    rows = [{"id": each, "name": name, "fields": {"phone": f"138{each[1:]:0>8}"}} for each, name in NAMED.items()]
    assert mona.post("/import", {"rows": rows}).json["summary"]["failed"] == 0
    world.alice.claim_batch(["c2", "c3", "c6"])
    return world


# By name


@pytest.mark.parametrize(
    ("beginning", "ids"),
    [
        ("acme", ["c1", "c2", "c3"]),
        ("ＡＣ", ["c1", "c2", "c3", "c4"]),
        ("acme ", ["c1", "c2", "c3"]),
        ("Acme  W", ["c3"]),
        ("上海", ["c6", "c7"]),
        ("上", ["c6", "c7", "c8"]),
        ("STRASS", ["c9"]),
        ("x" * 200, ["c11"]),
        ("户" * 199 + "乙", ["c13"]),
        ("户" * 150, ["c12", "c13"]),
        ("cme", []),
        ("%", []),
    ],
)
def test_a_name_is_found_by_prefix_in_any_case_and_width(named: World, beginning: str, ids: list[str]) -> None:
    assert sorted(search(named.user("bob"), f"name={beginning}")) == ids


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_a_search_lists_each_match_once_by_name_at_any_page_size(named: World, limit: int) -> None:
    pages = list(named.user("bob").pages("/customers?name=ac", limit))

    assert [each["id"] for page in pages for each in page] == ["c1", "c2", "c3", "c4"]
    assert all(len(page) == limit for page in pages[:-1])


def test_customers_with_equal_names_are_all_found_page_by_page(world: World) -> None:
    mona = world.pool()
    for number in range(5):
        create(mona, f"c{number}", "王伟" if number % 2 else "王 伟")

    listed = [[each["id"] for page in mona.pages(f"/customers?name={name}", 2) for each in page]
              for name in ("王", "王伟", "王 伟")]  # fmt: skip

    assert [sorted(each) for each in listed] == [["c0", "c1", "c2", "c3", "c4"], ["c1", "c3"], ["c0", "c2", "c4"]]


def test_a_renamed_customer_is_found_only_by_the_new_name(named: World) -> None:

    patch_customer(named.user("mona"), "c1", name="Zenith")

    assert search(named.bob, "name=zen") == ["c1"] and "c1" not in search(named.bob, "name=ac")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("state=available", ["c1", "c4"]),
        ("state=claimed", ["c2", "c3"]),
        ("holder=alice", ["c2", "c3"]),
        ("holder=me", []),
        ("state=available&holder=alice", []),
    ],
)
@pytest.mark.parametrize("limit", [1, 3])
def test_a_search_with_a_filter_finds_every_match_on_possibly_short_pages(
    named: World, query: str, ids: list[str], limit: int
) -> None:
    pages = list(named.user("bob").pages(f"/customers?name=ac&{query}", limit))

    assert [each["id"] for page in pages for each in page] == ids


def test_claims_do_not_write_the_name_index(world: World) -> None:
    world.pool(customers=1)
    key = keys.customer_key("main", "p", "c1")
    before = world.table.get([key])[key]

    world.alice.claim("c1")

    after = world.table.get([key])[key]
    assert [before[name] for name in (NAMES, "folded")] == [after[name] for name in (NAMES, "folded")]
    assert before["rank"] != after["rank"]


# Masked fields


def test_only_managers_search_a_masked_name(world: World) -> None:
    mona = world.pool(masked_fields=["name"])
    create(mona, "c1", "Acme", phone="13812345678")
    world.alice.claim("c1")

    for path in ("/customers?name=acme", "/customers?name=nobody", "/customers?name=acme&holder=me"):
        refused = world.alice.get(path)
        assert (refused.status, refused.code) == (403, "not_manager") and "Acme" not in refused.text, path
    assert [each["name"] for each in mona.walk("/customers?name=acme")] == ["Acme"]
    assert world.bob.get("/customers?phone=13812345678").json["items"][0]["name"] == "A****"


def test_search_results_are_masked_like_a_list(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    create(mona, "c1", "Acme", phone="13812345678", email="a@b.cn")
    world.alice.claim("c1")

    for query in ("name=ac", "email=A@B.cn"):
        shown = [world.user(name).walk(f"/customers?{query}") for name in ("alice", "mona", "bob")]
        phones = [each["fields"]["phone"] for items in shown for each in items]
        assert phones == ["13812345678", "13812345678", "138****5678"], query


SECRETS = {"phone": "13812345678", "email": "zhang@example.com"}


@pytest.mark.parametrize("kind", ["phone", "email"])
def test_a_masked_key_is_searched_by_managers_or_among_held_customers(world: World, kind: str) -> None:
    mona = world.pool(claim_ttl="PT1H", masked_fields=[kind])
    create(mona, "c1", **SECRETS)
    create(mona, "c2", phone="13900000000", email="li@example.com")
    alice, query = world.alice, f"{kind}={SECRETS[kind]}"

    before = alice.get(f"/customers?{query}")
    alice.claim("c1")
    held = search(alice, query)
    world.clock.forward(HOUR)
    expired = alice.get(f"/customers?{query}")
    alice.claim("c2")
    alice.post("/customers/c2/win")
    private = search(alice, f"{kind}={'13900000000' if kind == 'phone' else 'li@example.com'}")

    assert (held, private, search(mona, query)) == (["c1"], ["c2"], ["c1"])
    assert [(each.status, each.code) for each in (before, expired)] == [(403, "not_manager")] * 2


@pytest.mark.parametrize("kind", ["phone", "email"])
def test_a_refused_search_does_not_reveal_whether_a_key_exists(world: World, kind: str) -> None:
    mona = world.pool(masked_fields=["phone", "email"])
    create(mona, "c1", **SECRETS)
    create(mona, "c2", **{kind: "13900000001" if kind == "phone" else "wang@example.com"})
    mona.claim("c2")

    for more in ("", "&state=available", "&state=claimed", "&holder=me", "&holder=mona"):
        answers, calls = [], []
        for text in (SECRETS[kind], "13900000001", "13999999999", "wang@example.com", "nobody@example.com"):
            if ("@" in text) == (kind == "email"):
                with counted(world) as requests:
                    answers.append(world.alice.get(f"/customers?{kind}={text}{more}"))
                calls.append(requests)
        assert {(each.status, each.text) for each in answers} == {(403, answers[0].text)}, more
        assert all(each == calls[0] for each in calls), more


def test_a_member_finds_a_held_customer_whose_number_another_now_has(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    create(mona, "c1", phone="13812345678")
    world.alice.claim("c1")

    create(mona, "c2", phone="13812345678")

    assert search(world.alice, "phone=13812345678") == ["c1"]
    assert world.bob.get("/customers?phone=13812345678").code == "not_manager"


def test_a_search_of_a_masked_name_is_refused_before_any_query(world: World) -> None:
    mona = world.pool(masked_fields=["name"])
    create(mona, "c1", "Acme")
    calls = []

    for name in ("acme", "nobody"):
        with counted(world) as requests:
            assert world.bob.get(f"/customers?name={name}").code == "not_manager"
        calls.append(requests)

    assert calls == [{"BatchGetItem": 1}] * 2


@pytest.mark.parametrize("query", ["name=ac", "phone=13812345678", "email=a@b.cn"])
def test_a_search_requires_membership_of_the_pool(world: World, query: str) -> None:
    mona = world.pool()
    world.pool("q")
    world.pool(tenant="acme")
    create(mona, "c1", "Acme", phone="13812345678", email="a@b.cn")

    assert world.user("stranger").get(f"/customers?{query}").code == "not_a_member"
    assert [search(user, query) for user in (world.user("alice", pool="q"), world.user("alice", tenant="acme"))] == [
        [],
        [],
    ]
    assert search(world.alice, query) == ["c1"]


# By phone number and e-mail address


@pytest.mark.parametrize("text", ["13812345678", "+86 138 1234 5678", "１３８-1234-5678", "0086 13812345678"])
def test_a_phone_number_is_found_in_every_spelling(world: World, text: str) -> None:
    mona = world.pool()
    create(mona, "c1", phone="+86 (138) 1234-5678")

    assert search(mona, f"phone={text}") == ["c1"]


def test_the_last_customer_given_a_number_is_found_by_it_until_it_changes(world: World) -> None:
    mona = world.pool()
    create(mona, "c1", phone="13812345678", email="a@b.cn")
    create(mona, "c2", phone="13812345678")

    assert (search(mona, "phone=13812345678"), search(mona, "email=a@b.cn")) == (["c2"], ["c1"])
    patch_customer(mona, "c2", fields={"phone": None})
    assert search(mona, "phone=13812345678") == []
    assert search(mona, "phone=13900000000") == []


def test_a_search_by_number_applies_the_state_and_holder_filters(named: World) -> None:
    queries = ["", "&state=claimed", "&holder=alice", "&state=available", "&holder=bob"]

    assert [search(named.user("bob"), f"phone=13800000002{query}") for query in queries] == [["c2"]] * 3 + [[]] * 2


# Invalid searches


@pytest.mark.parametrize(
    "query",
    ["name=", "name= \u200b", f"name={'x' * 201}", "phone=", "phone=call", "phone=12", "email=a@b", "email=",
     "name=a&phone=13812345678", "phone=13812345678&email=a@b.cn", "nickname=a"],
)  # fmt: skip
def test_an_invalid_search_is_rejected(world: World, query: str) -> None:
    mona = world.pool()

    reply = mona.get(f"/customers?{query}")

    assert (reply.status, reply.code) == (422, "invalid_request") and reply.json["errors"]


def test_a_search_cursor_is_valid_only_for_its_own_search(named: World) -> None:
    cursor = named.bob.get("/customers?name=ac&limit=1").json["next_cursor"]

    for query in ("name=acm", "name=ac&state=available", "name=ac&holder=me", "state=available", "limit=1",
                  "phone=13800000002"):  # fmt: skip
        refused = named.bob.get(f"/customers?{query}&cursor={cursor}")
        assert (refused.status, refused.code) == (400, "invalid_cursor"), query
    assert named.bob.get(f"/customers?name=AC&limit=1&cursor={cursor}").status == 200


@pytest.mark.parametrize(
    "position",
    [["c1", None], ["c1", 7], ["c1", "zz"], ["c1", ""], ["c#1", "acme"], ["c1", "ac" + "x" * 200], ["c1", True]],
    ids=repr,
)
def test_a_forged_search_position_is_rejected_without_a_5xx(named: World, position: list[Any]) -> None:
    scope = CursorCodec(KEY_SECRET, keys.names_in("main", "p"), "None", "None", "ac")

    refused = named.user("bob").get(f"/customers?name=ac&cursor={scope.write(position)}")

    assert (refused.status, refused.code) == (400, "invalid_cursor")


@pytest.mark.parametrize("name", ['"\\' * 100, "户" * 200, "ﷺ" * 200, "\u200b\u200ea" * 60])
def test_a_search_cursor_fits_into_a_url_for_any_name(world: World, name: str) -> None:
    mona = world.pool()
    for number in range(3):
        create(mona, f"{number}" * 64, name)

    assert len(search(mona, f"name={fold_name(name)[:3]}")) == 3
    pages = list(mona.pages(f"/customers?name={fold_name(name)[:3]}", 1))
    assert [len(page) for page in pages] == [1, 1, 1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"], exclude_characters=BIDI), min_size=1, max_size=60),
    st.integers(1, 60),
)
def test_any_customer_is_found_by_a_prefix_of_its_folded_name(searched: User, name: str, end: int) -> None:
    edited = patch_customer(searched, "c1", name=name)
    beginning = fold_name(name)[:end]

    reply = searched.get(f"/customers?name={quote(beginning)}")

    if edited.status == 200 and fold_name(beginning) == beginning and beginning:
        assert reply.ids == ["c1"]
    assert reply.status in (200, 422)


@pytest.fixture
def searched(world: World) -> User:
    mona = world.pool()
    create(mona, "c1")
    return mona


# Costs


def test_a_search_is_at_most_three_requests_for_any_pool_size(world: World) -> None:
    mona = world.pool()
    rows = [{"name": f"Acme {number}", "fields": {"phone": f"1380000{number:04d}"}} for number in range(60)]
    mona.post("/import", {"rows": rows})

    with counted(world) as by_name:
        assert len(world.alice.get("/customers?name=acme").json["items"]) == 20
    with counted(world) as by_phone:
        assert len(world.alice.get("/customers?phone=13800000059").json["items"]) == 1
    with counted(world) as by_none:
        assert world.alice.get("/customers?phone=13900000059").json["items"] == []

    assert by_name == {"Query": 1, "BatchGetItem": 2}
    assert by_phone == {"BatchGetItem": 2} and by_none == {"BatchGetItem": 2}


def test_a_search_by_name_costs_the_same_whether_or_not_a_masked_name_begins_like_this(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    mona.create("c1", name="Wang 13812345678")
    world.alice.get()
    costs = []

    for name in ("Wang%20138", "Wang%20139", "Zhao"):
        with counted(world) as requests:
            assert world.alice.get(f"/customers?name={name}").ids == []
        costs.append(dict(requests))

    assert costs[0] == costs[1] == costs[2] and sum(costs[0].values()) == 3
