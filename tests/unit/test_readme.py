"""Every command of the README and the tour works as its page shows, in a fresh clone.

Commands that take minutes or another machine are not run here; each is listed with its reason.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support.pages import ROOT, blocks, text_of
from tests.support.running_clone import Clone, running_clone

PAGES = ("README.md", "docs/tour.md")

# Targets of the Makefile that run here, with the full command where an argument is open.
RUN = {
    "help": "make help",
    "run": "",  # it is going all the time
    "token": "make -s token USER=alice",
    "poolctl": 'make -s poolctl ARGS="--help"',
    "whois": "make -s whois USER=alice",
    "sweep": "make sweep",
    "audit": "make audit",
    "openapi": "make openapi",
    "pictures": "make pictures",
}
NOT_RUN = {
    "test": "these tests are in it",
    "test-fast": "these tests are in it",
    "test-all": "takes many minutes",
    "load": "takes minutes",
    "test-console": "needs a browser",
    "screenshots": "needs a browser",
    "vendor": "needs npm",
    "mutants": "takes many minutes",
    "check": "each change has passed it before its tests are run",
    "replay": "needs data that is not ours to pass on",
    "package": "fetches what it packs; `make e2e` runs it",
    "restore": "needs an AWS account",
    "remove-tenant": "needs an AWS account",
    "deploy": "needs an AWS account; `make e2e` deploys to an emulated one",
    "e2e": "takes minutes, and is run by .ci/run",
    "bench": "takes minutes, and measures",
    "bench-scale": "takes minutes",
    "bench-month": "test_month computes the same figures",
    "bench-cold": "takes minutes, and measures",
    "transcripts": "test_transcripts does the same",
    "lock": "fetches the index of packages; test_environments exports the same files",
    "stored-items": "writes a file that is tested with all later versions",
    "dynamodb-local": "fetches Amazon's engine",
    "setup": "other targets run it",
    "format": "rewrites the code",
    "clients-check": "needs Node.js",
    "check-template": "installs checkov, which takes a minute",
    "clean": "would delete the environments",
}


@dataclass(frozen=True)
class Command:
    """One line after a `$`, and the output that the page shows for it."""

    text: str
    expected: str


def conversations() -> list[list[Command]]:
    """The commands of each block, which may rely on one another."""
    return [list(commands_in(block.text)) for page in PAGES for block in blocks(page) if block.language == "console"]


def commands_in(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        first, _, expected = part.partition("\n")
        yield Command(first.strip(), expected.strip())


def documented_targets() -> set[str]:
    """Return the targets that `make help` lists."""
    return set(re.findall(r"^([a-z0-9-]+):.*## ", text_of("Makefile"), re.MULTILINE))


# In the house


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    with running_clone(tmp_path_factory.mktemp("newcomer") / "customer-pool") as made:
        yield made


@pytest.mark.slow
def test_what_is_typed_in_the_order_of_the_pages_is_answered_as_it_says(clone: Clone) -> None:
    typed = [talk for talk in conversations() if not any(re.match(r"make (?!-s)", each.text) for each in talk)]
    assert sum(map(len, typed)) >= 10

    for talk in typed:
        script = "\n".join(f"echo '<{at}>'\n{with_status(each.text)}" for at, each in enumerate(talk))
        outputs = re.split(r"^<\d+>\n", clone.run(script), flags=re.MULTILINE)[1:]
        for command, answered in zip(talk, outputs, strict=True):
            assert_matches(answered, command.expected, command.text)


@pytest.mark.slow
def test_the_make_targets_of_the_readme_run_and_regenerate_the_same_files(clone: Clone) -> None:
    for command in filter(None, RUN.values()):
        assert clone.run(command) or command in ("make openapi", "make pictures"), command

    for name in ("docs/openapi.json", "docs/pictures/house.svg"):
        assert (clone.folder / name).read_text(encoding="utf-8") == text_of(name)


def with_status(command: str) -> str:
    """curl prints the status at the end of the line, as the page does."""
    return re.sub(r"^curl ", r"curl -s -w '   %{http_code}\\n' ", command)


def assert_matches(answered: str, expected: str, command: str) -> None:
    """Each piece between two `…` is there, in that order; times are of the present day."""
    rest = plainly(answered)
    for piece in filter(None, (plainly(part) for part in expected.split("…"))):
        _, found, rest = rest.partition(piece)
        assert found, f"{command}\nsays no {piece!r}\nbut {plainly(answered)!r}"


def plainly(text: str) -> str:
    moments = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| [+-]\d\d:\d\d)?", "<moment>", text)
    return re.sub(r"\s+", " ", moments).strip()


# What is on the page


def test_every_command_block_of_the_readme_can_be_run() -> None:
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("console", ""), f"{page}: line {block.line}"
            assert block.language != "console" or block.text.startswith("$ "), f"{page}: line {block.line}"


def test_every_make_target_is_run_here_or_listed_with_the_reason() -> None:
    assert documented_targets() == RUN.keys() | NOT_RUN.keys()
    assert NOT_RUN.keys() & RUN.keys() == set()


def test_every_make_target_listed_as_not_run_exists() -> None:
    settings = ["STAGE=dev", "DATA=somewhere", "FROM=a-table"]

    planned = subprocess.run(
        ["make", "-n", *NOT_RUN, *settings], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert planned.returncode == 0, planned.stderr


def test_an_output_that_differs_from_the_readme_is_detected() -> None:
    assert_matches('{"id":"acme","state":"claimed"}   200\n', '{"id":"acme",…}   200', "curl")
    with pytest.raises(AssertionError):
        assert_matches('{"id":"acme","state":"claimed"}   200\n', '{"id":"acme",…}   409', "curl")
    with pytest.raises(AssertionError):
        assert_matches('{"id":"acme","state":"claimed"}   200\n', '"state":"claimed",…"id":"acme"', "curl")
