"""poolctl: signing in, claiming, releasing, and failures."""

from __future__ import annotations

import json
import stat
import subprocess
import sys

import pytest

from poolctl.output import printable
from tests.support.command_line import Terminal, result_of
from tests.support.world import World

POOL = {"holding_limit": 3, "claim_ttl": "P7D", "customers": 5}


# Signing in


def test_poolctl_stores_a_pasted_token_for_its_owner_and_uses_it(terminal: Terminal) -> None:
    pasted = f"  Bearer {terminal.token('alice')}\n"

    login = terminal.run("login", user=None, stdin=pasted)
    pools = terminal.run("pools", "--json", user=None)

    stored = terminal.home / "config" / "poolctl" / "login.json"
    assert login.status == 0 and "alice" in login.out and terminal.token("alice")[:20] not in login.out
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert pools.ids == ["p"]


def test_poolctl_does_not_echo_a_pasted_token(terminal: Terminal) -> None:
    screen = terminal.on_a_terminal("login", user=None, typed=terminal.token("alice") + "\n")

    assert "Token: " in screen and " as alice until " in screen
    assert terminal.token("alice")[:20] not in screen


def test_poolctl_does_not_store_a_rejected_token(terminal: Terminal) -> None:
    forged = terminal.token("alice")[:-8] + "AAAAAAAA"

    login = terminal.run("login", user=None, stdin=forged)
    pools = terminal.run("pools", user=None)

    assert (login.status, pools.status) == (4, 4)
    assert "did not accept the token" in login.error_line and "poolctl login" in pools.error_line


def test_poolctl_rejects_an_invalid_token_with_the_expected_form(terminal: Terminal) -> None:
    assert (
        terminal.run("login", user=None, stdin="hunter2").error_line
        == "Not a valid token: expected a JWT (three dot-separated parts)."
    )


def test_poolctl_sends_a_token_only_to_its_address(terminal: Terminal) -> None:
    terminal.run("login", user=None, stdin=terminal.token("alice"))

    target_pool = terminal.run("pools", "--url", "http://127.0.0.1:9", user=None, POOLCTL_URL="")

    assert target_pool.status == 4 and "http://127.0.0.1:9" in target_pool.error_line


# Claiming and releasing


def test_poolctl_claims_one_or_many_and_prints_each_result(terminal: Terminal) -> None:
    claimed = terminal.run("claim", "c1", "c2", "nobody", user="alice")

    assert claimed.status == 1
    assert [line.split()[:3] for line in claimed.out.splitlines()[1:]] == [
        ["c1", "ok", "alice"],
        ["c2", "ok", "alice"],
        ["nobody", "not_found:", "The"],
    ]


def test_poolctl_prints_the_limit_with_its_numbers(terminal: Terminal) -> None:
    claimed = terminal.run("claim", "c1", "c2", "c3", "c4", "--json", user="alice")
    read = terminal.run("claim", "c5", user="alice")

    assert claimed.status == read.status == 1
    assert claimed.json["summary"] == {"ok": 3, "failed": 1}
    assert claimed.json["results"][3]["code"] == "holding_limit"
    assert "3 of 3 in use" in read.out


def test_poolctl_claims_next_without_ids(terminal: Terminal) -> None:
    taken = terminal.run("claim", "--next", 2, "--json", user="alice")

    assert taken.ids == ["c1", "c2"]


def test_poolctl_releases_listed_customers_through_a_pipe(terminal: Terminal) -> None:
    terminal.run("claim", "c1", "c2", user="alice")

    mine = terminal.run("mine", "--ids", user="alice")
    released = terminal.run("release", "-", "--reason", "done", user="alice", stdin=mine.out)

    assert mine.out.split() == ["c1", "c2"]
    assert released.status == 0
    assert terminal.run("mine", "--json", user="alice").json == {"items": []}


def test_poolctl_sends_over_a_hundred_ids_in_several_requests(terminal: Terminal, threaded: World) -> None:
    threaded.pool("q")
    ids = threaded.fill(130, pool="q")

    claimed = terminal.run("claim", "-p", "q", "-", "--json", user="alice", stdin="\n".join(ids))

    assert claimed.ids == ids
    assert claimed.json["summary"] == {"ok": 130, "failed": 0}


def test_poolctl_reports_that_a_refused_atomic_batch_changed_nothing(terminal: Terminal) -> None:
    refused = terminal.run("claim", "c1", "nobody", "--atomic", "--json", user="alice")

    assert refused.status == 1
    assert [each["code"] for each in refused.json["results"]] == ["not_done", "not_found"]
    assert terminal.run("mine", "--ids", user="alice").out == ""


