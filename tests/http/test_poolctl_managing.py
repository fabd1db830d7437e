"""poolctl for managers and admins: export, policy, sweep, audit and watch."""

from __future__ import annotations

import csv
import io
import itertools
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from chalicelib.dynamodb import keys
from chalicelib.dynamodb.table import Put
from poolctl.exports import whole_customers
from poolctl.session import Session
from tests.http.test_audit import ALICE, corrupt
from tests.support.command_line import Terminal, result_of, terminal_for
from tests.support.dynamodb_calls import hooked
from tests.support.world import DAY, World

POOL = {"holding_limit": 5, "claim_ttl": "P7D"}


DANGEROUS = ["=1+1", "+86 10", "-2", "@SUM", "\tTab", "\rReturn"]


# Export


def fill(world: World) -> None:
    """Create one customer full of formulas, and one that alice holds."""
    world.mona.create(
        "evil", name="=cmd()", priority=-3, fields={"note": "x", **{f"f{n}": t for n, t in enumerate(DANGEROUS)}}
    )
    world.mona.create("good", name="北辰科技", fields={"phone": "13800138000", "城市": "北京", "staff": 12})
    assert world.alice.claim("good").status == 200


def test_an_exported_csv_file_has_a_byte_order_mark_and_no_formula(terminal: Terminal, threaded: World) -> None:
    fill(threaded)

    done = terminal.run("export", terminal.home / "all.csv", "--json")

    raw = (terminal.home / "all.csv").read_bytes()
    evil, good = sorted(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")), key=lambda row: row["id"])
    assert done.json["exported"] == 2 and raw.startswith(b"\xef\xbb\xbf")
    assert [evil["name"], *(evil[f"f{n}"] for n in range(6))] == [f"'{each}" for each in ["=cmd()", *DANGEROUS]]
    assert (evil["priority"], good["staff"], good["pool_holder"]) == ("-3", "12", "alice")


def test_an_exported_workbook_has_chinese_headings_and_no_formula(terminal: Terminal, threaded: World) -> None:
    fill(threaded)

    done = terminal.run("export", terminal.home / "all.xlsx", LANG="zh_CN.UTF-8")

    with CalamineWorkbook.from_path(terminal.home / "all.xlsx") as book:
        titles, *rows = book.get_sheet_by_index(0).to_python()
    by_id = {str(row[0]): dict(zip(titles, row, strict=True)) for row in rows}
    assert done.status == 0 and "2 个客户" in done.out
    assert titles[:8] == ["编号", "客户名称", "公海状态", "公海负责人", "领取时间", "到期时间", "优先级", "手机"]
    assert by_id["evil"]["客户名称"] == "'=cmd()" and by_id["good"]["手机"] == "13800138000"
    assert by_id["good"]["城市"] == "北京"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_an_exported_file_can_be_imported_unchanged(terminal: Terminal, threaded: World, kind: str) -> None:
    fill(threaded)
    threaded.pool("q")
    terminal.run("export", "-p", "p", terminal.home / f"all.{kind}", LANG="zh_CN.UTF-8")

    done = terminal.run("import", "-p", "q", terminal.home / f"all.{kind}")

    imported = {each["id"]: each for each in threaded.user("mona", pool="q").in_full("/customers")}
    assert done.status == 0, done.err
    assert imported.keys() == {"evil", "good"}
    assert (imported["evil"]["name"], imported["evil"]["priority"]) == ("=cmd()", -3)
    assert [imported["evil"]["fields"][f"f{n}"] for n in range(5)] == DANGEROUS[:5]
    assert {name: str(assignment) for name, assignment in imported["good"]["fields"].items()} == {
        "phone": "13800138000", "城市": "北京", "staff": "12",
    }  # fmt: skip


def test_an_export_writes_lists_of_texts_with_commas_and_other_lists_and_objects_as_json(
    terminal: Terminal, threaded: World
) -> None:
    threaded.mona.create("a", fields={"tags": ["vip", "east"], "site": {"楼": [3]}, "rows": [1, None]})

    terminal.run("export", terminal.home / "all.csv")

    text = (terminal.home / "all.csv").read_text(encoding="utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text, newline="")))
    assert (row["tags"], row["site"], row["rows"]) == ("vip,east", '{"楼": [3]}', "[1, null]")


def test_an_export_is_filtered_piped_and_overwrites_nothing_by_default(terminal: Terminal, threaded: World) -> None:
    fill(threaded)
    target = terminal.home / "all.csv"
    target.write_text("mine")

    piped = terminal.run("export", "-", "--holder", "alice")
    program = terminal.run("export", "-", "--holder", "alice", "--json")
    refused = terminal.run("export", target)
    forced = terminal.run("export", target, "--force")

    assert [row["id"] for row in csv.DictReader(io.StringIO(piped.out, newline=""))] == ["good"]
    assert program.ids == ["good"]
    assert refused.status == 5 and "--force" in refused.error_line
    assert forced.status == 0 and target.read_text(encoding="utf-8-sig") != "mine"


def test_an_export_that_fails_leaves_no_file(terminal: Terminal, threaded: World) -> None:
    fill(threaded)

    full = terminal.run_on_a_full_disk("export", terminal.home / "all.xlsx")
    missing = terminal.run("export", terminal.home / "nowhere" / "all.csv")
    unknown = terminal.run("export", terminal.home / "all.pdf")
    cut = terminal.run("export", "-p", "nowhere", terminal.home / "all.csv")

    assert (missing.status, unknown.status, cut.status) == (5, 2, 1)
    assert full.status == 5 and full.error_line
    assert missing.error_line and not list(terminal.home.glob("all.*"))


def test_an_export_reads_partial_rows_again_and_leaves_out_what_is_gone(
    terminal: Terminal, threaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(threaded)
    monkeypatch.setenv("POOLCTL_TOKEN", terminal.token("mona"))
    path = "/v1/pools/p/customers"
    rows = [{"id": each, "partial": each != "evil"} for each in ("good", "gone", "evil")]

    whole = list(whole_customers(Session(False, "en", terminal.url), path, rows))

    assert whole == [threaded.mona.customer("good"), rows[2]]


# Policy


def test_poolctl_shows_previews_and_changes_rules(terminal: Terminal) -> None:
    shown = terminal.run("policy")
    preview = terminal.run("policy", "--set", "claim_ttl=P3D", "--apply-to", "all", "--dry-run")
    changed = terminal.run("policy", "--set", "masked_fields=phone,email", "--set", "holding_limit=off", "--json")

    assert "version 1" in shown.out and "P7D" in shown.out
    assert "Nothing was changed" in preview.out and "Deadlines moved: 0" in preview.out
    assert changed.json["policy"]["masked_fields"] == ["phone", "email"]
    assert (changed.json["policy"]["holding_limit"], changed.json["policy"]["claim_ttl"]) == (None, "P7D")


@pytest.mark.parametrize("assignment", ["claim_ttl=P1M", "nonsense=1", "holding_limit=many"])
def test_poolctl_rejects_an_invalid_rule_in_one_line(terminal: Terminal, assignment: str) -> None:
    refused = terminal.run("policy", "--set", assignment)

    assert refused.status == 1 and "policy_invalid" in refused.error_line


class ConcurrentChanges:
    """Change the pool after each read of it, before the next request, once for each policy."""

    def __init__(self, world: World, *policies: dict[str, Any]) -> None:
        self.world, self.policies = world, list(policies)

    def __call__(self, method: str, route: str, status: int, seconds: float) -> None:
        if method == "GET" and route == "/v1/pools/{pool}" and self.policies:
            mona = self.world.mona
            version = mona.get().json["version"]
            body = {"policy": self.policies.pop(0)}
            assert mona.patch("", body, if_match=f'"{version}"').status == 200


def terminal_during(world: World, folder: Path, monkeypatch: pytest.MonkeyPatch, *policies: dict[str, Any]) -> Any:
    world.pool(holding_limit=5)
    return terminal_for(world, folder, monkeypatch, log=ConcurrentChanges(world, *policies))


def test_a_rule_change_is_retried_after_a_concurrent_change_of_another_rule(
    threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal_during(threaded, tmp_path, monkeypatch, {"cooldown": "PT1H"}, {"cooldown": "PT2H"}) as terminal:
        changed = terminal.run("policy", "-p", "p", "--set", "holding_limit=9", "--json")

    assert changed.status == 0
    assert (changed.json["policy"]["holding_limit"], changed.json["policy"]["cooldown"]) == (9, "PT2H")
    assert [line.rpartition(" ")[2] for line in changed.err.splitlines()] == ["2.", "3."]


def test_a_rule_change_stops_at_a_concurrent_change_of_the_same_rule(
    threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with terminal_during(threaded, tmp_path, monkeypatch, {"holding_limit": 7}) as terminal:
        refused = terminal.run("policy", "-p", "p", "--set", "holding_limit=9")

    assert refused.status == 1 and "holding_limit=7" in refused.error_line
    assert threaded.mona.get().json["policy"]["holding_limit"] == 7


def test_a_rule_change_with_a_version_applies_only_to_that_version(terminal: Terminal) -> None:
    refused = terminal.run("policy", "--set", "holding_limit=9", "--if-match", 4, "--json")
    made = terminal.run("policy", "--set", "holding_limit=9", "--if-match", 1, "--json")

    assert (refused.status, json.loads(refused.error_line)["code"]) == (1, "version_conflict")
    assert "version 1, not 4" in refused.err
    assert made.json["version"] == 2


def test_a_rule_change_under_constant_conflicts_fails_with_one_line(
    threaded: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = [{"cooldown": f"PT{n}H"} for n in range(1, 20)]
    with terminal_during(threaded, tmp_path, monkeypatch, *busy) as terminal:
        refused = terminal.run("policy", "-p", "p", "--set", "holding_limit=9")

    assert refused.status == 1 and "try again" in refused.err.splitlines()[-1]


# Sweep and audit


def test_poolctl_previews_and_runs_a_sweep(terminal: Terminal, threaded: World) -> None:
    threaded.fill(2)
    threaded.alice.claim("c1")
    threaded.clock.forward(8 * DAY)

    preview = terminal.run("sweep", "--dry-run", "--json", user="root")
    made = terminal.run("sweep", user="root")

    assert (preview.json["due"], preview.json["returned"]) == (1, 0)
    assert made.status == 0 and ["returned", "1"] in [line.split() for line in made.out.splitlines()]
    assert threaded.mona.customer("c1")["state"] == "available"


def test_poolctl_reports_that_a_large_sweep_requires_confirmation(terminal: Terminal, threaded: World) -> None:
    threaded.fill(2)
    terminal.run("policy", "--set", "sweep_breaker=0.1")
    threaded.clock.forward(10_000)
    threaded.alice.claim_batch(["c1", "c2"])
    threaded.clock.forward(8 * DAY)

    unconfirmed = terminal.run("sweep", user="root")
    confirmed = terminal.run("sweep", "--confirm", "--json", user="root")

    assert unconfirmed.status == 1 and "Pool p" in unconfirmed.out
    assert (confirmed.status, confirmed.json["returned"]) == (0, 2)


def test_the_audit_command_reports_drift_by_exit_code_and_repairs_it(terminal: Terminal, threaded: World) -> None:
    threaded.fill(2)
    threaded.alice.claim("c1")
    corrupt(threaded, ALICE, "ADD #pins :n", n=2)

    found = terminal.run("audit", user="root")
    repaired = terminal.run("audit", "--repair", "--json", user="root")
    sound = terminal.run("audit", user="root")

    assert found.status == 1 and "pins of p/alice: expected 0, found 2" in found.out
    assert (repaired.status, repaired.json["repaired"]) == (1, 1)
    assert sound.status == 0 and "0 differences found" in sound.out


def test_admin_commands_are_refused_for_other_users(terminal: Terminal) -> None:
    assert terminal.run("sweep").status == terminal.run("audit").status == 1


# Watch


def next_line(program: subprocess.Popen[str]) -> list[str]:
    assert program.stdout is not None
    return program.stdout.readline().rstrip("\n").split("\t")[:3]


def test_a_piped_watch_prints_one_line_per_change_until_ctrl_c(terminal: Terminal, threaded: World) -> None:
    threaded.fill(2)
    threaded.alice.claim("c1")

    program = terminal.start("watch", "--every", "0.1")
    error_line = [next_line(program)]
    threaded.alice.claim("c2")
    error_line.append(next_line(program))
    threaded.alice.release("c1")
    error_line.append(next_line(program))
    program.send_signal(signal.SIGINT)

    assert error_line == [["+", "c1", "Customer c1"], ["+", "c2", "Customer c2"], ["-", "c1", "Customer c1"]]
    assert (result_of(program).status, result_of(program).err) == (0, "")


def test_the_history_of_a_customer_is_watched_as_json(terminal: Terminal, threaded: World) -> None:
    threaded.fill(1)
    threaded.alice.claim("c1")

    watched = terminal.run("watch", "c1", "--times", 1, "--json")

    events = [json.loads(line)["event"] for line in watched.out.splitlines()]
    assert [(each["type"], each["by"]) for each in events] == [("imported", "mona"), ("claimed", "alice")]


def test_a_watch_shows_a_reason_the_reader_may_not_see_as_hidden(terminal: Terminal, threaded: World) -> None:
    threaded.fill(1)
    threaded.alice.claim("c1")
    threaded.alice.release("c1", reason="no budget")

    watched = terminal.run("watch", "c1", "--times", 1, user="bob")

    assert "hidden" in watched.out and "no budget" not in watched.out


def test_a_watch_continues_after_the_service_was_unreachable(terminal: Terminal, threaded: World) -> None:
    threaded.fill(1)
    threaded.alice.claim("c1")
    queries = itertools.count(1)

    def fail(**_: Any) -> None:
        if next(queries) in range(2, 7):  # the second look, however often it is repeated
            raise ConnectionError

    with hooked(threaded, "before-call.dynamodb.Query", fail):
        watched = terminal.run("watch", "-p", "p", "--every", "0.1", "--times", 2)

    assert watched.status == 0 and "Still watching" in watched.error_line


def test_a_watch_on_a_terminal_keeps_its_table_current(terminal: Terminal, threaded: World) -> None:
    threaded.fill(1)
    threaded.alice.claim("c1")

    screen = terminal.on_a_terminal("watch", "--mine", "--times", "2", "--every", "0.1", user="alice")

    assert "Customer c1" in screen and "Traceback" not in screen


def test_an_import_on_a_terminal_shows_rate_and_remaining_time(terminal: Terminal) -> None:
    file = terminal.home / "some.csv"
    file.write_text("name\n" + "".join(f"Customer {n}\n" for n in range(300)))

    screen = terminal.on_a_terminal("import", str(file))

    assert "rows/s" in screen and "300/300" in screen and "300 of 300 rows imported" in screen


# Users


def test_poolctl_shows_the_caller_with_their_pools(terminal: Terminal) -> None:
    shown = terminal.run("me", user="alice")
    as_json = terminal.run("me", "--json", user="alice").json

    assert shown.status == 0 and "alice" in shown.out and " member " in shown.out
    assert (as_json["user_id"], [each["id"] for each in as_json["pools"]]) == ("alice", ["p"])


def test_poolctl_changes_a_user_and_lists_all(terminal: Terminal) -> None:
    named = terminal.run("users", "auth0|erin", "--name", "Erin", "--department", "Sales", "--json", user="root")
    listed = terminal.run("users", user="root")
    forgotten = terminal.run("users", "auth0|erin", "--forget", "--json", user="root")

    assert (named.status, named.json["name"], named.json["department"]) == (0, "Erin", "Sales")
    assert "Erin" in listed.out and "Sales" in listed.out
    assert forgotten.json["name"] is None


def test_poolctl_requires_a_user_together_with_changes(terminal: Terminal) -> None:
    for arguments in (("users", "alice"), ("users", "--name", "Alice")):
        assert terminal.run(*arguments, user="root").status == 2
    assert terminal.run("users", user="alice").error_line == "Refused: Only an administrator may do this. (not_admin)"


# Leaving the company


def _holding_two(world: World) -> None:
    world.fill(2)
    world.alice.claim_batch(["c1", "c2"])


def test_poolctl_leave_moves_the_customers_of_a_user_and_states_the_counts(terminal: Terminal, threaded: World) -> None:
    _holding_two(threaded)
    threaded.mona.put("/members/bob", {"role": "member", "holding_limit": 1})

    done = terminal.run("leave", "alice", "--held", "transfer", "--private", "deposit", "--to", "bob", user="root")
    again = terminal.run("leave", "alice", "--json", user="root")

    assert done.status == 0
    assert "Customers moved: 2; not to the recipient: 1." in done.out
    assert (again.json["state"], again.json["moved"]) == ("done", 2)
    assert threaded.alice.claim("c1").code == "user_left"


def test_poolctl_leave_back_lets_the_user_claim_again(terminal: Terminal, threaded: World) -> None:
    _holding_two(threaded)
    terminal.run("leave", "alice", "--held", "release", "--private", "deposit", user="root")

    back = terminal.run("leave", "alice", "--back", user="root", LANG="zh_CN.UTF-8")

    assert (back.status, back.out) == (0, "已撤销 alice 的离职，可再次获得客户。\n")
    assert threaded.alice.claim("c1").status == 200


def test_poolctl_leave_follows_the_progress_until_the_leave_is_done(terminal: Terminal, threaded: World) -> None:
    _holding_two(threaded)
    key = keys.customer_key("main", "p", "c1")
    sound = threaded.table.get([key])[key]
    threaded.table.write([Put(key, sound | {"tail": {"S": "["}})])
    threaded.service.backend.customer_cache.forget(key)

    program = terminal.start(
        "leave", "alice", "--held", "release", "--private", "deposit", "--every", "0.1", user="root"
    )
    assert program.stderr is not None
    first = program.stderr.readline()
    threaded.table.write([Put(key, sound)])
    threaded.run_schedule()
    ended = result_of(program)

    assert first == "1 customers moved, 1 left.\n"
    assert ended.status == 0 and "Customers moved: 2" in ended.out


def test_poolctl_leave_needs_both_answers_or_none(terminal: Terminal) -> None:
    commands = (("--held", "release"), ("--private", "deposit"), ("--to", "bob"), ("--back", "--held", "release"))

    for answers in commands:
        assert terminal.run("leave", "alice", *answers, user="root").status == 2
    assert terminal.run("leave", "alice", user="alice").error_line == (
        "Refused: Only an administrator may do this. (not_admin)"
    )
