"""The access matrix: every route, called by every kind of caller. An allowed caller succeeds; a refused one changes and
learns nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.api.routes import ROUTES
from chalicelib.model.errors import CATALOG
from tests.conftest import new_table
from tests.support.audit import assert_sound
from tests.support.canaries import FIELDS, NAME, PHONE
from tests.support.conformance import operation
from tests.support.every_route import named
from tests.support.world import Reply, User, World, another_with, everything, find

# acme is another tenant, with an admin and a manager of the same names as ours. Of our people quinn belongs to another
# pool only, bob is a plain member, alice one who holds, mona the manager, root an admin without a role in the pool, and
# anna an admin who is a plain member of it.
#
#     in        let in: it is done                    401       unauthenticated
#     own       let in, to their own tenant's         404       not_found
#     member?   403 not_a_member                      manager?  403 not_manager
#     holder?   403 not_holder                        admin?    403 not_admin
#     …*        per customer of a batch: 200, or 409 where the batch is atomic
TABLE = """
                                           | nobody acme.root acme.mona quinn    bob       alice     mona     root     anna
GET /health                                | in     in        in        in       in        in        in       in       in
GET /openapi.json                          | in     in        in        in       in        in        in       in       in
GET /console                               | in     in        in        in       in        in        in       in       in
GET /console/unknown.js                    | 404    404       404       404      404       404       404      404      404

POST /pools                                | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
GET /pools                                 | 401    own       own       in       in        in        in       in       in
GET /pools/p                               | 401    404       404       member?  in        in        in       in       in
PATCH /pools/p                             | 401    404       404       member?  manager?  manager?  in       in       in
PATCH /pools/p (on trial)                  | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/pause                        | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
POST /pools/paused/resume                  | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
POST /pools/p/close                        | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
POST /pools/closed/open                    | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
POST /pools/p/spread                       | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
DELETE /pools/empty                        | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
POST /sweep                                | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
POST /sweep (of one pool)                  | 401    404       admin?    admin?   admin?    admin?    admin?   in       in
POST /audit                                | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
POST /audit (of one pool)                  | 401    404       admin?    admin?   admin?    admin?    admin?   in       in

GET /me                                    | 401    own       own       in       in        in        in       in       in
GET /me/customers                          | 401    own       own       in       in        in        in       in       in
GET /users                                 | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
PUT /users/alice                           | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
PUT /users/gone (back)                     | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
POST /users/alice/leave                    | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
POST /users/alice/leave (to bob)           | 401    own       admin?    admin?   admin?    admin?    admin?   in       in
GET /users/gone/leave                      | 401    404       admin?    admin?   admin?    admin?    admin?   in       in

PUT /pools/p/members/newcomer              | 401    404       404       member?  manager?  manager?  in       in       in
PUT /pools/p/members/bob                   | 401    404       404       member?  manager?  manager?  in       in       in
PUT /pools/p/members/bob (as manager)      | 401    404       404       member?  manager?  manager?  admin?   in       in
PUT /pools/p/members/mona                  | 401    404       404       member?  manager?  manager?  admin?   in       in
PATCH /pools/p/members/bob                 | 401    404       404       member?  manager?  manager?  in       in       in
PATCH /pools/p/members/bob (a territory)   | 401    404       404       member?  manager?  manager?  in       in       in
PATCH /pools/p/members/bob (as manager)    | 401    404       404       member?  manager?  manager?  admin?   in       in
PATCH /pools/p/members/mona                | 401    404       404       member?  manager?  manager?  admin?   in       in
GET /pools/p/members                       | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/members?sort=-held            | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/members/carl                  | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/members/me                    | 401    404       404       member?  in        in        in       member?  in
DELETE /pools/p/members/carl               | 401    404       404       member?  manager?  manager?  in       in       in
DELETE /pools/p/members/alice?held=release&private=deposit | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/log                           | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/stats?by=city                 | 401    404       404       member?  in        in        in       in       in
GET /pools/p/stats                         | 401    404       404       member?  in        in        in       in       in

