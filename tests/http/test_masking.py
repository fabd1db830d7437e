"""Masking: only the holder and managers see fields that the policy masks, on every route."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from chalicelib.domain import masking
from chalicelib.model.identities import user_of
from chalicelib.model.model import Pool
from chalicelib.model.policy import Policy
from tests.support.canaries import EMAIL, FIELDS, NAME, PHONE
from tests.support.dynamodb_calls import counted
from tests.support.world import HOUR, User, World


def masked_pool(world: World) -> User:
    mona = world.pool(masked_fields=["name", "phone"])
    fields = {"phone": "13812345678", "city": "上海"}
    mona.create("c1", name="Acme Trading", fields=fields)
    mona.create("c2", name="Other", fields=fields, on_duplicate="allow")
    return mona


def hidden(customer: dict[str, Any]) -> bool:
    """Return True if every field of the policy is masked and listed, False if none is. Any mixture fails."""
    masked = customer["fields"]["phone"] == "138****5678" and "****" in customer["name"]
    assert masked == customer["masked"] and customer["fields"]["city"] == "上海"
    assert masked or "****" not in str(customer)
    return masked


def test_only_the_holder_and_managers_see_masked_fields_on_any_route(world: World) -> None:
    mona, alice, bob = masked_pool(world), world.alice, world.bob

    assert not hidden(alice.claim("c1").json) and not hidden(alice.claim_batch(["c1"]).json["results"][0]["customer"])
    assert not hidden(alice.customer("c1")) and hidden(bob.customer("c1")) and not hidden(mona.customer("c1"))
    for query in ("", "?state=claimed", "?holder=alice"):
        assert [hidden(each) for each in alice.walk(f"/customers{query}") if each["id"] == "c1"] == [False]
        assert [hidden(each) for each in bob.walk(f"/customers{query}") if each["id"] == "c1"] == [True]
        assert [hidden(each) for each in mona.walk(f"/customers{query}") if each["id"] == "c1"] == [False]
    assert hidden(alice.release("c1").json) and hidden(alice.customer("c1"))
    assert not hidden(bob.claim_next(1).json["items"][0])
    for path in ("/customers/c1/history", "/customers/c1/eligibility", "/members/me"):
        assert "1381234" not in alice.get(path).text and "Acme" not in alice.get(path).text


def test_a_failed_batch_shows_no_more_than_a_list(world: World) -> None:
    masked_pool(world)

    refused = world.alice.claim_batch(["c1", "c2", "nobody"], atomic=True)
    assigned = world.alice.post("/assign", {"customer_ids": ["c1"], "to": "alice", "atomic": True})

    assert refused.status == 409 and [hidden(each["customer"]) for each in refused.json["results"][:2]] == [True, True]
    assert assigned.status in (403, 409) and "1381234" not in assigned.text


def test_a_manager_who_reclaims_a_customer_sees_it_unmasked(world: World) -> None:
    mona = masked_pool(world)
    world.alice.claim("c1")

    assert not hidden(mona.release("c1").json)


def test_a_manager_who_releases_their_own_customer_sees_it_unmasked(world: World) -> None:
    mona = masked_pool(world)
    world.alice.claim("c2")
    mona.claim("c1")

    refused = mona.claim_batch(["c1", "c2"], atomic=True).json["results"]
    released = mona.release("c1").json
    mona.claim("c1")
    in_a_batch = mona.release_batch(["c1"]).json["results"][0]["customer"]
    mona.claim("c1")
    mona.post("/customers/c1/win")
    deposited = mona.post("/customers/c1/deposit").json

    assert not any(hidden(each) for each in (refused[0]["customer"], released, in_a_batch, deposited))


@pytest.mark.parametrize(("role", "masked"), [("manager", False), ("member", True)])
def test_a_deposit_into_another_pool_is_masked_by_the_policy_of_that_pool(
    world: World, role: str, masked: bool
) -> None:
    mona = masked_pool(world)
    world.pool("q", members="", masked_fields=["name", "phone"])
    world.root.request("PUT", "/v1/pools/q/members/mona", {"role": role})
    mona.claim("c1")
    mona.post("/customers/c1/win")

    assert hidden(mona.post("/customers/c1/deposit", {"pool": "q"}).json) == masked


def test_a_release_under_a_mask_reads_the_membership_and_a_claim_does_not(world: World) -> None:
    masked_pool(world)
    world.alice.customer("c1")

    with counted(world) as claiming:
        world.alice.claim("c1")
    with counted(world) as releasing:
        world.alice.release("c1")

    assert claiming == {"TransactWriteItems": 1}
    assert releasing == {"TransactWriteItems": 1, "BatchGetItem": 1}


def test_a_holder_of_an_expired_claim_sees_masked_fields(world: World) -> None:
    world.pool(claim_ttl="PT1H", masked_fields=["phone"])
    world.mona.post("/customers", {"id": "c1", "name": "A", "fields": {"phone": "13812345678"}})
    world.alice.claim("c1")
    world.clock.forward(HOUR)

    assert world.alice.customer("c1")["fields"]["phone"] == "138****5678"


def test_an_edit_of_a_masked_field_does_not_store_the_mask(world: World) -> None:
    mona = masked_pool(world)

    mona.patch("/customers/c1", {"fields": {"city": "北京"}})

    assert mona.customer("c1")["fields"] == {"phone": "13812345678", "city": "北京"}


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("13812345678", "138****5678"),
        ("138 1234 5678", "138****5678"),
        ("+86 138-1234-5678", "138****5678"),
        ("0086 13812345678", "138****5678"),
        ("１３８１２３４５６７８", "138****5678"),
        ("021-12345678", "021****5678"),
        ("+86 21 1234 5678", "+86****5678"),
        ("+1 202 555 0123", "+12****0123"),
        ("2025550123", "2****"),
        ("95588", "9****"),
        ("13812345678 / 13987654321", "1****"),
        ("zhang@example.com", "z****@example.com"),
        (" Zhang.San@Example.com ", "Z****@Example.com"),
        ("ｚｈａｎｇ＠example.com", "z****@example.com"),
        ("a@b.cn", "a****@b.cn"),
        ("Acme Trading Limited", "A****"),
        ("上海贸易有限公司第一分公司", "上****"),
        ("王", "****"),
        ("王五", "王****"),
        (" \u200b王五", "王****"),
        ("e\u0301", "****"),
        ("e\u0301cole", "e\u0301****"),
        ("👩‍👧", "****"),
        ("👩‍👧 Li", "👩‍👧****"),
        ("👍🏽", "****"),
        ("🇨🇳", "****"),
        ("🇨🇳 Li", "🇨🇳****"),
        ("\u200b", "****"),
        ("  ", "****"),
        ("", ""),
        (None, None),
        (True, "****"),
        (False, "****"),
        (0, "****"),
        (0.5, "****"),
        (13812345678, "****"),
    ],
)
def test_a_masked_phone_number_has_the_documented_form(value: Any, masked: Any) -> None:
    mask = masking.of(Pool("main", "demo", "Demo", "open", Policy(masked_fields=("phone",)), 1, 0, 0))

    assert mask is not None and mask.field("phone", value) == masked


@pytest.mark.parametrize(
    ("value", "masked"),
    [("13812345678", "138****5678"), ("+1 202 555 0123", "+12****0123"), ("622202001234567", "6****")],
)
def test_a_masked_phone_number_in_another_field_shows_more_than_a_digit(value: str, masked: str) -> None:
    assert masking.whole(value) == masked


@pytest.mark.parametrize(("masked", "field"), [("Phone", "phone"), ("phone", " PHONE "), ("ｐｈｏｎｅ", "phone")])
def test_a_field_is_masked_under_any_spelling_in_the_policy(world: World, masked: str, field: str) -> None:
    mona = world.pool(masked_fields=[masked])
    mona.create("c1", fields={field: "13812345678"})

    assert world.alice.customer("c1")["fields"] == {field: "138****5678"}


def test_only_masked_text_keeps_visible_characters(world: World) -> None:
    mona = world.pool(masked_fields=["grade"])

    for number, value in enumerate(("A", 7, "王", True, 0.5)):
        mona.create(f"c{number}", fields={"grade": value})
        assert world.alice.customer(f"c{number}")["fields"]["grade"] == "****"


# Contacts inside text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("call 13912345678, boss is Wang", "call 139****5678, boss is Wang"),
        ("电话13912345678张三", "电话139****5678张三"),
        ("１３９１２３４５６７８", "139****5678"),
        ("+86 139-1234-5678 / 021-62345678", "139****5678 / 021****5678"),
        ("13912345678/13812345678", "139****5678/138****5678"),
        ("邮箱zhangsan@example.com谢谢", "邮箱z****@example.com谢谢"),
        ("张三@例子.公司", "张****@例子.公司"),
        ("müller@example.com", "m****@example.com"),
        ("mail john.o'connor@example.com", "mail j****@example.com"),
        ("zhang.san~li@example.com", "z****@example.com"),
        ("R&D.office@example.com", "R****@example.com"),
        ("x!y#z@example.com", "x****@example.com"),
        ("ab@x.cn/bc@x.cn", "a****@x.cn/b****@x.cn"),
        ("13812345678@qq.com", "1****@qq.com"),
        ("mail 'zhang'@example.com", "mail z****@example.com"),
        ('"zhang san"@example.com', "z****@example.com"),
        (r'"zhang\" s@n"@example.com', "z****@example.com"),
        ("“张三”@例子.公司", "张****@例子.公司"),
        ("zhang@example。com。谢谢", "z****@example。com。谢谢"),
        ("zhang@example｡com", "z****@example｡com"),
        ("张三@example．com", "张****@example．com"),
        ("zhang@[1.2.3.4]", "z****@[1.2.3.4]"),
        ("'zhang'@[IPv6:2001:db8::1]", "z****@[IPv6:2001:db8::1]"),
        ('the "best" one @ "Acme" is 5 @ 3.5', 'the "best" one @ "Acme" is 5 @ 3.5'),
        ("张三@例子。公司", "张****@例子。公司"),
        ("张.三＠例子．公司", "张****@例子．公司"),
        ("zh\u200bang@exa\u200bmple.com", "z****@exa\u200bmple.com"),
        ("联系zhang @ example.com谢谢", "联系z****@example.com谢谢"),
        ("…zhang@example.com", "…z****@example.com"),
        ("ﬁona@example.com", "f****@example.com"),
        ("138\u200b1234\u200b5678", "138****5678"),
        ("13912345678\u200b13812345678", "139****5678\u200b138****5678"),
        ("1\u03363\u03368\u033612345678", "138****5678"),
        ("①③⑧ 1234 5678", "138****5678"),
        ("13912345678②", "139****5678②"),
        ("Ａ13912345678", "Ａ139****5678"),
        ("a@b.cn", "a****@b.cn"),
        ("合同 20261128001, 2026-11-28 12:00", "合同 20261128001, 2026-11-28 12:00"),
        ("Acme Trading", "Acme Trading"),
        ("138****5678 z****@example.com", "138****5678 z****@example.com"),
    ],
)
def test_contacts_in_text_are_masked_in_place(text: str, masked: str) -> None:
    assert masking.in_text(text, "CN") == masked


def test_contacts_in_other_fields_and_names_are_masked_for_readers_without_access(world: World) -> None:
    mona, alice = world.pool(masked_fields=["phone"]), world.alice
    fields = {"remark": "call 13912345678 or zhang@example.com", "size": 13912345678, "phone": "", "email": "z@a.cn"}
    mona.create("c1", name="Wang 13812345678", fields=fields)

    shown, listed = alice.customer("c1"), alice.walk("/customers")[0]
    alice.claim("c1")

    assert (shown["name"], shown["masked"]) == ("Wang 138****5678", True)
    assert listed == shown | {"fields": {}, "partial": True}
    assert shown["fields"] == fields | {"remark": "call 139****5678 or z****@example.com"}
    for user in (mona, alice):
        assert (user.customer("c1")["name"], user.customer("c1")["fields"]) == ("Wang 13812345678", fields)


def test_a_list_or_object_that_contains_a_contact_is_masked_completely(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    contacts = {
        "people": [{"tel": "a\n13812345678"}], "boss": {"13812345678": 1}, "desk": {"mail": ["li@a.cn"]},
        "number": [13812345678],
    }  # fmt: skip
    plain = {"tags": ["a", {"b": 1}]}
    mona.create("c1", fields=contacts | plain)

    shown = world.alice.customer("c1")

    assert (shown["masked"], shown["fields"]) == (True, dict.fromkeys(contacts, "****") | plain)
    assert mona.customer("c1")["fields"] == contacts | plain


def test_a_second_column_with_contacts_is_masked_like_the_first(world: World) -> None:
    mona = world.pool(masked_fields=["phone", "email"])
    fields = {
        "电话": "87654321转801", "老板电话": 12345678, "Mobile 2": "138 0013 8001", "工作邮箱": "li", "QQ": "12345678",
    }  # fmt: skip
    mona.create("c1", fields=fields)

    shown = world.alice.customer("c1")["fields"]

    assert shown == {
        "电话": "8****",
        "老板电话": "****",
        "Mobile 2": "138****8001",
        "工作邮箱": "l****",
        "QQ": "12345678",
    }


@pytest.mark.parametrize(("masked", "shown"), [(["email"], "8765"), (["city"], "8765"), (["phone"], "8****")])
def test_a_second_phone_is_masked_only_where_the_first_is(world: World, masked: list[str], shown: str) -> None:
    world.pool(masked_fields=masked).create("c1", fields={"电话": "8765"})

    assert world.alice.customer("c1")["fields"] == {"电话": shown}


def test_a_field_that_the_pool_defines_as_text_is_masked_only_by_its_definition(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    field = {"key": "mobile", "label": {"en": "Mobile", "zh": "手机"}, "type": "text"}
    assert mona.patch("", {"fields": [field]}, if_match='"1"').status == 200
    mona.create("c1", fields={"mobile": "8765"})

    assert world.alice.customer("c1")["fields"] == {"mobile": "8765"}


def test_a_pool_without_contact_masking_shows_text_unchanged(world: World) -> None:
    for pool, masked in {"p": None, "q": ["city"]}.items():
        mona = world.pool(pool, masked_fields=masked)
        mona.create("c1", name="Wang 13812345678", fields={"remark": "13912345678"})

        shown = world.user("alice", pool=pool).customer("c1")
        assert (shown["name"], shown["fields"]) == ("Wang 13812345678", {"remark": "13912345678"})


@pytest.mark.parametrize(("region", "masked"), [("HK", "2****"), ("CN", "2123 4567")])
def test_phone_numbers_are_recognized_by_the_region_of_the_pool(world: World, region: str, masked: str) -> None:
    mona = world.pool(masked_fields=["phone"], phone_region=region)
    mona.create("c1", fields={"remark": "2123 4567"})

    assert world.alice.customer("c1")["fields"]["remark"] == masked


def test_a_masked_number_in_an_address_cannot_be_found_by_search(world: World) -> None:
    mona, alice = world.pool(masked_fields=["phone"]), world.alice
    mona.create("c1", fields={"email": "13812345678@qq.com"})

    refused = [alice.get(f"/customers?email={number}@qq.com") for number in ("13812345678", "13812345679")]

    assert alice.customer("c1")["fields"]["email"] == "138****5678@qq.com"
    assert [each.code for each in refused] == ["not_manager"] * 2 and refused[0].text == refused[1].text


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_a_member_cannot_search_a_name_that_is_masked_for_them(world: World, limit: int) -> None:
    mona, alice = world.pool(masked_fields=["phone"]), world.alice
    for number, name in enumerate(("Wang", "Wang 13812345670", "Wang 13812345671", "Wang 13812345672", "Wang Wei")):
        mona.create(f"c{number}", name=name)
    alice.claim("c3")

    found = [each["id"] for page in alice.pages("/customers?name=wang", limit) for each in page]
    probed = [alice.get(f"/customers?name=wang 1381{more}&limit=1").text for more in ("", "2345671", "9")]

    assert found == ["c0", "c3", "c4"]
    assert [json.loads(each)["next_cursor"] for each in probed] == [None] * 3 and probed[1] == probed[2]
    assert mona.customer_ids("name=wang") == ["c0", "c1", "c2", "c3", "c4"]


def test_a_long_run_of_hidden_names_ends_a_search_page_of_a_member(world: World) -> None:
    mona = world.pool(masked_fields=["phone"])
    rows = [{"id": f"c{n:03d}", "name": f"Wang 138{n:08d}"} for n in range(1_020)] + [{"id": "w", "name": "Wang Wei"}]
    for start in range(0, len(rows), 100):
        assert mona.post("/import", {"rows": rows[start : start + 100]}).json["summary"]["failed"] == 0

    with counted(world) as calls:
        answer = world.alice.get("/customers?name=wang").json

    assert answer == {"items": [], "next_cursor": None} and sum(calls.values()) <= 21


def test_the_phone_library_is_loaded_only_for_masked_text_with_seven_digits() -> None:
    loaded = """
