"""Imports and their undo, for several tests."""

from __future__ import annotations

from typing import Any

from tests.support.world import Reply, User, World, everything

PHONE = "13812345678"


def imported(user: User, *rows: dict[str, Any], on_duplicate: str = "update", **settings: Any) -> str:
    """Import those rows, all of which succeed. Return the id of the import."""
    headers = {name: settings.pop(name) for name in ("idempotency_key",) if name in settings}
    body = {"rows": [{"name": "Imported"} | row for row in rows], "on_duplicate": on_duplicate} | settings
    reply = user.post("/import", body, **headers)
    assert reply.json["summary"]["failed"] == 0, reply.text
    return str(reply.json["import_id"])


def undo(user: User, import_id: str, **headers: str) -> Reply:
    return user.post(f"/imports/{import_id}/undo", **headers)


def undo_results(reply: Reply) -> dict[str, str]:
    """Return the result of each customer: `left`, `restored`, or the code of the reason why it stays."""
    assert reply.status == 200, reply.text
    results = reply.json["results"]
    done = {each["id"]: "restored" if each["customer"] else "left" for each in results if each["ok"]}
    return {each["id"]: done.get(each["id"]) or each["code"] for each in results}


def edit(user: User, customer: str, **changes: Any) -> Reply:
    return user.request("PATCH", f"/v1/pools/p/customers/{customer}", changes)


def listed(user: User, query: str = "") -> list[str]:
    return sorted(each["id"] for each in user.walk(f"/customers{query}"))


def partition_keys(world: World, *kinds: str) -> list[str]:
    """Return the partition keys of customers (`#C#`) or of unique-key items (`#D#`)."""
    keys = [item["pk"]["S"] for item in everything(world.table)]
    return sorted(pk for pk in keys if any(kind in pk for kind in kinds))
