"""Convert the JSON schemas of msgspec to portable ones, which generators of clients understand."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]
JSON_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}


def portable(schema: Any) -> Any:
    r"""Return the schema in portable form: `$` instead of Python's `\Z`, descriptions without indentation, and no empty
    defaults. A client that sends an empty default would switch off the rules that it leaves out of a policy change."""
    if isinstance(schema, list):
        return [portable(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return typed(
        {
            name: _portable_text(name, part) if isinstance(part, str) else portable(part)
            for name, part in schema.items()
            if name != "default" or part not in (None, (), [], {})
        }
    )


def typed(schema: Schema) -> Schema:
    """Return the schema with the type of its listed values: many generators do not infer it."""
    values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema["const"]] if "const" in schema else []
    if "type" in schema or not values:
        return schema
    types = list(dict.fromkeys(JSON_TYPES[type(value)] for value in values))
    return {"type": types[0] if len(types) == 1 else types, **schema}


def _portable_text(name: str, text: str) -> str:
    if name == "pattern":
        return text.replace(r"\Z", "$")
    return cleandoc(text) if name == "description" else text


def without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter without null, which stands for an absent parameter in Python."""
    dropped = ("anyOf", "enum", "type") if "enum" in schema else ("anyOf",)
    others = {name: part for name, part in schema.items() if name not in dropped and part is not None}
    if "enum" in schema:
        return typed({"enum": [each for each in schema["enum"] if each is not None], **others})
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    return choices[0] | others if len(choices) == 1 else schema