import sys
from msgspec.structs import replace
from chalicelib.api import routes
from chalicelib.domain import masking
from chalicelib.model.model import Pool
from chalicelib.model.policy import Policy
made = Pool("main", "demo", "Demo", "open", Policy(), 1, 0, 0)
open_pool, mask = masking.of(made), masking.of(replace(made, policy=Policy(masked_fields=("phone",))))
mask.field("phone", "13812345678"), mask.field("remark", "room 123456, a@b.cn"), mask.field("size", 13812345678)
before = "phonenumbers" in sys.modules
mask.field("remark", "1381234567")
print(open_pool, before, "phonenumbers" in sys.modules)
"""
    assert subprocess.check_output([sys.executable, "-c", loaded], text=True).split() == ["None", "False", "True"]


PATHS = ("/customers", "/customers?state=available", "/customers?state=claimed", "/customers?state=private",
         "/customers?holder=alice", "/customers?name=z", "/customers/{}", "/customers/{}/history",
         "/customers/{}/eligibility", "/members/me", "")  # fmt: skip
VERBS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("claim", {}), ("release", {"reason": "x"}), ("follow-up", {"note": "x"}), ("extend", {"by": "PT1H"}), ("win", {}),
    ("deposit", {}), ("pin", {"until": "2026-06-02T00:00:00Z"}), ("unpin", {}), ("restore", {}), ("convert", {}),
    ("assign", {"to": "bob"}), ("transfer", {"to": "bob"}),
)  # fmt: skip


@pytest.mark.parametrize("private_visible_to", [None, "pool"])
def test_no_route_shows_a_member_masked_data(world: World, private_visible_to: str | None) -> None:
    policy: dict[str, Any] = {"claim_ttl": "P7D", "private_visible_to": private_visible_to}
    mona, alice, bob = world.pool(masked_fields=["name", "phone"], **policy), *map(world.user, ("alice", "bob"))
    fields = FIELDS | {"remark": f"call {PHONE} or {EMAIL}", "level": 0.5}
    for each in ("held", "private", "free"):
        mona.create(each, name=NAME, fields=fields)
    for each in ("held", "private"):
        alice.claim(each)
        alice.post(f"/customers/{each}/follow-up", {"note": f"note {PHONE}", "outcome": "secret"})
    alice.post("/customers/private/win")
    mona.claim("free")
    mona.release("free", reason="secret")

    seen = [bob.get(path.format(each)).text for path in PATHS for each in ("held", "private", "free")]
    for verb, body in VERBS:
        seen += [bob.post(f"/customers/{each}/{verb}", body).text for each in ("held", "private")]
        seen += [bob.post(f"/{verb}", {"customer_ids": ["held", "private"], "atomic": atomic} | body).text
                 for atomic in (True, False) if verb not in ("restore", "convert", "assign", "transfer")]  # fmt: skip
    seen += [bob.get(f"/customers?{query}").text for query in (f"phone={PHONE}", f"email={EMAIL}")]
    seen.append(bob.patch("/customers/held", {"fields": {"phone": PHONE}}).text)
    seen.append(bob.post("/import", {"rows": [{"name": "x", "fields": {"phone": PHONE}}], "key": "phone"}).text)

    remarks = f"call {PHONE[:3]}****{PHONE[-4:]} or c****@example.test"
    for text in seen:
        without = text.replace(f'"email":"{EMAIL}"', "")  # the policy leaves that field open
        assert not any(each in without for each in (PHONE, EMAIL, NAME, "secret", "note ")), text
    assert f"{PHONE[:3]}****{PHONE[-4:]}" in seen[0] and remarks in bob.get("/customers/held").text


# Notes and reasons


NOTE = "call 13912345678, boss is Wang"


def reasons(user: User, customer: str = "c1") -> list[tuple[str, str | None, bool]]:
    """Return the events with a reason, as that user sees them."""
    events = user.get(f"/customers/{customer}/history?limit=100").json["items"]
    return [(each["type"], each["reason"], each["masked"]) for each in events if each["reason"] or each["masked"]]


def test_a_note_is_visible_only_to_its_author_the_holder_and_managers(world: World) -> None:
    mona, alice, bob, carl = world.pool(members="alice bob carl"), *map(world.user, ("alice", "bob", "carl"))
    mona.create("c1")
    alice.claim("c1")
    alice.post("/customers/c1/follow-up", {"note": NOTE, "outcome": "later"})
    shown = ("followed_up", NOTE, False)

    others = bob.get("/customers/c1/history")
    alice.release("c1", reason="no budget")
    bob.claim("c1")

    assert NOTE not in others.text and [each["masked"] for each in others.json["items"]] == [False, False, True]
    assert reasons(alice) == reasons(bob) == reasons(mona) == [shown, ("released", "no budget", False)]
    assert reasons(world.root) == reasons(mona)
    assert reasons(carl) == [("followed_up", None, True), ("released", None, True)]


def test_a_user_named_by_an_event_sees_its_reason_and_nothing_else(world: World) -> None:
    mona, alice = world.pool(members="alice bob"), world.alice
    mona.create("c1")
    alice.claim("c1")
    mona.release("c1", reason="not your region")
    world.bob.claim("c1")
    world.bob.post("/customers/c1/follow-up", {"note": NOTE})

    assert reasons(alice) == [("reclaimed", "not your region", False), ("followed_up", None, True)]


def test_a_holder_of_an_expired_claim_sees_only_their_own_notes(world: World) -> None:
    mona, alice, bob = world.pool(claim_ttl="PT1H"), world.alice, world.bob
    mona.create("c1")
    alice.claim("c1")
    alice.post("/customers/c1/follow-up", {"note": NOTE})
    alice.release("c1", reason="no budget")
    bob.claim("c1")
    bob.post("/customers/c1/follow-up", {"note": "mine"})

    before = reasons(bob)
    world.clock.forward(HOUR)

    assert [each[1] for each in before] == [NOTE, "no budget", "mine"]
    assert [each[1] for each in reasons(bob)] == [None, None, "mine"]


def test_the_owner_of_a_private_customer_sees_earlier_notes(world: World) -> None:
    mona, alice, bob = world.pool(), world.alice, world.bob
    mona.create("c1")
    alice.claim("c1")
    alice.release("c1", reason=NOTE)

    mona.post("/customers/c1/convert", {"to": "bob"})

    assert reasons(bob) == [("released", NOTE, False)]


def test_notes_may_be_shown_to_the_whole_pool(world: World) -> None:
    mona, alice, bob = world.pool(masked_fields=["phone"]), world.alice, world.bob
    mona.create("c1")
    alice.claim("c1")
    alice.release("c1", reason=NOTE)
    shown = []

    for version, readers in enumerate(("pool", "holder", "pool", None), start=1):
        mona.patch("", {"policy": {"notes_visible_to": readers}}, if_match=str(version))
        world.clock.forward(10_000)
        shown.append((mona.get().json["policy"]["notes_visible_to"], reasons(bob)[0]))

    open_to_all, hidden = ("pool", ("released", NOTE, False)), ("holder", ("released", None, True))
    assert shown == [open_to_all, hidden, open_to_all, hidden]
    assert world.user("quinn").get("/customers/c1/history").code == "not_a_member"


def test_reasons_written_by_the_service_are_visible_to_every_member(world: World) -> None:
    mona, bob, root = world.pool(claim_ttl="P3D", reminders=["P1D"]), world.bob, world.root
    for each in ("removed", "closed", "reminded"):
        mona.create(each)
        world.alice.claim(each)
    imported = mona.post("/import", {"rows": [{"id": "c1", "name": "A"}]}).json
    changed = mona.post("/import", {"rows": [{"id": "c1", "name": "B"}], "on_duplicate": "update"}).json
    mona.post(f"/imports/{changed['import_id']}/undo")
    assert imported["summary"]["failed"] == 0

    world.clock.forward(2 * 24 * HOUR)
    world.sweep()
    root.post("/pause")
    root.post("/resume")
    mona.delete("/members/alice?held=release")
    bob.claim("closed")
    root.post("/close", {"mode": "drain"})

    assert reasons(bob, "c1") == [("updated", "import undone", False)]
    removed = [("reminded", "P1D", False), ("updated", "pool resumed", False), ("reclaimed", "member removed", False)]
    assert reasons(bob, "removed") == removed
    assert reasons(world.bob, "closed")[-1] == ("reclaimed", "pool closed", False)


def test_notes_of_a_user_named_like_the_service_are_hidden(world: World) -> None:
    mona, system = world.pool(members="system bob"), world.user(user_of("system"))
    mona.create("c1")
    system.claim("c1")

    system.release("c1", reason=NOTE)

    assert reasons(world.bob) == [("released", None, True)]
