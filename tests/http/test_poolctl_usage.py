"""poolctl: help, version, options, usage mistakes and unusual environments."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from rich.cells import cell_len

from chalicelib import __version__
from poolctl.commands_base import COMMANDS
from poolctl.local_keys import ALGORITHM, AUDIENCE, ISSUER, KEY_ID, LocalKeys
from tests.support.command_line import Terminal, result_of
from tests.support.world import World
from tools.paths import PROJECT

POOL = {"holding_limit": 5, "claim_ttl": "P7D", "cooldown": "PT1H", "customers": 5}


ALL = [str(command.name) for command in COMMANDS]
CHINESE = re.compile("[\u4e00-\u9fff]")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal without a service."""
    return Terminal("http://127.0.0.1:9", LocalKeys(tmp_path / "keys").ensure(), tmp_path, monkeypatch)


# Help


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"]])
def test_the_help_is_printed_without_arguments_and_is_no_failure(offline: Terminal, arguments: list[str]) -> None:
    ran = offline.run(*arguments, user=None)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.startswith("Usage: poolctl") and all(f"\n  {name} " in ran.out for name in ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_command_has_a_short_option_for_its_help(offline: Terminal, name: str) -> None:
    english, chinese = (offline.run(name, "-h", "--lang", lang, user=None) for lang in ("en", "zh"))

    assert english.status == chinese.status == 0
    assert english.out.startswith(f"Usage: poolctl {name}") and "-h, --help" in english.out
    assert chinese.out.startswith(f"用法： poolctl {name}") and "选项:" in chinese.out


def test_the_version_is_that_of_the_project(offline: Terminal) -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    ran = offline.run("--version", user=None)

    assert (ran.status, ran.out) == (0, f"poolctl {project['version']}\n")
    assert project["version"] == __version__


# Options before and after the command


def test_options_stand_before_the_command_or_after_it_and_the_later_one_applies(
    terminal: Terminal, threaded: World
) -> None:
    threaded.pool("q")
    threaded.fill(1, pool="q", prefix="q")
    unreachable = "http://127.0.0.1:9"

    before = terminal.run("-p", "p", "claim", "c1", user="alice")
    after = terminal.run("-p", "nowhere", "claim", "c2", "-p", "p", user="alice")
    wrong = terminal.run("-p", "p", "claim", "c3", "-p", "nowhere", user="alice")
    address = terminal.run("--url", unreachable, "pools", "--url", terminal.url, user="alice")
    language = terminal.run("--lang", "zh", "--json", "mine", "--lang", "en", "-p", "nowhere", user="alice")
    chosen = terminal.run("--pool=q", "pools", user="alice", POOLCTL_POOL="p")

    assert (before.status, after.status, wrong.status, address.status) == (0, 0, 1, 0)
    assert not CHINESE.search(language.error_line) and language.error_line.startswith("{")
    assert [line.split()[0] for line in chosen.out.splitlines()[1:]] == ["q"]


def test_an_option_after_two_dashes_is_an_argument(terminal: Terminal) -> None:
    ran = terminal.run("claim", "--", "--json", "--lang=zh", user="alice")

    assert ran.status == 1
    assert [line.split()[:2] for line in ran.out.splitlines()[1:]] == [
        ["--json", "not_found:"], ["--lang=zh", "not_found:"],
    ]  # fmt: skip


# Mistakes


MISTAKES = {
    "clam": "Unknown command: clam. Did you mean claim? See `poolctl --help`.",
    "claim --nxt 3": "Unknown option: --nxt. Did you mean --next? See `poolctl claim --help`.",
    "claim --next x": "Invalid value for --next: expected a whole number from 1 to 100. See `poolctl claim --help`.",
    "claim --next": "Option --next requires a value. See `poolctl claim --help`.",
    "claim": "Name the customers to claim, or use --next N; not both.",
    "claim c1 --next 3": "Name the customers to claim, or use --next N; not both.",
    "claim --next 3 --atomic": "--atomic does not apply to --next.",
    "release": "Missing ID. See `poolctl release --help`.",
    "assign c1": "Missing --to. See `poolctl assign --help`.",
    "import": "Missing FILE. See `poolctl import --help`.",
    "pools x": "Unexpected argument: x. See `poolctl pools --help`.",
    "pools --lang fr": "Invalid value for --lang: expected one of zh, en. See `poolctl pools --help`.",
    "mine -p ..": "Invalid value for --pool: expected 1 to 64 letters, digits, - or _. See `poolctl mine --help`.",
    "mine --url ftp://x": "Not a valid address: 'ftp://x'. Expected something like https://pool.example.com.",
    "mine --url=": "Not a valid address: ''. Expected something like https://pool.example.com.",
    "sweep --dry-run=1": "Option --dry-run does not take a value. See `poolctl sweep --help`.",
    "watch --every nan": "Invalid value for --every: expected 0.1 to 86400 seconds. See `poolctl watch --help`.",
    "watch --every inf": "Invalid value for --every: expected 0.1 to 86400 seconds. See `poolctl watch --help`.",
    "watch c1 --mine": "--mine shows many customers; do not name one.",
    "policy --dry-run": "--apply-to, --if-match and --dry-run require --set RULE=VALUE.",
    "policy --set x": "Invalid value for --set: x. Expected RULE=VALUE, for example holding_limit=5.",
    "login --roles admin": "--roles and --tenant require --local USER.",
    "claim a/b/c": "Not a valid customer: 'a/b/c'. Expected ID or POOL/ID; ids have 1 to 64 letters, digits, - or _.",
    "claim p/": "Not a valid customer: 'p/'. Expected ID or POOL/ID; ids have 1 to 64 letters, digits, - or _.",
    "--json": '{"code": "usage", "detail": "Missing command. See `poolctl --help`.", "exit": 2}',
}  # fmt: skip


@pytest.mark.parametrize("command_line", MISTAKES)
def test_a_usage_mistake_is_one_helpful_line_in_both_languages(offline: Terminal, command_line: str) -> None:
    english = offline.run(*command_line.split())
    chinese = offline.run(*command_line.split(), LANG="zh_CN.UTF-8")

    assert (english.status, english.out, english.error_line) == (2, "", MISTAKES[command_line])
    assert chinese.status == 2 and CHINESE.search(chinese.error_line)


def test_an_invalid_pool_in_the_environment_is_named(offline: Terminal) -> None:
    ran = offline.run("mine", POOLCTL_POOL="..")

    assert ran.status == 2 and "POOLCTL_POOL='..'" in ran.error_line


@pytest.mark.parametrize(("text", "why"), [("missing.csv", "no such file or folder"), (".", "it is a folder")])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(offline: Terminal, text: str, why: str) -> None:
    english, chinese = (offline.run("import", offline.home / text, "--lang", lang) for lang in ("en", "zh"))

    assert english.status == chinese.status == 5
    assert why in english.error_line and CHINESE.search(chinese.error_line)


# Unusual streams and characters


def test_ids_that_are_not_utf_8_are_not_found(terminal: Terminal) -> None:
    program = subprocess.run(
        [sys.executable, "-m", "poolctl", "claim", "-", b"\xff\xfe"], cwd=PROJECT,
        input=b"\xef\xbb\xbfc1\r\nc2 \xe5\x8c", capture_output=True, check=False, timeout=60,
        env=dict(os.environ, **terminal.environment("alice")),
    )  # fmt: skip

    assert (program.returncode, program.stderr) == (1, b"")
    assert [line.split()[1] for line in program.stdout.decode().splitlines()[1:]] == ["ok", "ok", *["not_found:"] * 2]


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_not_a_defect(terminal: Terminal, redirections: str) -> None:
    through = ("bash", "-c", f'exec "$@" {redirections}', "-")

    done = [
        result_of(terminal.start(*words, through=through)).status for words in (["pools"], ["release", "-"], ["clam"])
    ]

    assert done == [0, 0, 2]


def test_a_closed_error_pipe_does_not_change_the_exit_code(offline: Terminal) -> None:
    program = offline.start("clam")
    assert program.stderr is not None
    program.stderr.close()

    assert program.wait(60) == 2


def test_in_a_locale_without_chinese_nothing_fails(terminal: Terminal, threaded: World) -> None:
    threaded.mona.create("north", name="北辰科技")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}

    ran = result_of(terminal.start("export", "-", **ascii_only))

    assert ran.status == 0 and "\\u5317\\u8fb0" in ran.out