POST /pools/p/customers                    | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers (private)          | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/import                       | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/import (by phone)            | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/import (on trial)            | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/import (for a holder)        | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/import/preview               | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/imports/id000036/undo        | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/imports                       | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/customers                     | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers?state=claimed       | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers?state=win_requested | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers?holder=alice        | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers?name=zhang          | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers?phone=13810029999   | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers?ids=free,held,own   | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers/free                | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers/held                | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers/held/history        | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers/own                 | 401    404       404       member?  404       in        in       in       in
GET /pools/p/customers/own/history         | 401    404       404       member?  404       in        in       in       in
GET /pools/p/customers/own/eligibility     | 401    404       404       member?  404       in        in       in       in
GET /pools/p/customers?state=private       | 401    404       404       member?  in        in        in       in       in
GET /pools/p/customers/free/eligibility    | 401    404       404       member?  in        in        in       in       in
PATCH /pools/p/customers/held              | 401    404       404       member?  holder?   in        in       in       in
PATCH /pools/p/customers/held (of a territory) | 401    404       404       member?  holder?   manager?  in       in       in
PATCH /pools/p/customers/own               | 401    404       404       member?  404       in        in       in       in

POST /pools/p/customers/free/claim         | 401    404       404       member?  in        in        in       member?  in
POST /pools/p/customers/held/release       | 401    404       404       member?  holder?   in        in       in       in
POST /pools/p/customers/free/assign        | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/held/transfer      | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/free/erase         | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/held/erase (forced)| 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/free/suppress      | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/held/suppress (by force)| 401 404  404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/quiet/unsuppress   | 401    404       404       member?  manager?  manager?  in       in       in
GET /pools/p/customers?state=suppressed    | 401    404       404       member?  in        in        in       in       in
GET /pools/p/erased                        | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/held/extend        | 401    404       404       member?  holder?   in        in       in       in
POST /pools/p/customers/held/follow-up     | 401    404       404       member?  holder?   in        in       in       in
POST /pools/p/customers/own/follow-up      | 401    404       404       member?  404       in        in       in       in
POST /pools/p/customers/held/win           | 401    404       404       member?  holder?   in        in       in       in
POST /pools/p/customers/asked/win/approve  | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/asked/win/decline  | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/held/convert       | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/own/deposit        | 401    404       404       member?  404       in        in       in       in
POST /pools/p/customers/own/deposit (to r) | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/own/deposit (to q) | 401    404       404       member?  manager?  manager?  in       in       in
POST /pools/p/customers/held/pin           | 401    404       404       member?  holder?   in        in       in       in
POST /pools/p/customers/pinned/unpin       | 401    404       404       member?  holder?   in        in       in       in
POST /pools/p/customers/aside/restore      | 401    404       404       member?  manager?  manager?  in       in       in

