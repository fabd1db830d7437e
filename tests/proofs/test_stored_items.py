"""Items as each release wrote them: this version reads them all, answers the same, and goes on with every verb (I11).

`tests.support.stored_items` writes the file of the present version, and says when.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chalicelib import __version__
from chalicelib.dynamodb.keys import Key
from chalicelib.dynamodb.table import Put, Table
from tests.proofs.operations import OPERATIONS
from tests.support.audit import assert_sound
from tests.support.memory import Memory, memory_table
from tests.support.stored_items import FOLDER, answers, kind_of, kinds, path_of, read
from tests.support.world import DAY, MINUTE, Clock, World, everything

FILES = sorted(FOLDER.glob("items-*.json"))
every_release = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def release(table: Table, file: Path) -> tuple[World, dict[str, Any]]:
    """Return a world with the items of that release, at its time, and the content of the file."""
    content = read(file)
    for item in content["items"]:
        table.write([Put(Key(item["pk"]["S"], item["sk"]["S"]), item)])
    return World(table, Clock(content["now"])), content


def missing(present: Any, earlier: Any, path: str = "") -> list[str]:
    """Return where the present answer lacks something of the earlier one. It may have further members."""
    if isinstance(earlier, dict) and isinstance(present, dict):
        return [lack for name in earlier for lack in missing(present.get(name), earlier[name], f"{path}.{name}")]
    if isinstance(earlier, list) and isinstance(present, list) and len(present) == len(earlier):
        pairs = enumerate(zip(present, earlier, strict=True))
        return [lack for at, (now, then) in pairs for lack in missing(now, then, f"{path}[{at}]")]
    return [] if present == earlier else [f"{path}: {earlier!r} was answered, now {present!r}"]


@every_release
def test_the_items_of_each_release_give_the_answers_that_it_gave(table: Table, file: Path) -> None:
    world, content = release(table, file)

    now = answers(world)

    assert content["answers"].keys() == now.keys()
    assert missing(now, content["answers"]) == []


@every_release
def test_every_verb_goes_on_with_the_items_of_each_release(table: Table, file: Path) -> None:
    world, _ = release(table, file)
    alice, mona = world.alice, world.mona

    version = world.root.get().headers["ETag"]
    replayed = alice.claim("again", idempotency_key="key-1")
    done = [
        alice.claim("available"), alice.release("held"), mona.post("/customers/requested/win/approve"),
        mona.post("/customers/aside/restore"), alice.post("/customers/private/deposit"),
        mona.post("/customers/pinned/transfer", {"to": "bob"}), mona.post("/imports/file-1/undo"),
        world.root.patch("", {"policy": {"claim_ttl": "P5D"}, "apply_to": "all"}, if_match=version),
        world.root.request("PUT", "/v1/pools/p/members/carl", {"role": "member"}),
        mona.post("/customers/overwritten/erase", {"reason": "requested", "force": True}),
    ]  # fmt: skip
    world.clock.forward(40 * DAY)
    swept, audited = world.run_schedule(), world.root.request("POST", "/v1/audit", {})

    assert replayed.headers.get("Idempotent-Replayed") == "true"
    assert [each.text for each in done if each.status not in (200, 201)] == []
    assert swept.failed == 0 and swept.returned > 0
    assert audited.json["drift"] == []
    assert_sound(table)


def test_the_file_of_this_version_has_every_kind_of_item() -> None:
    stored = read(path_of(__version__))["items"]

    absent = kinds().keys() - {kind_of(item) for item in stored}

    assert not absent, (
        f"{path_of(__version__).name} has no {', '.join(sorted(absent))}: write one in `write_every_kind` of "
        "tests/support/stored_items.py and run `make stored-items`"
    )


def test_every_item_that_a_request_writes_is_of_a_kind_that_the_table_of_keys_describes() -> None:
    found = set[str]()

    for operation in OPERATIONS:
        world = World(memory_table(Memory()))
        operation.set_up(world)
        operation.send(world, "k")
        world.clock.forward(MINUTE)
        found |= {f"{item['pk']['S']} {item['sk']['S']}" for item in everything(world.table) if kind_of(item) is None}

    assert not found, f"describe the kinds of these items at the top of chalicelib/dynamodb/keys.py: {sorted(found)}"