def test_poolctl_assigns_and_transfers_customers(terminal: Terminal) -> None:
    assigned = terminal.run("assign", "c1", "--to", "alice", "--json")
    transferred = terminal.run("assign", "c1", "--to", "bob", "--transfer", "--json")

    assert assigned.json["results"][0]["customer"]["holder"] == "alice"
    assert transferred.json["results"][0]["customer"]["holder"] == "bob"


def test_poolctl_requires_a_pool_from_a_member_of_several(terminal: Terminal, threaded: World) -> None:
    threaded.pool("q")

    without_pool = terminal.run("claim", "c1", user="alice")
    with_pool = terminal.run("claim", "c1", user="alice", POOLCTL_POOL="p")

    assert (without_pool.status, with_pool.status) == (2, 0)
    assert "p, q" in without_pool.error_line


def test_markup_in_a_name_is_printed_as_text(terminal: Terminal, threaded: World) -> None:
    threaded.mona.create("evil", name="[red]x[/red]")
    terminal.run("claim", "evil", user="alice")

    mine = terminal.run("mine", user="alice")

    assert "[red]x[/red]" in mine.out


def test_control_characters_of_a_stored_value_never_reach_the_terminal() -> None:
    assert printable("x \x1b[2J\u202e") == "x \N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"


# Failures


def test_poolctl_reports_an_unknown_pool_in_one_line(terminal: Terminal) -> None:
    unknown = terminal.run("claim", "c1", "-p", "nowhere", user="alice")

    assert unknown.status == 1 and "poolctl pools" in unknown.error_line


@pytest.mark.parametrize(
    "arguments", [["claim"], ["nonsense"], ["claim", "c1", "--next", "3"], ["pools", "--lang", "fr"]]
)
def test_a_command_line_mistake_is_one_line_and_exit_code_2(terminal: Terminal, arguments: list[str]) -> None:
    ran = terminal.run(*arguments)

    assert ran.status == 2 and ran.error_line


def test_an_id_that_changes_the_url_is_a_command_line_mistake(terminal: Terminal) -> None:
    assert terminal.run("mine", "-p", "..").status == 2


def test_an_unreachable_service_is_one_line_and_exit_code_3(terminal: Terminal) -> None:
    ran = result_of(terminal.start("pools", "--url", "http://127.0.0.1:9"))

    assert ran.status == 3 and "http://127.0.0.1:9" in ran.error_line and ran.out == ""


def test_failures_are_json_when_json_output_is_selected(terminal: Terminal) -> None:
    ran = terminal.run("mine", "--json", "-p", "nowhere")

    assert json.loads(ran.error_line)["code"] == "not_found" and json.loads(ran.error_line)["exit"] == 1


@pytest.mark.parametrize("command", [["pools"], ["export", "-"], ["export", "-", "--json"]])
def test_a_closed_output_pipe_is_not_a_failure(terminal: Terminal, threaded: World, command: list[str]) -> None:
    threaded.fill(300, prefix="more-than-fits-into-a-buffer-")
    program = terminal.start(*command)
    assert program.stdout is not None and program.stderr is not None
    program.stdout.close()

    assert program.wait(60) == 0 and program.stderr.read() == ""


def test_a_full_disk_is_one_line_and_exit_code_5(terminal: Terminal) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "poolctl", "pools"], env=terminal.environment("mona"), stdout=full,
            stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip

    assert done.returncode == 5 and len(done.stderr.splitlines()) == 1


# Languages


def test_poolctl_uses_the_locale_or_the_requested_language(terminal: Terminal) -> None:
    chinese = terminal.run("claim", "nobody", user="alice", LANG="zh_CN.UTF-8")
    english = terminal.run("claim", "nobody", "--lang", "en", user="alice", LANG="zh_CN.UTF-8")

    assert "未找到" in chinese.out and "编号" in chinese.out
    assert "The resource was not found" in english.out


def test_help_is_in_both_languages_and_names_the_page(terminal: Terminal) -> None:
    english, chinese = (terminal.run("claim", "--help", "--lang", lang) for lang in ("en", "zh"))

    assert "Claim customers by ID" in english.out and "领取客户" in chinese.out
    assert "docs/poolctl.md" in english.out and "docs/poolctl.md" in chinese.out
