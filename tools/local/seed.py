"""The demo pool of `make run`: one manager, two members, a dozen customers in English and Chinese.

Created over HTTP like by any client. May run again after an interruption.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from poolctl.client import Client
from poolctl.local_keys import LocalKeys
from tools.problems import Unusable

POOL = "demo"
ADMIN = "root"
MEMBERS = {"mona": "manager", "alice": "member", "bob": "member"}

POLICY = {"holding_limit": 5, "claim_ttl": "P7D", "cooldown": "PT10M"}

# The phone numbers are from ranges reserved for fiction, or have one digit too many.
CUSTOMERS = [
    ("acme", "Acme Corporation", "+1-202-555-0101", "sales@acme.example", "Phoenix", 5),
    ("globex", "Globex Corporation", "+1-202-555-0102", "info@globex.example", "Cypress Creek", 4),
    ("initech", "Initech", "+1-202-555-0103", "hello@initech.example", "Austin", 3),
    ("umbrella", "Umbrella Logistics", "+44-20-7946-0104", "desk@umbrella.example", "London", 3),
    ("stark-tools", "Stark Tools", "+1-202-555-0105", "tools@stark.example", "New York", 2),
    ("wonka-foods", "Wonka Foods", "+44-20-7946-0106", "sweet@wonka.example", "Manchester", 1),
    ("beichen-tech", "北辰科技有限公司", "+86-10-5550-01071", "lianxi@beichen.example", "北京", 5),
    ("donghai-trade", "东海贸易集团", "+86-21-5550-01081", "maoyi@donghai.example", "上海", 4),
    ("nanshan-med", "南山医疗器械", "+86-755-5550-01091", "yiliao@nanshan.example", "深圳", 3),
    ("xihu-tea", "西湖茶业", "+86-571-5550-01101", "cha@xihu.example", "杭州", 2),
    ("jinling-edu", "金陵教育咨询", "+86-25-5550-01111", "jiaoyu@jinling.example", "南京", 2),
    ("rongcheng-food", "蓉城食品", "+86-28-5550-01121", "shipin@rongcheng.example", "成都", 1),
]


def seed(base_url: str, keys: LocalKeys | None = None) -> bool:
    """Create the demo pool unless it is complete. Return whether it was. Raises `Unusable` if the service refuses."""
    keys = keys or LocalKeys().ensure()
    admin = Client(base_url, keys.token(ADMIN, ["admin"]))
    manager = Client(base_url, keys.token("mona"))
    if _is_complete(admin, manager):
        return False
    _ensure_pool(admin)
    for user, role in MEMBERS.items():
        admin.must("PUT", f"/v1/pools/{POOL}/members/{user}", {"role": role})
    _import(manager)
    return True


def untouched_customer(base_url: str, keys: LocalKeys) -> str:
    """Return the first demo customer without an earlier claim, so that no cooldown prevents the next one."""
    manager = Client(base_url, keys.token("mona"))
    available = manager.must("GET", f"/v1/pools/{POOL}/customers?state=available&limit=100")["items"]
    untouched = {customer["id"] for customer in available if not customer["returns"]}
    return next((customer[0] for customer in CUSTOMERS if customer[0] in untouched), CUSTOMERS[0][0])


def _is_complete(admin: Client, manager: Client) -> bool:
    """Return whether the last demo customer exists: customers are created last."""
    if admin.call("GET", f"/v1/pools/{POOL}").status != HTTPStatus.OK:
        return False
    return manager.call("GET", f"/v1/pools/{POOL}/customers/{CUSTOMERS[-1][0]}").status == HTTPStatus.OK


def _ensure_pool(admin: Client) -> None:
    if admin.call("GET", f"/v1/pools/{POOL}").status != HTTPStatus.OK:
        admin.must("POST", "/v1/pools", {"id": POOL, "name": "Demo pool / 演示公海", "policy": POLICY})


def _import(manager: Client) -> None:
    rows = [_row(*customer) for customer in CUSTOMERS]
    body = {"rows": rows, "key": "id", "on_duplicate": "skip"}
    summary = manager.must("POST", f"/v1/pools/{POOL}/import", body).get("summary", {})
    if summary.get("failed"):
        raise Unusable(f"{summary['failed']} of the {len(rows)} demo customers were refused")


def _row(id: str, name: str, phone: str, email: str, city: str, priority: int) -> dict[str, Any]:
    return {"id": id, "name": name, "priority": priority, "fields": {"phone": phone, "email": email, "city": city}}