POST /pools/p/claim                        | 401    404       404       member?* in        in        in       member?* in
POST /pools/p/claim-next                   | 401    404       404       member?  in        in        in       member?  in
POST /pools/p/release                      | 401    404       404       member?* holder?*  in        in       in       in
POST /pools/p/assign                       | 401    404       404       member?* manager?* manager?* in       in       in
POST /pools/p/transfer                     | 401    404       404       member?* manager?* manager?* in       in       in
POST /pools/p/extend                       | 401    404       404       member?* holder?*  in        in       in       in
POST /pools/p/win                          | 401    404       404       member?* holder?*  in        in       in       in
POST /pools/p/win/approve                  | 401    404       404       member?* manager?* manager?* in       in       in
POST /pools/p/convert                      | 401    404       404       member?* manager?* manager?* in       in       in
POST /pools/p/deposit                      | 401    404       404       member?* 404*      in        in       in       in
POST /pools/p/follow-up                    | 401    404       404       member?* holder?*  in        in       in       in
POST /pools/p/pin                          | 401    404       404       member?* holder?*  in        in       in       in
POST /pools/p/unpin                        | 401    404       404       member?* holder?*  in        in       in       in
POST /pools/p/erase                        | 401    404       404       member?* manager?* manager?* in       in       in
POST /pools/p/edit                         | 401    404       404       member?* holder?*  in        in       in       in
"""  # noqa: E501
BODIES: dict[str, dict[str, Any]] = {
    "POST /pools": {"id": "made", "name": "Made"},
    "PATCH /pools/p": {"policy": {"holding_limit": 9}},
    "PATCH /pools/p (on trial)": {"policy": {"claim_ttl": "P9D"}, "dry_run": True},
    "POST /pools/p/close": {"mode": "drain"},
    "POST /pools/p/spread": {"shards": 8},
    "POST /sweep (of one pool)": {"pool": "p"},
    "POST /audit (of one pool)": {"pool": "p"},
    "PUT /users/alice": {"name": "Alice"},
    "PUT /users/gone (back)": {"left": False},
    "POST /users/alice/leave": {"held": "release", "private": "deposit"},
    "POST /users/alice/leave (to bob)": {"held": "transfer", "private": "transfer", "to": "bob"},
    "PUT /pools/p/members/newcomer": {"role": "member"},
    "PUT /pools/p/members/bob": {"role": "member", "holding_limit": 5},
    "PUT /pools/p/members/bob (as manager)": {"role": "manager"},
    "PUT /pools/p/members/mona": {"role": "manager", "holding_limit": 5},
    "PATCH /pools/p/members/bob": {"holding_limit": 5},
    "PATCH /pools/p/members/bob (a territory)": {"takes": {"city": ["Bonn"]}},
    "PATCH /pools/p/members/bob (as manager)": {"role": "manager"},
    "PATCH /pools/p/members/mona": {"holding_limit": 5},
    "POST /pools/p/customers": {"id": "made", "name": "Made"},
    "POST /pools/p/customers (private)": {"id": "made", "name": "Made", "private_of": "bob"},
    "POST /pools/p/import": {"rows": [{"id": "made", "name": "Made"}]},
    "POST /pools/p/import (by phone)": {"rows": [{"name": "M", "fields": {"phone": "13900000000"}}], "key": "phone"},
    "POST /pools/p/import (on trial)": {
        "rows": [{"name": "M", "fields": {"phone": "13900000000"}, "holder": "bob"}],
        "key": "auto",
        "dry_run": True,
    },
    "POST /pools/p/import (for a holder)": {"rows": [{"name": "Made", "holder": "bob"}], "key": "auto"},
    "POST /pools/p/import/preview": {"text": "name,phone\nMade,13900000000\n"},
    "PATCH /pools/p/customers/held": {"name": "Renamed"},
    "PATCH /pools/p/customers/held (of a territory)": {"fields": {"city": "Bonn"}},
    "PATCH /pools/p/customers/own": {"name": "Renamed"},
    "POST /pools/p/customers/free/assign": {"to": "bob"},
    "POST /pools/p/customers/held/transfer": {"to": "carl"},
    "POST /pools/p/customers/held/follow-up": {"note": "called"},
    "POST /pools/p/customers/own/follow-up": {"outcome": "interested"},
    "POST /pools/p/customers/own/deposit (to r)": {"pool": "r"},
    "POST /pools/p/customers/own/deposit (to q)": {"pool": "q"},
    "POST /pools/p/customers/held/pin": {"until": "2026-06-03T00:00:00Z"},
    "POST /pools/p/claim": {"customer_ids": ["free"]},
    "POST /pools/p/release": {"customer_ids": ["held"]},
    "POST /pools/p/assign": {"customer_ids": ["free"], "to": "bob"},
    "POST /pools/p/transfer": {"customer_ids": ["held"], "to": "carl"},
    "POST /pools/p/extend": {"customer_ids": ["held"]},
    "POST /pools/p/convert": {"customer_ids": ["held"]},
    "POST /pools/p/win": {"customer_ids": ["held"]},
    "POST /pools/p/win/approve": {"customer_ids": ["asked"]},
    "POST /pools/p/customers/asked/win/decline": {"reason": "not signed"},
    "POST /pools/p/deposit": {"customer_ids": ["own"]},
    "POST /pools/p/follow-up": {"customer_ids": ["held", "pinned"], "note": "called"},
    "POST /pools/p/pin": {"customer_ids": ["held"], "until": "2026-06-03T00:00:00Z"},
    "POST /pools/p/unpin": {"customer_ids": ["pinned"]},
    "POST /pools/p/customers/free/erase": {"reason": "requested"},
    "POST /pools/p/customers/held/erase (forced)": {"reason": "requested", "force": True},
    "POST /pools/p/erase": {"customer_ids": ["free"], "reason": "requested"},
    "POST /pools/p/customers/held/suppress (by force)": {"force": True},
    "POST /pools/p/edit": {"customer_ids": ["held", "pinned"], "name": "Renamed"},
}
REFUSALS = {
    "401": "unauthenticated", "404": "not_found", "member?": "not_a_member", "manager?": "not_manager",
    "holder?": "not_holder", "admin?": "not_admin",
}  # fmt: skip
ADMINS = ("root", "anna")
CHANGES_NOTHING = (
    "POST /sweep", "POST /audit", "PATCH /pools/p (on trial)", "POST /pools/p/import (on trial)",
    "POST /pools/p/import/preview",
)  # fmt: skip
WRITES_ON_READING = ("GET /me",)  # stores what the token states

HEAD, *LINES = [line.partition("|")[::2] for line in TABLE.splitlines() if line]
NAMES = HEAD[1].split()
ROWS = {row.strip(): cells.split() for row, cells in LINES}


def cells_of(row: str, expected: bool) -> list[tuple[str, str]]:
    """Who is let in (or kept out) there, and how."""
    return [(name, cell) for name, cell in zip(NAMES, ROWS[row], strict=True) if (cell in ("in", "own")) == expected]


def send(world: World, row: str, name: str, body: Any = None, path: str = "", **headers: str) -> Reply:
    """That row's request, sent by that user. `body` and `path` stand for its own where they are given."""
    method, own_path, *_ = row.split(" ")
    tenant, _, user = name.rpartition(".")
    who = User(world, world.user(user, admin=user in ADMINS, tenant=tenant or "main").caller)
    if own_path == "/pools/p" and method == "PATCH":
        headers.setdefault("if_match", "1")
    content = json.dumps(BODIES.get(row, {}) if body is None else body).encode() if method != "GET" else b""
    caller = None if name == "nobody" else who.caller
    return world.request(caller, method, at(path or own_path), content, **headers)


