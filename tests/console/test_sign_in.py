"""Signing in with the company's account: the redirects, and the responses that the console rejects."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from playwright.sync_api import expect

from poolctl.local_keys import LocalKeys
from tests.console.issuer import CLIENT, Issuer
from tests.console.pages import Browser, Team
from tools.local.gateway import LocalApi

SIGN_IN_BUTTON = "Sign in with your company account"


@pytest.fixture(scope="module")
def issuer(keys: LocalKeys) -> Iterator[Issuer]:
    with Issuer(keys) as made:
        yield made


@pytest.fixture(scope="module")
def company(service: LocalApi, issuer: Issuer) -> Iterator[str]:
    """The same service with the settings of that issuer."""
    settings = {
        "JWKS": f"{issuer.url}/keys", "JWT_ISSUER": issuer.url, "JWT_AUDIENCE": CLIENT, "SIGN_IN_ISSUER": issuer.url,
        "SIGN_IN_CLIENT": CLIENT,
    }  # fmt: skip
    with patch.dict(os.environ, settings):
        sys.modules.pop("app", None)
        with LocalApi(importlib.import_module("app").app) as api:
            yield api.url


@pytest.fixture
def page(browser: Browser, team: Team, issuer: Issuer, company: str) -> Any:
    issuer.tenant, issuer.refusing, issuer.spoils_nonce = team.tenant, False, False
    made = browser.page()
    made.goto(f"{company}/console")
    return made


def sign_in(page: Any, user: str) -> None:
    page.get_by_role("button", name=SIGN_IN_BUTTON).click()
    page.locator("input[name=user]").fill(user)
    page.get_by_role("button", name="Enter").click()


def test_an_issuer_signs_in_and_its_response_is_removed_from_the_url(
    page: Any, team: Team, issuer: Issuer, company: str
) -> None:
    team.customers("Acme")

    sign_in(page, "alice")
    page.get_by_role("link", name="Pool", exact=True).click()
    page.get_by_role("button", name="Claim Acme").click()
    page.get_by_text("Acme: Yours now.").wait_for()

    expect(page).to_have_url(f"{company}/console#/p/pool")
    assert team.customer("c1")["holder"] == "alice"
    request = issuer.requests[-1]
    assert (request["response_type"], request["code_challenge_method"], request["scope"]) == ("code", "S256", "openid")
    assert page.evaluate("Object.keys(sessionStorage).includes('customer-pool.left')") is False


def test_a_user_rejected_by_the_issuer_returns_to_the_sign_in_page(page: Any, issuer: Issuer) -> None:
    issuer.refusing = True

    sign_in(page, "alice")

    page.get_by_text("The sign-in was not completed. Please try again.").wait_for()


def test_a_token_with_another_nonce_is_rejected(page: Any, issuer: Issuer) -> None:
    issuer.spoils_nonce = True

    sign_in(page, "alice")

    page.get_by_text("The sign-in was not completed. Please try again.").wait_for()


def test_a_code_without_the_sent_state_is_never_exchanged(page: Any, issuer: Issuer, company: str) -> None:
    page.get_by_role("button", name=SIGN_IN_BUTTON).click()
    page.get_by_role("button", name="Enter").wait_for()
    before = issuer.exchanges

    page.goto(f"{company}/console?code=smuggled&state=guessed")
    page.get_by_text("The sign-in was not completed. Please try again.").wait_for()

    assert issuer.exchanges == before
    expect(page).to_have_url(f"{company}/console")


def test_a_token_can_still_be_pasted(page: Any) -> None:
    page.get_by_text("Use a token instead").click()

    expect(page.get_by_label("Access token")).to_be_visible()
