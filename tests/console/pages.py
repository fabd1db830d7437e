"""What tests of the console speak: people with a browser each, and the pages that they look at.

Elements are found as people and screen readers find them, by what they are and what they are called, in the words of
the page itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from chalicelib.api.console import words
from tests.support.fixed_clock_service import Wire
from tests.support.world import Reply
from tools.local.keys import LocalKeys

DESKTOP, PHONE = (1200, 850), (360, 740)
# The browser logs each refused fetch as an error; the tests check how the page handles it.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (401|403|404|409|412|422) ")
NO_NETWORK = "Failed to load resource: net::ERR_FAILED"


@dataclass
class Team:
    """A tenant with a pool `p`. `ask` calls the service directly, outside any page."""

    url: str
    keys: LocalKeys
    tenant: str

    def token(self, user: str) -> str:
        return self.keys.token(user, ["admin"] if user == "root" else None, self.tenant)

    def ask(self, user: str, method: str, path: str = "", body: Any = None, **headers: str) -> Reply:
        """Of the pool, or at an address of its own. Whatever it is, it has to be done."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        where = path if path.startswith("/v1") else f"/v1/pools/p{path}"
        reply = Wire(self.url).send(self.token(user), method, where, body, sent)
        assert reply.status < 300, reply.text
        return reply

    def found(self) -> None:
        self.ask("root", "POST", "/v1/pools", {"id": "p", "name": "Sales 销售", "policy": {"claim_ttl": "P7D"}})
        for user, role in {"alice": "member", "bob": "member", "mona": "manager"}.items():
            self.ask("root", "PUT", f"/members/{user}", {"role": role})

    def customers(self, *names: str) -> None:
        """Customers c1, c2 and so on, called so."""
        for number, name in enumerate(names, 1):
            said = {"id": f"c{number}", "name": name, "fields": {"phone": f"+1-202-555-01{number:02}"}}
            self.ask("mona", "POST", "/customers", said)

    def rule(self, **policy: Any) -> None:
        """Changes the policy, for new claims."""
        version = self.ask("mona", "GET").json["version"]
        self.ask("mona", "PATCH", "", {"policy": policy}, if_match=str(version))

    def customer(self, customer: str) -> Any:
        return self.ask("mona", "GET", f"/customers/{customer}").json


@dataclass
class Door:
    """Opens pages in one browser and listens to them all."""

    browser: Any
    team: Team
    errors: list[str] = field(default_factory=list)
    contexts: list[Any] = field(default_factory=list)

    def page(self, language: str = "en", size: tuple[int, int] = DESKTOP) -> Any:
        """An empty page of a browser that has been nowhere yet."""
        tag = {"en": "en-GB", "zh": "zh-CN"}[language]
        context = self.browser.new_context(locale=tag, viewport={"width": size[0], "height": size[1]})
        context.set_default_timeout(15_000)
        self.contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._hear)
        return page

    def enter(self, user: str, language: str = "en", size: tuple[int, int] = DESKTOP, tab: str = "pool") -> Console:
        """That user's console, signed in, at that tab."""
        console = Console(self.page(language, size), language)
        console.page.goto(f"{self.team.url}/console#token={self.team.token(user)}")
        console.tab(tab)
        return console

    def close(self) -> None:
        for context in self.contexts:
            context.close()

    def _hear(self, message: Any) -> None:
        said = message.text
        if message.type in ("error", "warning") and not REFUSED.match(said) and said != NO_NETWORK:
            self.errors.append(said)


@dataclass
class Console:
    """One page that is open."""

    page: Any
    language: str

    def say(self, key: str, **values: object) -> str:
        """The page's own words, with its values but for numbers with a noun."""
        return re.sub(r"\{(\w+)\}", lambda found: str(values[found[1]]), words(self.language)[key])

    def button(self, key: str, within: Any = None, **values: object) -> Any:
        return (within or self.page).get_by_role("button", name=self.say(key, **values), exact=True)

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=self.say(f"tab.{name}"), exact=True).click()
        self.settled()

    def settled(self) -> None:
        """Nothing is being read any more."""
        self.page.locator(".reading").first.wait_for(state="detached")

    def row(self, name: str) -> Any:
        return self.page.get_by_role("listitem").filter(has=self.page.get_by_role("button", name=name, exact=True))

    def names(self) -> list[str]:
        return [str(name) for name in self.page.locator(".row button.name").all_inner_texts()]

    def tick(self, *names: str) -> None:
        for name in names:
            self.page.get_by_label(self.say("list.tick", name=name), exact=True).check()

    @property
    def dialog(self) -> Any:
        return self.page.get_by_role("dialog")

    def results(self) -> list[str]:
        """The lines of what came of a batch."""
        self.page.locator(".results li").first.wait_for()
        return [" ".join(text.split()) for text in self.page.locator(".results li").all_inner_texts()]