# Sessions and services


def test_an_expired_token_is_reported_apart_from_a_rejected_one(terminal: Terminal) -> None:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": 1_700_000_000}
    expired = jwt.encode(claims, terminal.keys.private.read_bytes(), ALGORITHM, {"kid": KEY_ID})

    login = terminal.run("login", user=None, stdin=expired)
    nobody = terminal.run("pools", user=None)
    variable = terminal.run("pools", user=None, POOLCTL_TOKEN=expired)

    assert (login.status, nobody.status, variable.status) == (4, 4, 4)
    assert "expired at 2023-11-1" in login.error_line and "not signed in" in nobody.error_line
    assert "POOLCTL_TOKEN" in variable.error_line


@pytest.mark.parametrize(
    "content",
    ['{"current": "URL", "tokens": {"URL": 7}}', '{"current": "URL", "tokens": {"URL": ["a.b.c"]}}',
     '{"current": ["URL"], "tokens": {}}', '{"current": "URL", "tokens": 7}', "[" * 100_000, "\xff"],
    ids=["number", "list", "current", "tokens", "deep", "text"],
)  # fmt: skip
def test_a_malformed_file_of_logins_counts_as_not_signed_in(terminal: Terminal, content: str) -> None:
    assert terminal.run("login", user=None, stdin=terminal.token("mona")).status == 0
    (stored,) = terminal.home.rglob("login.json")
    stored.write_text(content.replace("URL", terminal.url), encoding="latin-1")

    ran = terminal.run("pools", user=None)

    assert ran.status == 4 and "not signed in" in ran.error_line
    assert terminal.run("login", user=None, stdin=terminal.token("mona")).status == 0
    assert terminal.run("pools", user=None).status == 0


