"""Every kind of item as a release writes it: the file that later releases must keep reading (I11).

`make stored-items` writes `tests/data/items-<version>.json` from the requests below. Before the release of a version,
run it after every change of stored items; after the release, the file stays, and the next version gets its own.
A new kind of item belongs into the table at the top of `chalicelib/dynamodb/keys.py` and into `write_every_kind`.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from chalicelib import __version__
from chalicelib.dynamodb import keys
from chalicelib.dynamodb.items import Item, is_tombstone
from chalicelib.dynamodb.pool_items import pool_record
from chalicelib.model.times import rfc3339
from chalicelib.services import field_job, resharding, search_rows
from tests.support.memory import Memory, memory_table
from tests.support.search_rows import index_customers
from tests.support.world import DAY, HOUR, MINUTE, User, World, everything

FOLDER = Path(__file__).parents[1] / "data"
TOMBSTONE = "tombstone"  # under the key of the customer
PAGES = (
    "/v1/pools", "/v1/users", "/v1/users/dora/leave", "/v1/pools/p", "/v1/pools/p/log", "/v1/pools/p/members",
    "/v1/pools/p/imports", "/v1/pools/p/erased", "/v1/pools/p/stats?from=2026-06-01&to=2026-06-30", "/v1/pools/q",
    "/v1/pools/q/members",
)  # fmt: skip
CUSTOMERS = ("available", "held", "requested", "pinned", "private", "aside", "overwritten", "traveled")


# The kinds


_ROW = re.compile(r"^ {4}(\w[\w -]*?) +(T#\S+|TENANTS|same) +(\S+) ", re.MULTILINE)


class Layout(NamedTuple):
    """The keys of one kind of item."""

    pk: re.Pattern[str]
    sk: re.Pattern[str]


@cache
def kinds() -> dict[str, Layout]:
    """Return the layout of each kind of item: the table at the top of `keys`."""
    found, pk = dict[str, Layout](), ""
    for kind, stored_pk, sk in _ROW.findall(keys.__doc__ or ""):
        pk = pk if stored_pk == "same" else stored_pk
        found[kind] = Layout(*(re.compile(re.sub(r"<[^>]+>", ".+?", text)) for text in (pk, sk)))
    return found


def kind_of(item: Item) -> str | None:
    """Return the kind of an item; None for one that the table does not describe."""
    if is_tombstone(item):
        return TOMBSTONE
    return next(
        (
            kind for kind, layout in kinds().items()
            if layout.pk.fullmatch(item["pk"]["S"]) and layout.sk.fullmatch(item["sk"]["S"])
        ),
        None,
    )  # fmt: skip


# The file


def path_of(version: str) -> Path:
    return FOLDER / f"items-{version}.json"


def written() -> dict[str, Any]:
    """Return the content of the file: the items that this version writes, the time, and its answers."""
    world = World(memory_table(Memory()))
    write_every_kind(world)
    items = sorted(everything(world.table), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))
    return {"version": __version__, "now": world.clock.now, "items": items, "answers": answers(world)}


def answers(world: World) -> dict[str, Any]:
    """Return what a reader sees of the stored items, by path."""
    root = world.root
    paths = [*PAGES, *(f"/v1/pools/{'q' if each == 'traveled' else 'p'}/customers/{each}" for each in CUSTOMERS)]
    paths += [f"{path}/history" for path in paths[len(PAGES) :]]
    return {path: root.request("GET", path).json for path in paths}


def read(path: Path) -> dict[str, Any]:
    """Return the content of a file, with bytes where an item has them."""
    return dict(json.loads(path.read_text(encoding="utf-8"), object_hook=_with_bytes))


def _with_bytes(part: dict[str, Any]) -> dict[str, Any]:
    return {"B": b64decode(part["B"])} if part.keys() == {"B"} else part


def main() -> None:
    content = json.dumps(
        written(), ensure_ascii=False, sort_keys=True, indent=1, default=lambda raw: b64encode(raw).decode()
    )
    path_of(__version__).write_text(f"{content}\n", encoding="utf-8")


# Writing every kind


def write_every_kind(world: World) -> None:
    """Send requests that write every kind of item, in every state and with most attributes."""
    world.pool("q", members="alice bob", win="approval")
    world.pool(
        members="alice bob carl dora", win="approval", claim_ttl="P3D", reminders=["P1D"], pin_limit=2, max_pin="P7D",
        max_returns=2, private_ttl="P30D", private_limit=9, holding_limit=20, daily_claim_limit=50,
        time_zone="Asia/Shanghai",
    )  # fmt: skip
    world.root.request("PUT", "/v1/pools/p/members/alice", {"role": "member", "holding_limit": 9, "private_limit": 7})
    world.root.request("PUT", "/v1/pools/q/members/mona", {"role": "manager"})
    _define_fields(world.mona)
    done(world.mona.patch("/members/bob", {"takes": {"level": ["A"]}}))
    _write_customers(world)
    _write_imports(world)
    world.clock.forward(DAY)
    world.alice.claim("again", idempotency_key="key-1")  # archives the counts of the day before
    _leave(world)
    world.clock.forward(MINUTE)
    done(world.mona.post("/customers/erased/erase", {"reason": "requested", "force": True}))
    world.run_schedule()
    done(world.mona.post("/customers/again/suppress", {"force": True}))
    done(world.mona.post("/customers/erased-now/erase", {"reason": "requested", "force": True}))
    _begin_resharding(world)
    _begin_indexing(world)
    _begin_field_job(world)


def _begin_indexing(world: World) -> None:
    """Index the customers, and stop after the first of those that are indexed again."""
    index_customers(world)
    masked = {"policy": {"masked_fields": ["email"]}}
    done(world.mona.patch("", masked, if_match=world.mona.get().headers["ETag"]))
    world.clock.forward(search_rows.STALE_MS)
    key = keys.pool_key("main", "p")
    pool = pool_record("main", world.table.get([key])[key])
    search_rows.continue_indexing(world.table, pool, world.clock(), lambda: 0.0, per_page=1)


def _begin_field_job(world: World) -> None:
    """Change the fields, and stop the job after the first customer."""
    fields = [*world.mona.get().json["fields"], {"key": "since", "label": {"en": "Since", "zh": "始于"}, "type": "date",
                                                 "filter": True}]  # fmt: skip
    done(world.mona.patch("", {"fields": fields}, if_match=world.mona.get().headers["ETag"]))
    world.clock.forward(search_rows.STALE_MS)
    key = keys.pool_key("main", "p")
    pool = pool_record("main", world.table.get([key])[key])
    field_job.continue_job(world.another_process().backend, pool, world.clock(), lambda: 0.0, per_page=1)


def _begin_resharding(world: World) -> None:
    done(world.root.post("/spread", {"shards": 2}))
    world.clock.forward(resharding.STALE_MS)
    key = keys.pool_key("main", "p")
    pool = pool_record("main", world.table.get([key])[key])
    resharding.continue_resharding(world.table, pool, world.clock(), lambda: 0.0)


def done(reply: Any) -> None:
    assert reply.status in (200, 201), reply.text


def _define_fields(mona: User) -> None:
    fields = [
        {"key": "phone", "label": {"en": "Phone", "zh": "电话"}, "type": "phone", "masked": True, "unique": True},
        {"key": "email", "label": {"en": "E-mail", "zh": "邮箱"}, "type": "email"},
        {
            "key": "level",
            "label": {"en": "Level", "zh": "级别"},
            "type": "choice",
            "options": ["A", "B"],
            "filter": True,
        },
    ]
    done(mona.patch("", {"fields": fields}, if_match='"1"'))


def _write_customers(world: World) -> None:
    mona, alice = world.mona, world.alice
    for number, each in enumerate([*CUSTOMERS, "again", "erased", "erased-now", "of-dora"]):
        fields = {"phone": f"1380000{number:04d}", "email": f"{each}@example.com", "level": "A"}
        done(mona.create(each, name=f"Customer {each}", priority=number % 2, fields=fields))
    held = ["held", "requested", "pinned", "private", "aside", "erased", "traveled"]
    done(alice.claim_batch(held, idempotency_key="key-0"))
    for number in range(18):
        done(alice.post("/customers/held/follow-up", {"note": f"called {number} {'x' * 60}", "outcome": "interested"}))
    done(mona.post("/customers/held/extend", {"by": "PT1H"}))
    done(alice.post("/customers/pinned/pin", {"until": rfc3339(world.clock() + 2 * DAY)}))
    done(world.bob.claim("erased-now"))
    done(world.bob.post("/customers/erased-now/win", {"amount": "1.00"}))
    done(mona.post("/customers/erased-now/win/decline", {"reason": "not signed"}))
    done(mona.post("/customers/private/convert"))
    done(mona.post("/customers/traveled/convert"))
    done(mona.post("/customers/traveled/deposit", {"pool": "q"}))
    done(alice.post("/customers/requested/win", {"amount": "7.50", "note": "signed"}))
    for _ in range(2):
        done(mona.post("/customers/aside/release", {"reason": "no time"}))
        world.clock.forward(HOUR)
        if mona.customer("aside")["set_aside_at"] is None:
            done(mona.post("/customers/aside/assign", {"to": "bob"}))
    done(mona.patch("/customers/available", {"fields": {"phone": "13900000001"}}))  # leaves a former unique key


def _write_imports(world: World) -> None:
    mona = world.mona
    rows = [
        {"id": "overwritten", "name": "Other", "fields": {"phone": "13900000002"}},
        {"id": "imported", "name": "Imported", "holder": "bob"},
    ]
    part = {"rows": rows, "on_duplicate": "update", "import": {"id": "file-1", "file": "customers.xlsx"}}
    done(mona.post("/import", part, idempotency_key="import-1"))
    taken_back = mona.post("/import", {"rows": [{"id": "gone", "name": "Gone"}]}).json["import_id"]
    done(mona.post(f"/imports/{taken_back}/undo"))


def _leave(world: World) -> None:
    done(world.user("carl").request("GET", "/v1/me"))
    done(world.root.request("PUT", "/v1/users/alice", {"name": "Alice Chen", "email": "alice@example.com"}))
    done(world.user("dora").claim("of-dora"))
    done(world.root.request("POST", "/v1/users/dora/leave", {"held": "release", "private": "deposit"}))
    done(world.root.request("DELETE", "/v1/pools/p/members/carl"))


if __name__ == "__main__":
    main()