def at(path: str) -> str:
    """The console alone stands beside the versioned routes."""
    return path if path.startswith("/console") else "/v1" + path


def prepare(world: World) -> None:
    """Customers in every state, pools in every status; acme with a pool of its own, twin with one of the same name."""
    mona = world.pool(
        "p", "main", "alice bob carl anna", claim_ttl="P7D", members_may_extend=True, extension="P1D", pin_limit=3,
        max_returns=1, win="approval",
    )  # fmt: skip
    for pool in ("r", "empty", "paused", "closed"):
        world.pool(pool)
    world.pool("q", members="quinn")
    world.pool("abroad", "acme")
    world.pool("p", "twin", "alice dora")
    world.user("mona", tenant="acme", pool="abroad").create("far", name="Far")
    brought = mona.post("/import", {"rows": [{"id": "brought", "name": f"{NAME} brought"}]})
    assert brought.json["import_id"] == "id000036", "the id that this world mints here; a row of the table names it"
    for each in ("free", "held", "pinned", "own", "aside", "asked", "quiet"):
        fields = FIELDS if each == "held" else {}
        assert mona.create(each, name=f"{NAME} {each}", fields=fields).status == 201
    alice, root = world.user("alice"), world.user("root", admin=True)
    assert alice.claim_batch(["held", "pinned", "own", "aside", "asked"]).json["summary"]["failed"] == 0
    for done in (
        alice.post("/customers/pinned/pin", {"until": "2026-06-02T00:00:00Z"}),
        mona.post("/customers/own/convert"),
        alice.post("/customers/asked/win"),
        alice.release("aside"),
        mona.post("/customers/quiet/suppress"),
        root.request("PUT", "/v1/pools/q/members/gone", {"role": "member"}),
        root.request("POST", "/v1/users/gone/leave", {"held": "release", "private": "deposit"}),
        root.request("POST", "/v1/pools/paused/pause"),
        root.request("POST", "/v1/pools/closed/close", {"mode": "drain"}),
        mona.patch("/members/carl", {"takes": {"city": ["Bonn"]}}),
    ):
        assert done.status == 200, done.text