@contextmanager
def another_server(body: bytes) -> Iterator[str]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PATCH = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("body", [b"<html>", b'{"a": 1}', b"[]", b""])
def test_a_server_that_is_not_this_service_is_reported(offline: Terminal, body: bytes) -> None:
    file = offline.home / "some.csv"
    file.write_text("name\nA\n")
    commands = (
        "pools", "mine", "claim c1", "claim --next 1", "release c1", "assign c1 --to b", f"import {file}", "export -",
        "policy", "policy --set a=1", "sweep", "audit", "leave b", "watch --times 1", "watch c1 --times 1",
    )  # fmt: skip

    with another_server(body) as url:
        ran = {each: offline.run(*each.split(), "-p", "p", "--url", url) for each in commands}

    assert {name: each.status for name, each in ran.items()} == dict.fromkeys(ran, 3)
    assert all("is not a customer pool service" in each.error_line for each in ran.values())


@pytest.mark.parametrize("command_line", ["pools", "claim p/c1", "sweep --json"])
def test_ctrl_c_while_the_service_is_silent_is_one_line(offline: Terminal, command_line: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = offline.start(*command_line.split(), "--url", f"http://127.0.0.1:{silent.getsockname()[1]}")
        connection, _ = silent.accept()
        with connection:
            assert connection.recv(100)
            program.send_signal(signal.SIGINT)
            ran = result_of(program)

    assert (ran.status, ran.out) == (130, "") and "Stopped." in ran.error_line


# Customers of several pools


@pytest.fixture
def two_pools(terminal: Terminal, threaded: World) -> Terminal:
    threaded.pool("q")
    threaded.fill(3, pool="q", prefix="q")
    return terminal


def id_and_result(out: str) -> list[list[str]]:
    return [line.split()[:2] for line in out.splitlines()[1:]]


def test_customers_held_in_several_pools_are_released_through_a_pipe(two_pools: Terminal) -> None:
    claimed = two_pools.run("claim", "q/q2", "p/c1", "q/q1", "q/nobody", "p/c2", user="alice")

    ids = two_pools.run("mine", "--ids", user="alice")
    one = two_pools.run("mine", "--ids", "-p", "q", user="alice")
    released = two_pools.run("release", "-", user="alice", stdin=ids.out)

    assert id_and_result(claimed.out) == [
        ["q/q2", "ok"], ["p/c1", "ok"], ["q/q1", "ok"], ["q/nobody", "not_found:"], ["p/c2", "ok"],
    ]  # fmt: skip
    assert sorted(ids.out.split()) == ["p/c1", "p/c2", "q/q1", "q/q2"]
    assert sorted(one.out.split()) == ["q/q1", "q/q2"]
    assert released.status == 0 and two_pools.run("mine", "--ids", user="alice").out == ""


def test_over_a_hundred_ids_of_several_pools_return_in_input_order(two_pools: Terminal, threaded: World) -> None:
    threaded.pool("r")
    pairs = zip(threaded.fill(110, pool="q", prefix="m"), threaded.fill(110, pool="r"), strict=True)
    ids = [f"{pool}/{each}" for pair in pairs for pool, each in zip("qr", pair, strict=True)]

    claimed = two_pools.run("claim", "-", "--json", user="alice", stdin="\n".join(ids))

    assert [f"{each['pool_id']}/{each['id']}" for each in claimed.json["results"]] == ids
    assert claimed.json["summary"] == {"ok": 220, "failed": 0}


def test_a_pool_that_refuses_the_caller_does_not_stop_the_others(two_pools: Terminal) -> None:
    several = two_pools.run("claim", "nowhere/c9", "p/c1", user="alice")
    offline = two_pools.run("claim", "nowhere/c9", user="alice")

    assert several.status == 1
    assert id_and_result(several.out) == [["nowhere/c9", "not_found:"], ["p/c1", "ok"]]
    assert offline.status == 1 and offline.error_line and offline.out == ""


@pytest.mark.parametrize("verb", [["claim"], ["release"], ["assign", "--to", "bob"]])
def test_customers_whose_pool_is_not_certain_are_refused_before_anything_is_sent(
    two_pools: Terminal, verb: list[str]
) -> None:
    bare = two_pools.run(*verb, "p/c1", "c2")
    contrary = two_pools.run(*verb, "-p", "p", "c1", "q/q1")
    atomic = two_pools.run(*verb, "--atomic", "p/c1", "q/q1")

    assert (bare.status, contrary.status, atomic.status) == (2, 2, 2)
    assert "POOL/ID: p, q" in bare.error_line and "q/q1" in contrary.error_line and "p, q" in atomic.error_line
    assert two_pools.run("mine", "--json").json == {"items": []}


def test_ids_without_a_pool_use_the_pool_of_the_environment(two_pools: Terminal) -> None:
    claimed = two_pools.run("claim", "q/q1", "c1", user="alice", POOLCTL_POOL="p")

    assert id_and_result(claimed.out) == [["q/q1", "ok"], ["p/c1", "ok"]]


def test_one_customer_is_watched_by_pool_and_id(two_pools: Terminal) -> None:
    watched = two_pools.run("watch", "q/q1", "--times", 1)

    assert watched.status == 0 and "\timported\tmona\t" in watched.out


def test_a_user_without_a_pool_gets_a_clear_message(terminal: Terminal) -> None:
    ran = terminal.run("claim", "c1", user="stranger")

    assert ran.status == 1 and "not a member of any pool" in ran.error_line


# Times


@pytest.mark.parametrize(
    ("zone", "shown"),
    [("Asia/Shanghai", "2026-06-08 16:00 +08:00"), ("America/St_Johns", "2026-06-08 05:30 -02:30"), ("UTC", "+00:00")],
)
def test_times_are_printed_in_local_time_with_the_zone(terminal: Terminal, zone: str, shown: str) -> None:
    terminal.run("claim", "c1", user="alice")
    terminal.run("claim", "c2", user="alice")
    terminal.run("release", "c2", user="alice")

    mine = result_of(terminal.start("mine", user="alice", TZ=zone))
    refused = result_of(terminal.start("claim", "c2", user="alice", TZ=zone))

    assert shown in mine.out
    assert re.search(r"Possible again at \d{4}-\d\d-\d\d \d\d:\d\d [+-]\d\d:\d\d\.", refused.out), refused.out


# Narrow terminals


def rows(screen: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen).replace("\r", "").splitlines()


@pytest.mark.parametrize(
    ("columns", "shown"),
    [(40, "id name"), (60, "id name until"), (80, "id name state holder until"), (200, "id name state holder until")],
)
def test_a_narrow_terminal_shows_fewer_columns_without_wrapping(
    terminal: Terminal, threaded: World, columns: int, shown: str
) -> None:
    threaded.mona.create("rongcheng-food", name="蓉城食品有限责任公司")
    threaded.alice.claim("rongcheng-food")

    mine = rows(terminal.on_a_terminal("mine", user="alice", columns=columns))
    claimed = rows(terminal.on_a_terminal("claim", "rongcheng-food", "nobody", user="alice", columns=columns))

    for line in mine + claimed:
        assert cell_len(line) <= columns, line
    assert " ".join(mine[0].split()) == shown
    assert mine[2].split()[0] == "rongcheng-food" and claimed[0].split()[:2] == ["id", "outcome"]
    assert "蓉城食品" in "".join(line.strip() for line in mine[2:])
    assert {"rongcheng-food", "nobody", "not_found:"} <= set(" ".join(claimed).split())
    assert ("2026-06-08" in "".join(mine)) == ("until" in shown)


def test_through_a_pipe_no_column_is_dropped(terminal: Terminal) -> None:
    terminal.run("claim", "c1", user="alice")

    piped = result_of(terminal.start("mine", user="alice", COLUMNS="40"))

    assert piped.out.splitlines()[0].split() == ["id", "name", "state", "holder", "until"]


def test_no_color_is_used_when_color_is_disabled(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    assert not re.search(r"\x1b\[\d*(3|4|9)[0-7]m", terminal.on_a_terminal("pools"))
