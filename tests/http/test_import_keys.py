"""Import by phone number or e-mail address: the customer that a row matches in each mode, and the owner of a key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dynamodb_calls import counted, interrupted
from tests.support.world import Reply, User, World, unique_key_of

PHONE, SPELLINGS = "13812345678", ["+86 138 1234 5678", "１３８１２３４５６７８", "0086-138-1234-5678", "138.1234.5678"]


def row(phone: Any = PHONE, name: str = "Row", **value: Any) -> dict[str, Any]:
    """Return an import row with that phone number and other fields."""
    own = {name: value.pop(name) for name in ("id", "priority") if name in value}
    return own | {"name": name, "fields": {"phone": phone} | value}


def imported(user: User, *rows: Any, on_duplicate: str = "skip", key: str = "phone", **headers: str) -> Reply:
    return user.post("/import", {"rows": rows, "key": key, "on_duplicate": on_duplicate}, **headers)


def create(user: User, customer: str, **fields: Any) -> Reply:
    body = {"id": customer, "name": customer.upper(), "fields": fields, "on_duplicate": "allow"}
    return user.post("/customers", body)


def edit(user: User, customer: str, **fields: Any) -> Reply:
    return user.patch(f"/customers/{customer}", {"fields": fields})


def listed(user: User) -> list[str]:
    return sorted(user.customer_ids())


# The customer that a row matches


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_phone_number_in_another_spelling_is_the_same_customer(world: World, spelling: str) -> None:
    mona = world.pool()
    first = imported(mona, row(PHONE, "First", id="a"))

    again = imported(mona, row(spelling, "Again", id="b"))

    assert first.results == again.results == ["ok"] and first.ids == again.ids == ["a"]
    assert again.json["results"][0]["customer"] == mona.customer("a") and mona.customer("a")["name"] == "First"
    assert listed(mona) == ["a"]


def test_an_address_in_another_spelling_is_the_same_customer(world: World) -> None:
    mona = world.pool()
    rows = [{"name": "L", "fields": {"email": value}} for value in ("Li.Wei@Example.COM", " ｌi.wei@example.com")]

    first, again = (imported(mona, each, key="email") for each in rows)

    assert first.ids == again.ids == listed(mona)
    assert mona.customer(first.ids[0])["fields"] == {"email": "Li.Wei@Example.COM"}


def test_a_new_customer_uses_the_id_of_its_row_or_a_generated_one(world: World) -> None:
    mona = world.pool()

    reply = imported(mona, row("13800000001", id="mine"), row("13800000002"))

    given, generated_id = reply.ids
    assert given == "mine" and listed(mona) == sorted([given, generated_id])
    assert mona.customer(generated_id)["fields"] == {"phone": "13800000002"} and mona.events(generated_id) == [
        "imported"
    ]


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
def test_an_id_that_another_customer_has_is_a_duplicate_in_every_mode(world: World, mode: str) -> None:
    mona = world.pool()
    create(mona, "a", phone="13900000000")

    reply = imported(mona, row(id="a"), row("13700000000", id="b"), row("13900000000"), on_duplicate=mode)

    assert reply.results == ["duplicate_customer", "ok", "duplicate_customer" if mode == "reject" else "ok"]
    assert reply.ids == ["a", "b", "a"] and listed(mona) == ["a", "b"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("phone", value) for value in (None, "", "call me", 12, True)] + [("email", value) for value in (None, "a@b", 7)],
)
def test_a_row_without_a_valid_key_fails_alone_with_its_reason(world: World, key: str, value: Any) -> None:
    mona = world.pool()
    good = {"name": "Good", "fields": {"phone": PHONE, "email": "a@b.cn"}}

    reply = imported(mona, {"id": "x", "name": "Bad", "fields": {key: value}}, {"name": "None"}, 7, good, key=key)

    assert reply.results == ["invalid_request"] * 3 + ["ok"] and reply.ids[:3] == ["x", "", ""]
    assert [each["errors"][0].startswith(f"fields.{key}: ") for each in reply.json["results"][:2]] == [True, True]
    assert listed(mona) == reply.ids[3:]


def test_a_key_repeated_in_the_request_is_reported_for_any_ids(world: World) -> None:
    mona = world.pool()

    reply = imported(mona, row("no phone"), row(id="a"), row(SPELLINGS[0], id="b"), row(SPELLINGS[1]))

    assert reply.results == ["invalid_request", "ok", "duplicate_in_request", "duplicate_in_request"]
    assert reply.ids == ["", "a", "b", ""] and listed(mona) == ["a"]


# The three modes


@pytest.mark.parametrize(("mode", "result", "name"), [("skip", "ok", "C1"), ("update", "ok", "Row"),
                                                      ("reject", "duplicate_customer", "C1")])  # fmt: skip
def test_no_import_mode_changes_holder_state_or_clock(world: World, mode: str, result: str, name: str) -> None:
    mona = world.pool(claim_ttl="P7D")
    create(mona, "c1", phone=PHONE, city="上海")
    world.alice.claim("c1")
    before = mona.customer("c1")

    reply = imported(mona, row(SPELLINGS[0], priority=9), on_duplicate=mode)

    after = mona.customer("c1")
    assert reply.results == [result] and reply.ids == ["c1"] and after["name"] == name
    assert {part: after[part] for part in ("state", "holder", "claim_id", "expires_at")} == {
        part: before[part] for part in ("state", "holder", "claim_id", "expires_at")
    }
    assert after["fields"] == {"phone": SPELLINGS[0] if mode == "update" else PHONE, "city": "上海"}


def test_an_import_by_key_requires_a_manager_and_reveals_no_number_to_others(world: World) -> None:
    mona = world.pool()
    create(mona, "c1", phone=PHONE)

    for mode in ("skip", "update", "reject"):
        replies = [imported(world.user(name), row(), on_duplicate=mode) for name in ("alice", "stranger")]
        fresh = [imported(world.user(name), row("13900000000"), on_duplicate=mode) for name in ("alice", "stranger")]
        assert [reply.code for reply in replies] == [reply.code for reply in fresh] == ["not_manager", "not_a_member"]
    assert listed(mona) == ["c1"]


def test_unique_keys_are_scoped_to_pool_and_tenant(world: World) -> None:
    monas = [world.pool(), world.pool("q"), world.pool(tenant="acme")]

    replies = [imported(mona, row(id=f"c{number}"), on_duplicate="reject") for number, mona in enumerate(monas)]

    assert [reply.results for reply in replies] == [["ok"]] * 3
    assert [listed(mona) for mona in monas] == [["c0"], ["c1"], ["c2"]]


# The owner of a key


def test_an_import_finds_a_customer_whose_key_was_edited_by_hand(world: World) -> None:
    mona = world.pool()
    create(mona, "made", phone="13800000001")
    mona.post("/import", {"rows": [row("13800000002", id="by-id")]})
    create(mona, "edited")
    edit(mona, "edited", phone="13800000003")
    mona.post("/import", {"rows": [row("13800000004", id="edited")], "on_duplicate": "update"})

    reply = imported(mona, *(row(f"1380000000{number}") for number in (1, 2, 3, 4)))

    made, by_id, new, edited = reply.ids
    assert (made, by_id, edited) == ("made", "by-id", "edited")
    assert new not in ("made", "by-id", "edited") and mona.customer(new)["fields"] == {"phone": "13800000003"}


def test_an_import_finds_the_newest_of_two_customers_with_one_number(world: World) -> None:
    mona = world.pool()
    create(mona, "a", phone=PHONE)
    create(mona, "b", phone=SPELLINGS[0])

    assert imported(mona, row()).ids == ["b"]
    edit(mona, "b", phone="13900000000")
    assert imported(mona, row(id="c")).ids == ["c"]


def test_rows_of_an_import_by_id_with_one_number_give_it_to_the_last(world: World) -> None:
    mona = world.pool()

    reply = mona.post("/import", {"rows": [row(id="a"), row(id="b"), row(id="c", phone="13900000000")]})

    assert reply.results == ["ok"] * 3
    assert imported(mona, row()).ids == ["b"]


def test_an_import_does_not_take_a_number_that_its_owner_regained(world: World) -> None:
    mona = world.pool()
    create(mona, "a", phone=PHONE)
    edit(mona, "a", phone="13900000000")

    with interrupted(world, "TransactWriteItems", lambda: edit(mona, "a", phone=PHONE)):
        reply = imported(mona, row(id="b"))

    assert reply.results == ["ok"] and reply.ids == ["a"] and listed(mona) == ["a"]


@pytest.mark.parametrize("mode", ["skip", "update"])
def test_an_import_does_not_update_a_customer_whose_number_changed_concurrently(world: World, mode: str) -> None:
    mona = world.pool()
    create(mona, "a", phone=PHONE)

    with interrupted(world, "TransactWriteItems", lambda: edit(mona, "a", phone="13900000000")):
        reply = imported(mona, row(id="b"), on_duplicate=mode)

    assert reply.results == ["ok"] and reply.ids == ["b"]
    assert (mona.customer("a")["name"], mona.customer("a")["fields"]) == ("A", {"phone": "13900000000"})


def test_an_import_with_a_stale_cache_reads_the_current_customer(world: World) -> None:
    mona = world.pool()
    create(mona, "a", phone=PHONE)
    with world.process():
        edit(mona, "a", phone="13900000000")

    for mode in ("reject", "skip", "update"):
        assert imported(mona, row(id=mode), on_duplicate=mode).ids == ["reject"], mode


def test_no_table_key_contains_a_phone_number(world: World) -> None:
    mona = world.pool()

    imported(mona, row(email="a@b.cn"))

    wanted_keys = [unique_key_of("phone", f"+86{PHONE}"), unique_key_of("email", "a@b.cn")]
    assert len(world.table.get(wanted_keys)) == 2
    assert not any(PHONE[3:] in key.pk or "a@b" in key.pk for key in wanted_keys)


@pytest.mark.parametrize("who", ["alice", "quinn"])
@pytest.mark.parametrize("policy", ["skip", "update", "reject"])
def test_a_refused_import_costs_the_same_whether_or_not_a_customer_exists(world: World, who: str, policy: str) -> None:
    world.pool().create("c1", fields={"phone": "13812345678"})
    costs = []

    for row in ({"fields": {"phone": "13812345678"}}, {"fields": {"phone": "13812345679"}}, {"id": "c1"}, {"id": "c2"}):
        key = {"key": "phone"} if "fields" in row else {}
        for service in (world.service, world.another_process()):
            with world.process(service):
                world.user(who).get()
                with counted(world) as made:
                    body = {"rows": [{"name": "New", **row}], "on_duplicate": policy, **key}
                    assert world.user(who).post("/import", body).status == 403
                costs.append(dict(made))

    assert costs == [{"BatchGetItem": 1}] * 8


def test_an_import_by_phone_reads_the_role_with_the_unique_keys(world: World) -> None:
    mona = world.pool()

    with counted(world) as made:
        mona.post("/import", {"rows": [{"name": "New", "fields": {"phone": "13812345678"}}], "key": "phone"})

    assert made == {"BatchGetItem": 1, "TransactWriteItems": 2}  # the second one counts the rows


# Several numbers, other countries


LANDLINE = ["021-12345678", "+86 21 1234 5678", "86-21-12345678", "(021)12345678", "电话：021—12345678"]


def test_a_landline_number_in_another_spelling_is_the_same_customer(world: World) -> None:
    mona = world.pool()

    ids = [imported(mona, row(spelling, id=f"c{number}")).ids for number, spelling in enumerate(LANDLINE)]

    assert ids == [["c0"]] * len(LANDLINE) and mona.customer("c0")["fields"] == {"phone": LANDLINE[0]}
    assert mona.customer_ids("phone=%2B862112345678") == ["c0"]


def test_an_extension_belongs_to_another_customer(world: World) -> None:
    mona = world.pool()

    reply = imported(mona, row(LANDLINE[0], id="a"), row("021-12345678-801", id="b"), row("021-12345678转801", id="c"))

    assert reply.results == ["ok", "ok", "duplicate_in_request"]
    assert (mona.customer_ids("phone=021-12345678"), mona.customer_ids("phone=02112345678 ext 801".replace(" ", "%20"))
            ) == (["a"], ["b"])  # fmt: skip


def test_each_number_of_a_cell_finds_the_customer_until_it_is_removed(world: World) -> None:
    mona, both = world.pool(), f"{PHONE}；13900000000"
    create(mona, "a", phone=both)

    found = [mona.customer_ids(f"phone={number}") for number in (PHONE, "13900000000")]
    by_second = imported(mona, row("13900000000", id="b"), row(f"13700000000/{PHONE}", id="c"))
    edit(mona, "a", phone=PHONE)

    assert found == [["a"], ["a"]] and mona.customer("a")["fields"] == {"phone": PHONE}
    assert by_second.ids == ["a", "a"] and by_second.results == ["ok", "duplicate_in_request"]
    assert mona.customer_ids("phone=13900000000") == []


def test_a_row_whose_second_number_belongs_to_a_customer_is_about_that_customer(world: World) -> None:
    mona = world.pool()
    create(mona, "a", phone=PHONE)

    reply = imported(mona, row(f"13900000000 / {PHONE}", id="b"), on_duplicate="update")

    assert reply.ids == listed(mona) == ["a"]
    assert mona.customer_ids("phone=13900000000") == ["a"]


def test_two_rows_of_a_request_that_share_a_number_are_one(world: World) -> None:
    mona = world.pool()

    reply = imported(mona, row(f"{PHONE};13900000000", id="a"), row("13900000000", id="b"), on_duplicate="reject")

    assert reply.results == ["ok", "duplicate_in_request"] and listed(mona) == ["a"]


def test_an_undo_returns_every_number_of_a_cell(world: World) -> None:
    mona = world.pool()
    create(mona, "old", phone="13900000000")

    reply = mona.post("/import", {"rows": [row(f"{PHONE};13900000000", id="new")]})
    mona.post(f"/imports/{reply.json['import_id']}/undo")

    assert (mona.customer_ids(f"phone={PHONE}"), mona.customer_ids("phone=13900000000")) == ([], ["old"])


def test_the_region_of_the_pool_completes_numbers_without_a_country_code(world: World) -> None:
    mona = world.pool(phone_region="US")

    first = imported(mona, row("(650) 253-0000", id="a"))
    again = imported(mona, row("+1 650 253 0000", id="b"))

    assert first.ids == again.ids == mona.customer_ids("phone=6502530000") == ["a"]


def test_a_customer_gets_the_keys_of_a_new_region_when_its_fields_are_written(world: World) -> None:
    mona = world.pool()
    create(mona, "a", phone="(650) 253-0000")
    mona.patch("", {"policy": {"phone_region": "US"}}, if_match="1")
    world.clock.forward(10_000)
    before = mona.customer_ids("phone=6502530000")

    edit(mona, "a", city="Palo Alto")

    assert (before, mona.customer_ids("phone=6502530000")) == ([], ["a"])


def test_a_customer_has_the_keys_of_the_region_of_the_pool_it_moved_to(world: World) -> None:
    mona = world.pool(phone_region="US")
    other = world.pool("q", phone_region="GB")
    create(mona, "a", phone="020 7946 0958")
    mona.post("/customers/a/convert", {"to": "alice"})

    moved = mona.post("/customers/a/deposit", {"pool": "q"})

    assert moved.status == 200 and other.customer_ids("phone=%2B442079460958") == ["a"]


def test_a_text_without_a_number_is_stored_and_is_no_key(world: World) -> None:
    mona = world.pool()

    made = [create(mona, customer, phone="call me") for customer in ("a", "b")]

    assert [each.status for each in made] == [201, 201] and mona.customer("a")["fields"] == {"phone": "call me"}
    assert mona.get("/customers?phone=call me".replace(" ", "%20")).code == "invalid_request"