@pytest.fixture(scope="module")
def another(ministack: str) -> Callable[[], World]:
    """Return copies of a prepared world."""
    original = World(new_table(ministack))
    prepare(original)
    items = list(everything(original.table))

    return lambda: another_with(new_table(ministack), items)


def kept(world: World, tenant: str = "") -> set[str]:
    """All that is in the table, or all of that tenant; the memory of Idempotency-Keys aside."""
    items = {json.dumps(item, sort_keys=True, default=str): item["pk"]["S"] for item in everything(world.table)}
    return {text for text, pk in items.items() if "#K#" not in pk and pk.startswith(f"T#{tenant}#" if tenant else "")}


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    requests = [row.split(" ") for row in ROWS]

    routes = {named(find(method, at(path.partition("?")[0]))[0]) for method, path, *_ in requests}

    assert routes == {named(route) for route in ROUTES}
    assert BODIES.keys() <= ROWS.keys()
    assert {cell.rstrip("*") for cells in ROWS.values() for cell in cells} == {"in", "own", *REFUSALS}


@pytest.mark.parametrize("row", ROWS)
def test_allowed_callers_succeed_at_every_route(another: Callable[[], World], row: str) -> None:
    world = another()
    before, ours = kept(world), kept(world, "main")

    for name, cell in cells_of(row, expected=True):
        reply = send(world, row, name)

        assert reply.status in (200, 201), f"{name}: {reply.text}"
        assert row == "GET /console" or not reply.json.get("summary", {}).get("failed"), f"{name}: {reply.text}"
        changed = kept(world) != before
        assert changed == (row in WRITES_ON_READING or not row.startswith(("GET", *CHANGES_NOTHING))), f"{name}: {row}"
        assert cell == "in" or (kept(world, "main") == ours and NAME not in reply.text), name
        if changed:
            assert_sound(world.table)
            world = another()


@pytest.mark.parametrize("row", ROWS)
def test_refused_callers_get_the_reason_and_change_nothing(another: Callable[[], World], row: str) -> None:
    world = another()
    before = kept(world)

    for name, cell in cells_of(row, expected=False):
        for headers in ({}, {"idempotency_key": "k"}, {"idempotency_key": "k"}):
            reply = send(world, row, name, **headers)
            assert_refused(reply, REFUSALS[cell.rstrip("*")], each=cell.endswith("*"), message=f"{name}: {reply.text}")
        if cell.endswith("*"):
            whole = send(world, row, name, BODIES[row] | {"atomic": True})
            assert (whole.status, whole.code) == (409, REFUSALS[cell.rstrip("*")]), f"{name}: {whole.text}"

    assert kept(world) == before


def assert_refused(reply: Reply, code: str, each: bool, message: str) -> None:
    if each:
        assert (reply.status, set(reply.results)) == (200, {code}), message
    else:
        assert (reply.status, reply.json.get("code")) == (CATALOG[code].status, code), message


