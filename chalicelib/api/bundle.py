"""Join the ES modules of the console to few scripts, without a build step: at the first request, in milliseconds.

Every module of the console becomes part of one scope, after those that it imports; no two may define the same name,
which a test checks. A vendored module keeps a scope of its own. Nothing here knows what the modules do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

# The vendored file of each package.
PACKAGES: Final = {
    "preact": "preact",
    "preact/hooks": "preact-hooks",
    "htm": "htm",
    "@preact/signals-core": "signals-core",
    "@preact/signals": "signals",
}
OWN_IMPORT: Final = re.compile(r'^import (?:\{([^}]*)\} from )?"([^"]+)";\n', re.MULTILINE)
IMPORT: Final = re.compile(r'import\{([^}]*)\}from"([^"]+)";?')
EXPORT_FROM: Final = re.compile(r'export\{([^}]*)\}from"([^"]+)";?')
EXPORT: Final = re.compile(r"export\{([^}]*)\};?")
SOURCE_MAP: Final = re.compile(r"\n?//# sourceMappingURL=.*")

Read = Callable[[str], str]
"""Returns the text of a module by its name, such as `words` or `vendor/htm`."""


def bundles(entry: str, parts: Sequence[str], read: Read) -> dict[str, str]:
    """Return the script of the entry module and all that it imports, and one for each part that is loaded later.

    A part shares the modules of the first script. They reach it through one object, `$shared`.
    """
    scripts: list[str] = []
    shared: set[str] = set()
    _add(entry, read, scripts, shared)
    later: dict[str, str] = {}
    needed: set[str] = set()
    for part in parts:
        own: list[str] = []
        taken: set[str] = set()
        _add(part, read, own, set(shared), taken, shared)
        needed |= taken
        later[part] = _scope([f"const {{ {', '.join(sorted(taken))} }} = globalThis.$shared;", *own])
    return {entry: _scope([*scripts[:-1], _share(needed), scripts[-1]]), **later}


def _share(names: set[str]) -> str:
    """Return the statement that shares these names. Each is a function, or a constant of a module that was added."""
    return f"globalThis.$shared = {{ {', '.join(sorted(names))} }};"


def _scope(scripts: list[str]) -> str:
    return '"use strict";\n(() => {\n' + "\n".join(scripts) + "\n})();\n"


def imports_of(source: str) -> list[tuple[list[str], str]]:
    """Return the names that a module of the console imports, and from where."""
    return [(_names(names or ""), target) for names, target in OWN_IMPORT.findall(source)]


def _add(
    name: str,
    read: Read,
    scripts: list[str],
    added: set[str],
    taken: set[str] | None = None,
    shared: frozenset[str] | set[str] = frozenset(),
) -> None:
    """Append the module after its imports. Modules may import each other: then only functions may be used early.

    `taken` gets the names that come from modules in `shared`.
    """
    if name in added:
        return
    added.add(name)
    source = read(name)
    packages = []
    for names, target in imports_of(source):
        module = target.removeprefix("./").removesuffix(".js")
        if target not in PACKAGES:
            if taken is not None and module in shared:
                taken.update(names)
            _add(module, read, scripts, added, taken, shared)
        else:
            _add_package(target, read, scripts, added)
            renamed = ", ".join(": ".join(dict.fromkeys(_renamed(each))) for each in names)
            packages.append(f"const {{ {renamed} }} = {_variable(target)};")
    scripts.append("\n".join([*packages, _compact(OWN_IMPORT.sub("", source))]))


def _compact(source: str) -> str:
    """Return the source without `export`, comments of whole lines and indentation."""
    lines = [line.strip().removeprefix("export ") for line in source.splitlines()]
    kept = [line for line in lines if line and not line.startswith(("//", "/**", "* ", "*/"))]
    return "\n".join(kept)


def _add_package(package: str, read: Read, scripts: list[str], added: set[str]) -> None:
    if package in added:
        return
    added.add(package)
    source = SOURCE_MAP.sub("", read(f"vendor/{PACKAGES[package]}")).strip()
    for pattern in (EXPORT_FROM, IMPORT):
        for _, target in pattern.findall(source):
            _add_package(target, read, scripts, added)
    scripts.append(f"const {_variable(package)} = (() => {{\n{_as_function(source)}\n}})();")


def _as_function(source: str) -> str:
    """Return the body of a function that returns what the vendored module exports."""
    exported: list[str] = []
    for names, target in EXPORT_FROM.findall(source):
        exported += [f"{_renamed(each)[1]}: {_variable(target)}.{_renamed(each)[0]}" for each in _names(names)]
    source = EXPORT_FROM.sub("", source)
    for names in EXPORT.findall(source):
        exported += [": ".join(reversed(_renamed(each))) for each in _names(names)]
    source = EXPORT.sub("", source)
    if "export default" in source:
        source = source.replace("export default ", "const $default = ")
        exported.append("default: $default")
    source = IMPORT.sub(_import_as_constants, source)
    return f"{source}\nreturn {{ {', '.join(exported)} }};"


def _import_as_constants(found: re.Match[str]) -> str:
    taken = [": ".join(_renamed(each)) for each in _names(found[1])]
    return f"const {{ {', '.join(taken)} }} = {_variable(found[2])};"


def _names(listed: str) -> list[str]:
    return [each.strip() for each in listed.split(",") if each.strip()]


def _renamed(name: str) -> tuple[str, str]:
    """Return both names of `one as another`."""
    one, _, another = name.partition(" as ")
    return one, another or one


def _variable(package: str) -> str:
    return "$" + re.sub(r"\W", "_", PACKAGES[package])
