"""The console as served: one page with its own content security policy, complete in both languages.

`tests/console` tests its behavior in a browser.
"""

from __future__ import annotations

import re
from typing import get_args

import pytest

from chalicelib.api import console
from chalicelib.config import sign_in
from chalicelib.model.errors import CATALOG, Refusal
from chalicelib.model.responses import EventType
from tests.support.world import Reply, World

SOURCES = {name: (console.FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in console.SCRIPTS}
LONGEST = 350


def served(world: World) -> Reply:
    return world.request(None, "GET", "/console")


def nonces(reply: Reply) -> set[str]:
    return set(re.findall(r'nonce="(\w+)"', reply.text))


def test_the_console_is_public_and_reads_no_table(no_store: World) -> None:
    page = served(no_store)

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")


def test_only_scripts_with_the_nonce_of_the_response_run(no_store: World) -> None:
    first, second = served(no_store), served(no_store)

    (nonce,) = nonces(first)
    policy = first.headers["Content-Security-Policy"]
    assert f"script-src 'nonce-{nonce}';" in policy and f"style-src 'nonce-{nonce}';" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert len(nonce) >= 32 and nonces(second) != {nonce}


def test_the_console_loads_nothing_external_and_uses_relative_urls(no_store: World) -> None:
    text = served(no_store).text.replace("http://www.w3.org/2000/svg", "")

    assert re.findall(r"https?://", text) == []
    assert re.findall(r"""(?:src|href)=["'](?!data:,)""", text) == []


def test_the_console_contains_no_early_script_end_and_no_placeholder(no_store: World) -> None:
    text = served(no_store).text

    assert text.count("</script>") == 2 and text.count("</style>") == 1
    assert not re.search(r"\{(nonce|style|given|script)\}", text)


def test_no_console_script_turns_text_into_html() -> None:
    for name, source in SOURCES.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source), (
            name
        )


def test_every_console_script_opens_with_its_purpose_and_is_short() -> None:
    assert {path.stem for path in console.FOLDER.glob("*.js")} == set(SOURCES)
    for name, source in SOURCES.items():
        assert source.startswith("// "), name
        assert len(source.splitlines()) <= LONGEST, name


# Texts


def test_both_console_languages_have_the_same_sentences() -> None:
    english, chinese = console.words("en"), console.words("zh")

    assert list(english) == list(chinese)
    assert all(english.values()) and all(chinese.values())


@pytest.mark.parametrize("key", console.words("en"))
def test_a_sentence_takes_the_same_values_in_both_languages(key: str) -> None:
    english, chinese = (set(re.findall(r"\{(\w+)", console.words(language)[key])) for language in ("en", "zh"))

    assert english == chinese


@pytest.mark.parametrize("language", console.LANGUAGES)
def test_every_refusal_has_a_console_sentence(language: str) -> None:
    texts = console.words(language)

    assert {Refusal(reason).code for reason in CATALOG} - {key.removeprefix("refusal.") for key in texts} == set()


@pytest.mark.parametrize("kind", get_args(EventType))
def test_every_event_has_a_console_sentence(kind: str) -> None:
    assert f"event.{kind}" in console.words("en")


def test_every_console_sentence_exists_and_is_used() -> None:
    keys, script = set(console.words("en")), "\n".join(SOURCES.values())

    used = set(re.findall(r'\bsay(?:able)?\("([^"]+)"', script))
    named = set(re.findall(r'"([\w.]+)"', script))
    made = set(re.findall(r"`(\w+\.\w*)\$\{", script))

    assert used - keys == set()
    assert all(any(key.startswith(start) for key in keys) for start in made)
    assert {key for key in keys - named if not key.startswith(tuple(made))} == set()


def test_no_two_console_scripts_define_the_same_name() -> None:
    declared = [
        name
        for source in SOURCES.values()
        for name in re.findall(r"^(?:async )?(?:function|const|let|class) (\w+)", source, re.MULTILINE)
    ]

    assert sorted({name for name in declared if declared.count(name) > 1}) == []


# Sign-in with the company's account


def test_the_console_may_connect_only_to_the_issuer_and_named_hosts() -> None:
    given = {"SIGN_IN_CLIENT": "c", "SIGN_IN_ISSUER": "https://id.example.com:8443/realms/x"}

    page = console.page("n", sign_in(given | {"SIGN_IN_HOSTS": "https://auth.example.com 'unsafe-inline' *"}))

    assert "connect-src 'self' https://id.example.com:8443 https://auth.example.com;" in page.policy
    assert "unsafe" not in page.policy and "*" not in page.policy


def test_a_setting_cannot_close_its_html_element() -> None:
    page = console.page("n", sign_in({"SIGN_IN_CLIENT": "</script><script>alert(1)</script>"}))

    assert page.html.count("</script>") == 2


def test_the_console_accepts_pasted_tokens_when_no_client_is_configured() -> None:
    assert sign_in({"SIGN_IN_ISSUER": "https://id.example.com"}) is None
