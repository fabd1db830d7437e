"""The versions of the functions, and the alias `live` of the one that serves.

A deployment publishes a version and moves the alias to it, at once or as a canary. Chalice's template knows neither.
"""

from __future__ import annotations

from typing import Any

FUNCTIONS = ("APIHandler", "Authorizer")  # those that API Gateway calls


def call_aliases(template: dict[str, Any]) -> dict[str, Any]:
    """Return the template with the aliases in all integrations and permissions of API Gateway."""
    resources = template["Resources"]
    permissions = {f"{name}InvokePermission": _permission(resources, name) for name in FUNCTIONS}
    api = _with_aliases(resources["RestAPI"])
    return template | {"Resources": resources | permissions | {"RestAPI": api}}


def publish_version(template: dict[str, Any], digest: str) -> dict[str, Any]:
    """Return the template with the digest of what it deploys: each function gets a version whenever that changes.

    By itself, SAM publishes no version for a parameter that changes, and the alias would stay with the former value.
    """
    resources = {
        name: each | {"Properties": each["Properties"] | {"AutoPublishCodeSha256": digest}}
        for name, each in template["Resources"].items()
        if "AutoPublishAlias" in each.get("Properties", {})
    }
    return template | {"Resources": template["Resources"] | resources}


def _permission(resources: dict[str, Any], function: str) -> dict[str, Any]:
    permission: dict[str, Any] = resources[f"{function}InvokePermission"]
    return permission | {"Properties": permission["Properties"] | {"FunctionName": {"Ref": f"{function}.Alias"}}}


def _with_aliases(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_aliases(each) for each in part]
    if not isinstance(part, dict):
        return part
    for function in FUNCTIONS:
        if f"/functions/${{{function}.Arn}}/" in str(part.get("Fn::Sub")):
            address = part["Fn::Sub"].replace(f"${{{function}.Arn}}", "${Alias}")
            return {"Fn::Sub": [address, {"Alias": {"Ref": f"{function}.Alias"}}]}
    return {name: _with_aliases(each) for name, each in part.items()}
