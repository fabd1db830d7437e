"""The key `auto`, and the dry run of an import: the result of each row is the one that the import then has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from tests.support.dynamodb_calls import counted
from tests.support.world import HOUR, Reply, User, World, everything

PHONE, DO_NOT_CONTACT = "13812345678", "13812340000"


def imported(user: User, *rows: dict[str, Any], key: str = "auto", mode: str = "update", **options: Any) -> Reply:
    return user.post("/import", {"rows": list(rows), "key": key, "on_duplicate": mode} | options)


def row(name: str = "Row", **fields: Any) -> dict[str, Any]:
    own = {each: fields.pop(each) for each in ("id", "holder") if each in fields}
    return {"name": name, "fields": fields} | own


# The key auto


def test_a_row_is_about_the_customer_of_the_first_key_that_it_has(world: World) -> None:
    mona = world.pool()
    mona.create("by-id")
    mona.create("by-phone", fields={"phone": PHONE})
    mona.create("by-email", fields={"email": "a@b.cn"})
    mona.create("by-external", fields={"external_id": "KH.0002"})

    reply = imported(
        mona, row(id="by-id", phone="none"), row(id="1", phone=f"+86 {PHONE}", email="new@b.cn"),
        row(id="2", phone="none", email="A@B.cn"), row(id="3", external_id="kh.0002"), row(city="上海"),
        row(id="new", phone="13900000000"),
    )  # fmt: skip

    assert reply.ids[:4] == ["by-id", "by-phone", "by-email", "by-external"] and reply.results == ["ok"] * 6
    assert mona.customer(reply.ids[4])["fields"] == {"city": "上海"}
    assert mona.customer_ids("phone=13900000000") == ["new"]


@pytest.mark.parametrize("mode", ["skip", "update", "reject"])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_number_of_nobody_with_the_id_of_a_customer_changes_nothing(world: World, mode: str, dry_run: bool) -> None:
    mona = world.pool()
    mona.create("1", name="Stored", fields={"phone": PHONE})

    reply = imported(mona, row("Of another system", id="1", phone="13900000000"), mode=mode, dry_run=dry_run)

    assert reply.results == ["duplicate_customer"]
    assert mona.customer("1")["name"] == "Stored" and mona.customer_ids() == ["1"]


def test_rows_without_a_key_are_new_customers(world: World) -> None:
    mona = world.pool()

    replies = [imported(mona, row("Same"), row("Same")) for _ in range(2)]

    assert len({each for reply in replies for each in reply.ids}) == 4


def test_two_rows_about_one_customer_are_reported(world: World) -> None:
    mona = world.pool()
    mona.create("a", fields={"phone": PHONE, "email": "a@b.cn"})

    reply = imported(mona, row(phone=PHONE), row(email="a@b.cn"), row(id="a"), row(id="n", phone="13900000000"),
                     row(phone="13900000000"))  # fmt: skip

    assert reply.results == ["ok", "duplicate_in_request", "duplicate_in_request", "ok", "duplicate_in_request"]


@pytest.mark.parametrize("key", ["external_id", "phone", "email"])
def test_a_row_without_its_key_is_refused(world: World, key: str) -> None:
    mona = world.pool()

    reply = imported(mona, row(city="上海"), key=key)

    assert reply.results == ["invalid_request"] and f"fields.{key}" in reply.json["results"][0]["errors"][0]


# The dry run


def test_a_dry_run_names_the_outcome_of_each_row_and_writes_nothing(world: World) -> None:
    mona = world.pool(holding_limit=1)
    mona.create("a", name="Row", fields={"phone": PHONE})
    before = list(everything(world.table))

    reply = imported(
        mona, row(id="n", holder="alice"), row(id="m", holder="alice"), row("Other", phone=PHONE), row(phone=PHONE),
        {"name": ""}, dry_run=True,
    )  # fmt: skip

    assert list(everything(world.table)) == before
    assert reply.results == ["ok", "holding_limit", "ok", "duplicate_in_request", "invalid_request"]
    assert [each.get("outcome") for each in reply.json["results"]] == ["created", None, "updated", None, None]
    assert reply.json["room"] == {"alice": 1} and reply.json["summary"] == {"ok": 2, "failed": 3}
    assert "import_id" not in reply.json


def test_equal_keys_are_equal_across_requests_and_reveal_no_contact(world: World) -> None:
    mona = world.pool()

    replies = [imported(mona, row(phone=written, email="a@b.cn"), dry_run=True) for written in (PHONE, f"+86 {PHONE}")]

    first, second = (reply.json["results"][0]["keys"] for reply in replies)
    assert first == second and len(first) == 2 and PHONE not in replies[0].text
    assert not any(key in str(list(everything(world.table))) for key in first)


def test_a_dry_run_counts_the_room_that_expired_claims_leave(world: World) -> None:
    mona = world.pool(holding_limit=1, claim_ttl="PT1H")
    mona.create("a")
    world.alice.claim("a")
    world.clock.forward(HOUR)

    reply = imported(mona, row(id="n", holder="alice"), dry_run=True)

    assert (reply.results, reply.json["room"]) == (["ok"], {"alice": 1})


def test_a_dry_run_is_for_managers_and_reads_the_role_first(world: World) -> None:
    world.pool().create("c1", fields={"phone": PHONE})

    for user in (world.alice, world.user("stranger")):
        user.get("/customers")
        with counted(world) as made:
            refused = [imported(user, row(phone=each), dry_run=True) for each in (PHONE, "13900000000")]
        assert {reply.text for reply in refused} == {refused[0].text} and refused[0].status == 403
        assert made == {"BatchGetItem": 2}


def test_the_dry_run_of_a_hundred_rows_takes_a_bounded_number_of_reads(world: World) -> None:
    mona = world.pool()
    rows = [row(phone=f"1380000{number:04d}") for number in range(100)]
    imported(mona, *rows)

    with counted(world) as made:
        imported(mona, *rows, dry_run=True)

    assert set(made) == {"BatchGetItem"} and made["BatchGetItem"] <= 8


def test_a_dry_run_knows_the_contacts_that_a_row_gives_to_a_suppressed_customer(world: World) -> None:
    mona = world.pool()
    mona.create("a", fields={"phone": PHONE, "email": "old@b.cn"})
    assert mona.post("/customers/a/suppress", {}).status == 200
    rows = [row("A", email="new@b.cn", id="a"), row("B", email="new@b.cn", id="b"), row("C", email="old@b.cn", id="c")]

    forecast, real = (imported(mona, *rows, key="id", dry_run=dry_run) for dry_run in (True, False))

    assert forecast.results == real.results == ["ok", "suppressed", "ok"]


CONTACTS = st.fixed_dictionaries(
    {},
    optional={
        "phone": st.sampled_from(
            [PHONE, "13900000000", f"{PHONE};13900000000", "021-12345678", "none", "", DO_NOT_CONTACT]
        ),
        "email": st.sampled_from(["a@b.cn", "A@B.CN", "c@d.cn", "-"]),
        "external_id": st.sampled_from(["1", "2"]),
        "id": st.sampled_from(["c1", "c2", "n1", "bad id"]),
        "holder": st.sampled_from(["alice", "bob", "nobody"]),
        "code": st.sampled_from(["A1", "ａ1", "B2", "stored"]),
    },
)
ROWS = st.lists(st.tuples(st.sampled_from(["Row", "Other", ""]), CONTACTS), min_size=1, max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ROWS, ROWS, st.sampled_from(["skip", "update", "reject"]), st.sampled_from(["auto", "phone", "email", "id", "code"])
)
def test_the_dry_run_equals_the_import(prepared: User, before: Any, rows: Any, mode: str, key: str) -> None:
    mona = prepared
    imported(mona, *(row(name, **fields) for name, fields in before), key="auto", mode="update")
    sent = [row(name, **fields) for name, fields in rows]

    forecast = imported(mona, *sent, key=key, mode=mode, dry_run=True)
    real = imported(mona, *sent, key=key, mode=mode)

    assert forecast.results == real.results
    shown = [(each["id"], each.get("limit"), each.get("used")) for each in forecast.json["results"]]
    for (expected, *limits), done in zip(shown, real.json["results"], strict=True):
        assert expected in ("", done["id"]) and limits == [done.get("limit"), done.get("used")]


@pytest.fixture
def prepared(memory_world: World) -> User:
    fields = [{"key": "code", "label": {"en": "Code", "zh": "代码"}, "type": "text", "unique": True}]
    mona = memory_world.pool(holding_limit=3, fields=fields)
    mona.create("c1", fields={"phone": PHONE, "code": "Stored"})
    mona.create("c2", fields={"email": "a@b.cn"})
    mona.create("c3", fields={"phone": DO_NOT_CONTACT})
    assert mona.post("/customers/c3/suppress", {}).status == 200
    return mona


def test_a_dry_run_uses_its_idempotency_key(world: World) -> None:
    mona = world.pool()
    body = {"rows": [row(), row(id="#")], "dry_run": True}

    first, again = (mona.post("/import", body, idempotency_key="k") for _ in range(2))

    assert again.text == first.text and again.headers["Idempotent-Replayed"] == "true"
    assert mona.post("/import", body | {"dry_run": False}, idempotency_key="k").code == "idempotency_key_reused"
