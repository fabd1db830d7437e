"""Helpers of the console tests: the users of a pool, their browsers, and open pages.

Elements are found as people and screen readers find them: by role and label, in the texts of the page itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from chalicelib.api.console import words
from poolctl.local_keys import LocalKeys
from tests.support.http_client import HttpClient
from tests.support.world import Reply

WITHIN_MS = 120_000  # a busy machine is slow
DESKTOP, PHONE = (1200, 850), (360, 740)
# The browser logs each refused fetch as an error; the tests check how the page handles it.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (401|403|404|409|412|422) ")
# The name of the element that has the focus.
FOCUSED = """(() => {
  const at = document.activeElement;
  return at.getAttribute("aria-label") || (at.labels?.[0] ?? at).textContent;
})()"""
# Collects the notices, which the page shows for a few seconds only.
COLLECT_NOTICES = """(() => {
    window.notices = [];
    const collect = ({ target, addedNodes }) => {
        if (target.id === "notices") window.notices.push(...[...addedNodes].map((each) => each.textContent));
    };
    new MutationObserver((changes) => changes.forEach(collect)).observe(document, { childList: true, subtree: true });
})()"""
TAKE_NOTICE = """(text) => {
    const at = window.notices.findIndex((each) => each.includes(text));
    return at >= 0 && window.notices.splice(at, 1).length === 1;
}"""
MOST_PRESSES = 90
NO_NETWORK = "Failed to load resource: net::ERR_FAILED"


@dataclass
class Team:
    """A tenant with a pool `p`. `ask` calls the service directly, outside any page."""

    url: str
    keys: LocalKeys
    tenant: str

    def token(self, user: str) -> str:
        return self.keys.token(user, ["admin"] if user == "root" else None, self.tenant)

    def call(self, user: str, method: str, path: str = "", body: Any = None, **headers: str) -> Reply:
        """Send a request that must succeed. A path without `/v1` is a path below the pool."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        where = path if path.startswith("/v1") else f"/v1/pools/p{path}"
        reply = HttpClient(self.url).send(self.token(user), method, where, body, sent)
        assert reply.status < 300, reply.text
        return reply

    def create_pool(self) -> None:
        self.call("root", "POST", "/v1/pools", {"id": "p", "name": "Sales 销售", "policy": {"claim_ttl": "P7D"}})
        for user, role in {"alice": "member", "bob": "member", "mona": "manager"}.items():
            self.call("root", "PUT", f"/members/{user}", {"role": role})

    def customers(self, *names: str) -> None:
        """Create customers c1, c2 and so on with these names."""
        for number, name in enumerate(names, 1):
            body = {"id": f"c{number}", "name": name, "fields": {"phone": f"+1-202-555-01{number:02}"}}
            self.call("mona", "POST", "/customers", body)

    def change_policy(self, **policy: Any) -> None:
        """Change the policy for new claims."""
        version = self.call("mona", "GET").json["version"]
        self.call("mona", "PATCH", "", {"policy": policy}, if_match=str(version))

    def customer(self, customer: str) -> Any:
        return self.call("mona", "GET", f"/customers/{customer}").json


@dataclass
class Browser:
    """Open pages in one browser and collect their errors."""

    browser: Any
    team: Team
    errors: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def page(self, language: str = "en", size: tuple[int, int] = DESKTOP) -> Any:
        """Return an empty page with no stored data."""
        tag = {"en": "en-GB", "zh": "zh-CN"}[language]
        context = self.browser.new_context(locale=tag, viewport={"width": size[0], "height": size[1]})
        context.set_default_timeout(WITHIN_MS)
        self.contexts.append(context)
        page = context.new_page()
        page.add_init_script(COLLECT_NOTICES)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._record_error)
        return page

    def open_console(
        self, user: str, language: str = "en", size: tuple[int, int] = DESKTOP, tab: str = "pool"
    ) -> Console:
        """Return the console of a user who is signed in, at that tab."""
        console = Console(self.page(language, size), language)
        console.page.goto(f"{self.team.url}/console#token={self.team.token(user)}")
        console.tab(tab)
        return console

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _record_error(self, message: Any) -> None:
        text = message.text
        if message.type in ("error", "warning") and not REFUSED.match(text) and text != NO_NETWORK:
            self.errors.append(text)


@dataclass
class Console:
    """An open page of the console."""

    page: Any
    language: str

    def text(self, key: str, **values: object) -> str:
        """Return a text of the page with its values; a number with a noun is not supported."""
        return re.sub(r"\{(\w+)\}", lambda create_pool: str(values[create_pool[1]]), words(self.language)[key])

    def button(self, key: str, within: Any = None, **values: object) -> Any:
        return (within or self.page).get_by_role("button", name=self.text(key, **values), exact=True)

    def button_named(self, name: str) -> Any:
        return self.page.get_by_role("button", name=name, exact=True)

    def tab(self, name: str) -> None:
        self.view(name).click()
        self.wait_until_loaded()

    def view(self, name: str) -> Any:
        """Return the link to the view of that name."""
        return self.navigation.get_by_role("link", name=self.text(f"view.{name}"), exact=True)

    @property
    def navigation(self) -> Any:
        return self.page.get_by_role("navigation")

    @property
    def views(self) -> Any:
        """The links to the views that the user sees."""
        return self.navigation.get_by_role("link")

    def open_customer(self, name: str) -> None:
        self.row(name).get_by_role("link", name=name, exact=True).click()
        self.dialog.get_by_text(self.text("customer.history"), exact=True).wait_for()

    def wait_until_loaded(self) -> None:
        """Wait until the page loads nothing more."""
        self.page.locator(".reading").first.wait_for(state="detached")

    def row(self, name: str) -> Any:
        """Return the row of a customer: all that is shown of it."""
        return self.page.locator("[data-id]").filter(has=self.page.get_by_role("link", name=name, exact=True))

    def notice(self, text: str) -> None:
        """Wait for a notice with this text, also if it is shown no more."""
        self.page.wait_for_function(TAKE_NOTICE, arg=text)

    @property
    def listed(self) -> Any:
        """The names of the listed customers, in order."""
        return self.page.locator(".customers a.name")

    def names(self) -> list[str]:
        """Return the names of a list that has been read and that nothing changes meanwhile."""
        self.listed.first.wait_for()
        return [str(name) for name in self.listed.all_inner_texts()]

    def select(self, *names: str) -> None:
        for name in names:
            self.page.get_by_label(self.text("list.tick", name=name), exact=True).check()

    @property
    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def reach(self, name: str, key: str = "Tab") -> None:
        """Press the key until the element of that name has the focus."""
        for _ in range(MOST_PRESSES):
            if self.page.evaluate(FOCUSED) == name:
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"{name} cannot be reached")

    def press(self, name: str, key: str = "Enter") -> None:
        """Reach an element by the keyboard, and press a key there."""
        self.reach(name)
        self.page.keyboard.press(key)

    @property
    def results(self) -> Any:
        """The lines with the results of a batch."""
        return self.page.locator(".results li")


def open_section(browser: Browser, section: str, user: str = "mona", language: str = "en") -> Console:
    """Open the console at a view of managers."""
    return browser.open_console(user, language, tab=section)


def create_field_sales(root: Console) -> None:
    """Create the pool "field" from the screen of the pool's state."""
    root.button("pools.create").click()
    root.dialog.get_by_label("Name").fill("Field sales")
    root.dialog.get_by_label("Id").fill("field")
    root.button("pools.create", root.dialog).click()
    root.notice("Field sales is open.")
