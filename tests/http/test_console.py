"""The console as served: a small page, files that browsers keep, complete in both languages.

`tests/console` tests its behavior in a browser.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from typing import get_args

import pytest

from chalicelib.api import bundle, console
from chalicelib.config import sign_in
from chalicelib.model.errors import CATALOG, Refusal
from chalicelib.model.responses import EventType
from tests.support.world import Reply, World

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(console.FOLDER.glob("*.js"))}
VENDORED = console.FOLDER / "vendor"
LONGEST = 350
FIRST_VISIT, RELOAD = 40 * 1024, 2 * 1024  # bytes, compressed
DECLARED = re.compile(r"^(?:export )?(?:async )?(?:function|const|let|class) (\w+)", re.MULTILINE)


def served(world: World, path: str = "/console") -> Reply:
    return world.request(None, "GET", path)


def files(world: World) -> dict[str, Reply]:
    """Return the files that the page loads at once, by name: script, style and the texts of one language."""
    page = served(world).text
    names = re.findall(r'(?:src|href)="console/([^"]+)"', page)
    names.append(json.loads(page.split('id="given">')[1].partition("</script>")[0])["files"]["zh.json"])
    return {name: served(world, f"/console/{name}") for name in names}


def compressed_size(reply: Reply) -> int:
    return len(gzip.compress(reply.text.encode(), 6))


# Delivery


def test_the_console_is_public_and_reads_no_table(no_store: World) -> None:
    page = served(no_store)

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.text.startswith("<!doctype html>")
    assert {reply.status for reply in files(no_store).values()} == {200}


def test_a_first_visit_loads_at_most_forty_kilobytes_and_a_reload_two(no_store: World) -> None:
    page = served(no_store)

    assert compressed_size(page) + sum(compressed_size(reply) for reply in files(no_store).values()) <= FIRST_VISIT
    assert compressed_size(page) <= RELOAD


def test_a_file_of_the_console_never_changes_under_its_name(no_store: World) -> None:
    for name, reply in files(no_store).items():
        _, digest, kind = name.split(".")

        assert hashlib.sha256(reply.text.encode()).hexdigest().startswith(digest)
        assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert (
            reply.headers["Content-Type"]
            == {"js": "text/javascript", "css": "text/css", "json": "application/json"}[kind]
        )


def test_the_page_itself_is_fetched_again_on_each_load(no_store: World) -> None:
    assert served(no_store).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("name", ["app.0000000000000000.js", "app.js", "page.html", "..", "vendor"])
def test_a_file_with_another_digest_or_name_is_not_found(no_store: World, name: str) -> None:
    reply = served(no_store, f"/console/{name}")

    assert (reply.status, reply.code) == (404, "not_found")


def test_only_scripts_of_the_service_itself_run(no_store: World) -> None:
    policy = served(no_store).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy and "data:" not in policy.replace("img-src data:", "")


def test_the_console_loads_nothing_external_and_uses_relative_urls(no_store: World) -> None:
    page = served(no_store).text

    assert re.findall(r"https?://", page) == []
    assert all(each.startswith(("console/", "data:")) for each in re.findall(r'(?:src|href)="([^"]*)"', page))


def test_a_page_whose_address_ends_with_a_slash_loads_its_files_from_beside_it() -> None:
    assert 'src="app.' in console.page(None, "/api/console/").text
    assert 'src="console/app.' in console.page(None, "/api/console").text


def test_the_console_contains_no_early_script_end_and_no_placeholder(no_store: World) -> None:
    text = served(no_store).text

    assert text.count("</script>") == 2 and "<style" not in text
    assert not re.search(r"\{(base|style|given|script)\}", text)


# Modules


@pytest.mark.parametrize("name", json.loads((VENDORED / "manifest.json").read_text(encoding="utf-8")))
def test_a_vendored_file_is_the_one_that_was_published(name: str) -> None:
    entries = json.loads((VENDORED / "manifest.json").read_text(encoding="utf-8"))
    entry = entries[name]

    assert hashlib.sha256((VENDORED / name).read_bytes()).hexdigest() == entry["sha256"]
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", entry["version"])
    licenses = [
        other for other, each in entries.items() if each["package"] == entry["package"] and other.endswith("LICENSE")
    ]
    assert len(licenses) == 1, "with its license"


def test_every_vendored_file_is_in_the_manifest_and_used() -> None:
    entries = json.loads((VENDORED / "manifest.json").read_text(encoding="utf-8"))

    assert {path.name for path in VENDORED.iterdir()} == entries.keys() | {"manifest.json"}
    assert {f"{name}.js" for name in bundle.PACKAGES.values()} == {name for name in entries if name.endswith(".js")}


@pytest.mark.parametrize("module", SOURCES)
def test_a_console_module_imports_only_what_others_export(module: str) -> None:
    for names, target in bundle.imports_of(SOURCES[module]):
        if target in bundle.PACKAGES:
            assert module == "view", "one module alone imports the libraries"
            continue
        assert target.startswith("./") and target.removeprefix("./").removesuffix(".js") in SOURCES
        other = SOURCES[target.removeprefix("./").removesuffix(".js")]
        exported = {
            each for each in DECLARED.findall(other) if re.search(rf"^export .*\b{each}\b", other, re.MULTILINE)
        }
        exported |= set(re.findall(r"\w+", "".join(re.findall(r"^export \{([^}]*)\}", other, re.MULTILINE))))
        assert set(names) <= exported, target


def test_every_console_module_is_part_of_a_script() -> None:
    reached: set[str] = set()
    waiting = [console.ENTRY, *console.PARTS]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each[2:-3] for _, each in bundle.imports_of(SOURCES[name]) if each.startswith("./")]

    assert reached == set(SOURCES)


def test_only_one_console_module_fetches() -> None:
    assert [name for name, source in SOURCES.items() if re.search(r"\bfetch\(", source)] == ["network"]


def test_no_console_script_turns_text_into_html() -> None:
    for name, source in SOURCES.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", source), (
            name
        )


def test_every_console_script_opens_with_its_purpose_and_is_short() -> None:
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
    made = set(re.findall(r"`([\w.]+\.\w*)\$\{", script))

    assert used - keys == set()
    assert all(any(key.startswith(start) for key in keys) for start in made)
    assert {key for key in keys - named if not key.startswith(tuple(made))} == set()


def test_a_script_says_only_what_its_own_texts_and_those_of_the_page_contain() -> None:
    page = json.loads(console.some_words("en"))
    for part, script in console.scripts().items():
        own = page if part == console.ENTRY else page | json.loads(console.some_words("en", part))

        assert set(re.findall(r'\bsay\("([^"]+)"', script)) - own.keys() == set(), part


def test_no_two_console_modules_define_the_same_name() -> None:
    declared = [name for source in SOURCES.values() for name in DECLARED.findall(source)]

    assert sorted({name for name in declared if declared.count(name) > 1}) == []


# Sign-in with the company's account


def test_the_console_may_connect_only_to_the_issuer_and_named_hosts() -> None:
    given = {"SIGN_IN_CLIENT": "c", "SIGN_IN_ISSUER": "https://id.example.com:8443/realms/x"}

    page = console.page(sign_in(given | {"SIGN_IN_HOSTS": "https://auth.example.com 'unsafe-inline' *"}))

    policy = page.headers["Content-Security-Policy"]
    assert "connect-src 'self' https://id.example.com:8443 https://auth.example.com;" in policy
    assert "unsafe" not in policy and "*" not in policy


def test_a_setting_cannot_close_its_html_element() -> None:
    page = console.page(sign_in({"SIGN_IN_CLIENT": "</script><script>alert(1)</script>"}))

    assert page.text.count("</script>") == 2


def test_the_console_accepts_pasted_tokens_when_no_client_is_configured() -> None:
    assert sign_in({"SIGN_IN_ISSUER": "https://id.example.com"}) is None
