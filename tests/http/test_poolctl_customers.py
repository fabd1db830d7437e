"""poolctl for customers and wins: list, create, win, approve, decline, and the log of changes."""

from __future__ import annotations

import pytest

from tests.support.command_line import Terminal
from tests.support.world import MINUTE, World

POOL = {"win": "approval", "claim_ttl": "P7D"}


def fill(world: World) -> None:
    """Create three customers in two cities, a minute apart."""
    for number, city in enumerate(("Beijing", "Shanghai", "Beijing"), 1):
        world.mona.create(
            f"c{number}", name=f"Company {9 - number}", fields={"city": city, "phone": f"1380013800{number}"}
        )
        world.clock.forward(MINUTE)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["c3", "c2", "c1"]),
        (["--sort", "name"], ["c3", "c2", "c1"]),
        (["--filter", "city:Beijing"], ["c3", "c1"]),
        (["--filter", "city:Beijing", "--filter", "city:Shanghai"], []),
        (["--search", "pany 7"], ["c2"]),
        (["--phone", "13800138001"], ["c1"]),
        (["--state", "available", "--sort", "rank"], ["c2", "c3"]),
        (["--holder", "alice", "--sort", "last_follow_up_at"], ["c1"]),
        (["--limit", "2"], ["c3", "c2"]),
    ],
)
def test_a_list_takes_the_filters_and_orders_of_the_service(
    terminal: Terminal, threaded: World, options: list[str], expected: list[str]
) -> None:
    fill(threaded)
    threaded.alice.claim("c1")

    listed, table = terminal.run("list", *options, "--json"), terminal.run("list", *options)

    assert listed.status == table.status == 0
    assert listed.ids == expected
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == expected


def test_an_order_that_a_list_does_not_have_is_refused_with_those_it_has(terminal: Terminal) -> None:
    refused = terminal.run("list", "--state", "claimed", "--sort", "rank")

    assert refused.status == 1 and "expires_at, name" in refused.error_line


def test_a_customer_is_created_and_a_duplicate_only_with_allow(terminal: Terminal, threaded: World) -> None:
    fill(threaded)
    named = ("create", "Acme = Co", "--field", "phone=13800138001", "--field", "remark=a=b", "--id", "new")

    refused, forced = terminal.run(*named), terminal.run(*named, "--allow", "--priority", 3, "--json")
    owned = terminal.run("create", "Private", "--private-of", "alice", "--json")
    wrong = terminal.run("create", "Wrong", "--field", "phone")

    assert refused.status == 1 and "duplicate_customer" in refused.error_line
    assert forced.json["items"] == [threaded.mona.customer("new")]
    assert forced.json["items"][0]["fields"] == {"phone": "13800138001", "remark": "a=b"}
    assert (owned.json["items"][0]["state"], owned.json["items"][0]["holder"]) == ("private", "alice")
    assert wrong.status == 2 and "FIELD=VALUE" in wrong.error_line


def test_wins_are_asked_for_listed_approved_and_declined(terminal: Terminal, threaded: World) -> None:
    fill(threaded)
    threaded.alice.claim_batch(["c1", "c2", "c3"])

    asked = terminal.run("win", "c1", "c2", "--note", "signed", user="alice")
    with_amount = terminal.run("win", "c3", "--amount", "12.50", "--ends-at", "2027-06-01T00:00:00Z", user="alice")
    listed = terminal.run("list", "--state", "win_requested", "--json")
    approved = terminal.run("approve", "-", "--json", stdin="c1 c3 nobody")
    declined = terminal.run("decline", "c2", "c3", "--reason", "not signed", "--json")

    assert (asked.status, with_amount.status, sorted(listed.ids)) == (0, 0, ["c1", "c2", "c3"])
    assert approved.status == 1 and [each["ok"] for each in approved.json["results"]] == [True, True, False]
    assert threaded.mona.customer("c3")["amount"] == "12.50"
    assert declined.status == 1
    assert [each.get("code", "ok") for each in declined.json["results"]] == ["ok", "not_claimed"]
    assert threaded.alice.events("c2")[-1] == "win_declined"


def test_an_amount_is_for_a_single_customer_and_a_decline_has_a_reason(terminal: Terminal, threaded: World) -> None:
    fill(threaded)
    threaded.alice.claim_batch(["c1", "c2"])
    threaded.alice.post("/customers/c1/win")

    several = terminal.run("win", "c1", "c2", "--amount", "5", user="alice")
    without, blank = terminal.run("decline", "c1"), terminal.run("decline", "c1", "--reason", " ")

    assert (several.status, without.status, blank.status) == (2, 2, 1)
    assert "reason_required" in blank.error_line
    assert threaded.alice.customer("c2")["win_requested_at"] is None
    assert threaded.alice.events("c1")[-1] == "win_requested"


def test_customers_are_suppressed_listed_and_suppressed_no_more(terminal: Terminal, threaded: World) -> None:
    fill(threaded)
    threaded.alice.claim("c2")

    refused = terminal.run("suppress", "c1", "c2", "--json")
    forced = terminal.run("suppress", "-", "--force", stdin="c2")
    listed = terminal.run("list", "--state", "suppressed", "--json")
    threaded.mona.post("/customers/c1/erase", {"reason": "requested", "suppress": True})
    ended = terminal.run("unsuppress", "c1", "c2")

    assert refused.status == 1
    assert [each.get("code", "ok") for each in refused.json["results"]] == ["ok", "already_claimed"]
    assert (forced.status, sorted(listed.ids)) == (0, ["c1", "c2"])
    assert ended.status == 0 and threaded.mona.customer("c2")["suppressed_at"] is None
    assert threaded.mona.get("/erased").json["items"][0]["suppressed"] is False


def test_the_log_shows_who_changed_which_rule(terminal: Terminal, threaded: World) -> None:
    terminal.run("policy", "--set", "private_visible_to=pool", "--set", "win=holder", "--set", "win_review=P3D",
                 "--set", "private_limit=5", "--set", "private_ttl=P30D", "--set", "notes_visible_to=pool",
                 "--set", "phone_region=DE", "--set", "strict_fields=true")  # fmt: skip

    shown, program = terminal.run("log", "--from", "2026-06-01"), terminal.run("log", "--json")

    change = program.json["items"][-1]
    assert (change["what"], change["by"]) == ("policy", "mona")
    assert change["new"].items() >= {"private_visible_to": "pool", "win": "holder", "private_limit": 5}.items()
    assert shown.status == 0 and "private_visible_to" in shown.out.splitlines()[-1]
    assert terminal.run("log", user="alice").status == 1
    assert terminal.run("log", "--to", "never").status == 1
    assert threaded.mona.get().json["policy"]["phone_region"] == "DE"


def test_a_rule_with_a_list_or_a_member_that_is_off_is_read_back(terminal: Terminal, threaded: World) -> None:
    changed = terminal.run("policy", "--set", "masked_fields=phone,email", "--set", "private_visible_to=off", "--json")

    assert changed.status == 0 and changed.json["policy"]["masked_fields"] == ["phone", "email"]