# Another tenant's, and what nobody has


HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"if_match": '"1"'},
    {"if_match": "none"},
    {"idempotency_key": "k"},
    {"idempotency_key": "other", "if_match": "77", "accept_language": "zh"},
)


def headers_for(row: str) -> list[dict[str, str]]:
    """What goes with that row: If-Match that is none only where the document has an answer to it."""
    method, path, *_ = row.split(" ")
    route, _ = find(method, at(path.partition("?")[0]))
    return [each for each in HEADERS if each.get("if_match") != "none" or "412" in operation(route)["responses"]]


def keyed(headers: dict[str, str], which: str) -> dict[str, str]:
    """With an Idempotency-Key of its own, where there is one: two bodies under one key are another matter."""
    return {name: text + which if name == "idempotency_key" else text for name, text in headers.items()}


def equal_responses(one: Reply, other: Reply) -> bool:
    """Return whether the responses are equal, except for the id of an import, which is new in each."""
    texts = [re.sub(r'"import_id":"[^"]*"', '"import_id":"#"', each.text) for each in (one, other)]
    return (one.status, one.headers, texts[0]) == (other.status, other.headers, texts[1])


@pytest.mark.parametrize("row", [row for row, cells in ROWS.items() if "404" in cells])
def test_another_tenants_pool_gets_the_exact_response_of_an_unknown_pool(
    another: Callable[[], World], row: str
) -> None:
    world = another()
    before = kept(world)
    pool = "/pools/" in row
    path = re.sub(r"^/pools/\w+", "/pools/nowhere", row.split(" ")[1]) if pool else ""
    body = BODIES.get(row, {}) | ({} if pool else {"pool": "nowhere"})

    for name in ("acme.root", "acme.mona"):
        for headers in headers_for(row):
            for _ in range(1 + ("idempotency_key" in headers)):  # the second is a repetition
                theirs = send(world, row, name, **keyed(headers, "1"))
                nobodys = send(world, row, name, body, path, **keyed(headers, "2"))
                assert equal_responses(theirs, nobodys), f"{name} {headers}: {theirs.text} {nobodys.text}"
                assert theirs.code in ("not_found", "not_admin", "version_conflict"), theirs.text

    assert kept(world) == before


OURS = ("free", "held", "pinned", "own", "aside", "carl", "bob")
STRANGERS = {each: "x" * len(each) for each in OURS}


def target_pool(text: str) -> str:
    """The same with what is ours replaced by what nobody has."""
    return re.sub(rf"(?<=[/\"=,])({'|'.join(OURS)})(?=[/\"?&,]|$)", lambda found: STRANGERS[found[1]], text)


@pytest.mark.parametrize("row", [row for row in ROWS if "/pools/p/" in row])
def test_customers_and_members_of_another_tenant_are_unknown_in_a_pool_with_the_same_id(
    another: Callable[[], World], row: str
) -> None:
    world = another()
    ours = kept(world, "main")
    path, body = row.split(" ")[1], BODIES.get(row, {})
    path_of_nobodys, body_of_nobodys = target_pool(path), json.loads(target_pool(json.dumps(body)))
    concerns_ours = (path, body) != (path_of_nobodys, body_of_nobodys)

    for name in ("twin.mona", "twin.alice"):
        for headers in headers_for(row):
            theirs = send(world, row, name, **keyed(headers, "1"))
            assert NAME not in theirs.text and PHONE not in theirs.text, f"{name}: {theirs.text}"
            if concerns_ours:
                nobodys = send(world, row, name, body_of_nobodys, path_of_nobodys, **keyed(headers, "2"))
                theirs.text = target_pool(theirs.text).replace('"xxxx":', '"held":')
                assert equal_responses(theirs, nobodys), f"{name} {headers}: {theirs.text} {nobodys.text}"

    assert kept(world, "main") == ours
