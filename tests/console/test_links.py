"""A link with a token signs in a signed-out user, replaces a session only after confirmation, and leaves no trace."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from playwright.sync_api import Error, expect

from poolctl.local_keys import ALGORITHM, KEY_ID, LocalKeys
from tests.console.issuer import Issuer
from tests.console.pages import Browser, Console, Team
from tests.console.test_managers import choose
from tests.console.test_sign_in import company, issuer  # noqa: F401 - fixtures


def follow(page: Any, url: str, token: str) -> None:
    """Opens the link in the tab where the console may be open already."""
    page.evaluate("address => { location.href = address }", f"{url}/console#token={token}")


def signed_in(page: Any) -> Any:
    return page.locator(".person")


def clean(page: Any, url: str) -> bool:
    return bool(page.url.partition("#")[0] == f"{url}/console" and "token" not in page.evaluate("location.hash"))


def of_another_tenant(team: Team) -> str:
    return team.keys.token("alice", None, "acme")


def expired(keys: LocalKeys, token: str, seconds: int = 600) -> str:
    claims = jwt.decode(token, options={"verify_signature": False}) | {"exp": int(time.time()) - seconds}
    return jwt.encode(claims, keys.private.read_bytes(), ALGORITHM, {"kid": KEY_ID})


@pytest.mark.parametrize("opened_by", ["hashchange", "load"])
def test_a_link_for_another_user_requires_confirmation_and_can_be_declined(
    browser: Browser, team: Team, opened_by: str
) -> None:
    alice = browser.open_console("alice")
    if opened_by == "hashchange":
        follow(alice.page, team.url, team.token("mona"))
    else:
        alice.page.goto("about:blank")
        alice.page.goto(f"{team.url}/console#token={team.token('mona')}")

    alice.dialog.get_by_text("You are signed in as alice. The link that you opened belongs to mona.").wait_for()
    assert clean(alice.page, team.url)
    expect(alice.button("link.keep", user="alice")).to_be_focused()
    alice.button("link.keep", user="alice").click()
    alice.dialog.wait_for(state="detached")
    alice.view("mine").wait_for()

    expect(signed_in(alice.page)).to_have_text("alice")
    expect(alice.views).to_have_text(["Today", "Pool", "Mine", "Statistics"])


def test_a_link_for_another_user_in_a_second_tab_requires_confirmation(browser: Browser, team: Team) -> None:
    alice = browser.open_console("alice")
    second = Console(alice.page.context.new_page(), "en")

    second.page.goto(f"{team.url}/console#token={team.token('mona')}")
    second.button("link.keep", user="alice").click()
    second.dialog.wait_for(state="detached")

    expect(signed_in(second.page)).to_have_text("alice")
    expect(signed_in(alice.page)).to_have_text("alice")


def test_confirming_a_link_for_another_user_switches_the_whole_session(browser: Browser, team: Team) -> None:
    alice = browser.open_console("alice", "zh")

    follow(alice.page, team.url, team.token("mona"))
    alice.button("link.switch", user="mona").click()
    alice.view("rules").wait_for()

    expect(signed_in(alice.page)).to_contain_text("mona")
    assert clean(alice.page, team.url)
    alice.page.reload()
    expect(signed_in(alice.page)).to_contain_text("mona")


def test_the_confirmation_of_a_link_names_both_tenants_when_user_ids_are_equal(browser: Browser, team: Team) -> None:
    alice = browser.open_console("alice")

    follow(alice.page, team.url, of_another_tenant(team))

    alice.dialog.get_by_text(
        f"You are signed in as alice (tenant {team.tenant}). The link that you opened belongs to alice (tenant acme)."
    ).wait_for()
    alice.page.keyboard.press("Escape")
    alice.dialog.wait_for(state="detached")
    expect(alice.views, "who presses Escape stays").to_have_count(4)


@pytest.mark.parametrize("opened_by", ["hashchange", "load"])
def test_a_link_for_the_signed_in_user_requires_no_confirmation(browser: Browser, team: Team, opened_by: str) -> None:
    team.customers("Acme")
    alice = browser.open_console("alice")
    link = team.token("alice")

    if opened_by == "hashchange":
        follow(alice.page, team.url, link)
    else:
        alice.page.goto("about:blank")
        alice.page.goto(f"{team.url}/console#token={link}")
    alice.tab("pool")
    alice.button("verb.claim_name", name="Acme").wait_for()

    expect(alice.dialog).to_have_count(0)
    assert clean(alice.page, team.url)


def test_a_link_signs_in_when_the_existing_session_has_expired(browser: Browser, team: Team) -> None:
    console = Console(browser.page(), "en")
    console.page.goto(f"{team.url}/console")
    stale = expired(team.keys, team.token("alice"))
    console.page.evaluate("token => sessionStorage.setItem('customer-pool.token', token)", stale)

    console.page.goto("about:blank")
    console.page.goto(f"{team.url}/console#token={team.token('mona')}")

    expect(signed_in(console.page)).to_contain_text("mona")
    expect(console.dialog).to_have_count(0)


def test_a_link_opened_on_the_sign_in_page_signs_in(browser: Browser, team: Team) -> None:
    console = Console(browser.page(), "en")
    console.page.goto(f"{team.url}/console")
    console.page.get_by_label("Access token").wait_for()

    follow(console.page, team.url, team.token("alice"))

    console.view("pool").wait_for()
    assert clean(console.page, team.url)


@pytest.mark.parametrize("flaw", ["none", "half", "expired"])
@pytest.mark.parametrize("signed_in_user", ["alice", None])
def test_a_link_without_a_valid_token_shows_one_sentence_and_changes_nothing(
    browser: Browser, team: Team, flaw: str, signed_in_user: str | None
) -> None:
    token = {"none": "x.y.z", "half": team.token("mona")[:40], "expired": expired(team.keys, team.token("mona"))}[flaw]
    console = browser.open_console(signed_in_user) if signed_in_user else Console(browser.page(), "en")
    if not signed_in_user:
        console.page.goto(f"{team.url}/console")
        console.page.get_by_label("Access token").wait_for()

    follow(console.page, team.url, token)

    console.page.get_by_text(console.text("link.expired" if flaw == "expired" else "link.no_token")).wait_for()
    assert clean(console.page, team.url)
    if signed_in_user:
        expect(signed_in(console.page)).to_have_text("alice")


def test_a_link_with_a_forged_signature_shows_one_sentence(browser: Browser, team: Team) -> None:
    page = browser.page()

    page.goto(f"{team.url}/console#token={team.token('alice')[:-9]}AAAAAAAAA")

    page.get_by_text("Your session has ended. Please sign in again.").wait_for()
    assert clean(page, team.url)


def forged(token: str) -> str:
    return f"{token[:-9]}AAAAAAAAA"


# Much longer than a token is valid.
FAST_CLOCK = "const now = Date.now; Date.now = () => now() + 48 * 3600 * 1000"


def test_a_fast_browser_clock_ends_no_session_and_rejects_no_link(browser: Browser, team: Team) -> None:
    alice = Console(browser.page(), "en")
    alice.page.add_init_script(FAST_CLOCK)
    alice.page.goto(f"{team.url}/console#token={team.token('alice')}")
    alice.tab("pool")

    follow(alice.page, team.url, team.token("mona"))

    alice.button("link.keep", user="alice").click()
    expect(signed_in(alice.page)).to_have_text("alice")


def test_a_link_requires_confirmation_while_the_service_accepts_an_expired_token(browser: Browser, team: Team) -> None:
    alice = Console(browser.page(), "en")
    recent = expired(team.keys, team.token("alice"), 5)
    alice.page.goto(f"{team.url}/console")
    alice.page.evaluate("token => sessionStorage.setItem('customer-pool.token', token)", recent)
    alice.page.reload()
    alice.tab("pool")

    follow(alice.page, team.url, team.token("mona"))

    alice.button("link.keep", user="alice").click()
    expect(signed_in(alice.page)).to_have_text("alice")


@pytest.mark.parametrize("sign_in_by", ["link", "paste", "switch"])
def test_an_import_never_continues_under_another_session(
    browser: Browser, team: Team, tmp_path: Path, sign_in_by: str
) -> None:
    (tmp_path / "many.csv").write_text("name,phone\n" + "".join(f"Row {n},+1202555{n:04}\n" for n in range(150)))
    other = Team(team.url, team.keys, f"{team.tenant}-other")
    other.create_pool()
    mona = browser.open_console("mona", tab="import")
    held_requests: list[Any] = []

    def hold(route: Any) -> None:
        held_requests.append(route)

    mona.page.route("**/import", hold)

    choose(mona, tmp_path / "many.csv")
    with mona.page.expect_request("**/import"):
        mona.button("import.go").click()
    if sign_in_by != "switch":
        mona.button("sign_out").click()
        mona.page.get_by_label("Access token").wait_for()
    if sign_in_by == "paste":
        mona.page.get_by_label("Access token").fill(other.token("mona"))
        mona.button("sign_in.enter").click()
    else:
        follow(mona.page, team.url, other.token("mona"))
    if sign_in_by == "switch":
        mona.dialog.get_by_role("button", name="Switch to mona").click()
    mona.view("mine").wait_for()
    with contextlib.suppress(Error):  # the page that sent the request is gone
        held_requests[0].fulfill(status=409, json={"code": "unreachable"})
    mona.page.wait_for_timeout(500)

    assert len(held_requests) == 1
    assert other.call("mona", "GET", "/customers").json["items"] == []


@pytest.mark.parametrize("opened_by", ["hashchange", "load"])
def test_a_forged_link_for_the_signed_in_user_keeps_the_session(browser: Browser, team: Team, opened_by: str) -> None:
    alice = browser.open_console("alice")
    link = forged(team.token("alice"))

    if opened_by == "load":
        alice.page.goto("about:blank")
        alice.page.goto(f"{team.url}/console#token={link}")
    else:
        follow(alice.page, team.url, link)
    alice.page.get_by_text(alice.text("link.no_token")).wait_for()
    alice.page.reload()

    expect(signed_in(alice.page)).to_have_text("alice")


def test_a_forged_link_for_another_user_keeps_the_session(browser: Browser, team: Team) -> None:
    alice = browser.open_console("alice")

    follow(alice.page, team.url, forged(team.token("mona")))
    alice.page.get_by_text(alice.text("link.no_token")).wait_for()

    expect(alice.dialog).to_have_count(0)
    expect(signed_in(alice.page)).to_have_text("alice")


def test_a_link_renews_the_token_of_the_signed_in_user(browser: Browser, team: Team) -> None:
    alice = browser.open_console("alice")
    renewed = expired(team.keys, team.token("alice"), -5000)

    follow(alice.page, team.url, renewed)

    alice.page.wait_for_function("token => sessionStorage.getItem('customer-pool.token') === token", arg=renewed)
    expect(signed_in(alice.page)).to_have_text("alice")


@pytest.mark.parametrize("opened_by", ["hashchange", "load"])
def test_no_link_signs_in_when_the_company_has_its_own_sign_in(
    browser: Browser,
    team: Team,
    issuer: Issuer,  # noqa: F811
    company: str,  # noqa: F811
    opened_by: str,
) -> None:
    page = browser.page()
    if opened_by == "hashchange":
        page.goto(f"{company}/console")
        page.get_by_role("button", name="Sign in with your company account").wait_for()
        follow(page, company, team.token("mona"))
    else:
        page.goto(f"{company}/console#token={team.token('mona')}")

    page.get_by_text("The token of this link is not used here.").wait_for()
    assert clean(page, company)
    assert team.token("mona")[:20] not in page.evaluate("JSON.stringify(sessionStorage)")
    page.get_by_role("button", name="Sign in with your company account").wait_for()
