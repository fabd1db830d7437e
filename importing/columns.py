"""Map the headings of a file to attributes and fields of a customer.

A known heading becomes its field, any other a field of that name. The second column for the same field gets a field
named after its heading, and equal names get a number. An export of this program maps to exactly what it was written
from.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from importing import headings
from importing.headings import HOLDER, ROW
from importing.problems import Unreadable
from importing.values import unguarded

LONGEST_FIELD_NAME: Final = 64
_BY_NUMBER: Final = re.compile(r"#(\d{1,6})")  # `--map #4=district` names the fourth column
_OWN: Final = frozenset((*ROW, *headings.PERSON, HOLDER))  # targets that are no fields


class FieldDefinition(NamedTuple):
    """A field that the pool defines: its key, its labels in all languages, its type, and whether no two customers have
    the same value."""

    key: str
    labels: tuple[str, ...]
    type: str
    unique: bool = False


class Column(NamedTuple):
    """`target` is an attribute, a field or a part of a name; None if the column is left out. `kind` is the known field
    that it is like, `own` whether it is an attribute of the row or a part of a name, and not a field."""

    heading: str
    target: str | None
    kind: str | None = None
    own: bool = False
    unnamed: bool = False


@dataclass(frozen=True)
class Columns:
    """The columns of a file. `exact`: an export of this program, whose values are taken as they are. `types` are those
    of the fields that the pool defines, `unique` the fields whose values differ."""

    columns: tuple[Column, ...]
    exact: bool
    types: Mapping[str, str] = field(default_factory=dict)
    unique: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Whether a column contains names."""
        return any(column.target in ("name", "company", "contact", *headings.PERSON) for column in self.columns)

    def __contains__(self, target: str) -> bool:
        return any(column.target == target for column in self.columns)

    @property
    def left_out(self) -> list[str]:
        return [column.heading for column in self.columns if column.target is None and column.heading]

    def fields_of(self, kind: str) -> list[str]:
        """Return the fields of one kind, the usual one first."""
        alike = [column for column in self.columns if column.kind == kind and not column.own]
        return sorted((column.target for column in alike if column.target), key=lambda name: name != kind)

    def described(self) -> dict[str, str | None]:
        """Return what each column is imported as, by its heading."""
        shown: dict[str, str | None] = {}
        for column in self.columns:
            if column.heading or column.unnamed:
                shown[_free(column.heading or str(column.target), shown)] = self._shown(column)
        return shown

    def _shown(self, column: Column) -> str | None:
        named = "name" in self
        if column.target == "company" and not named:
            return "name"
        if column.target not in headings.PERSON or not column.own:
            return column.target
        return "contact" if named or "company" in self else "name"


def columns_of(
    found: Sequence[str], given: Mapping[str, str | None], definitions: Sequence[FieldDefinition] = ()
) -> Columns:
    """Return the columns of a file. `given` overrides what a heading, or the column of a number (`#4`), maps to; None
    leaves the column out. A label of one of the `definitions` comes before the known headings.

    Raises `Unreadable` for an unknown column in `given`, two columns for one target, and a file without names.
    """
    columns = mapped(found, given, definitions)
    if not columns.named:
        raise no_name_column(found)
    return columns


def mapped(
    found: Sequence[str], given: Mapping[str, str | None], definitions: Sequence[FieldDefinition] = ()
) -> Columns:
    """Return the columns of a file, also of one without names. Raises `Unreadable` as above."""
    language = exported_in(found)
    if language is None:
        found = [heading.strip() for heading in found]
    plan = _Plan(found, _by_position(found, given), language, definitions)
    types = {each.key: each.type for each in definitions}
    unique = tuple(each.key for each in definitions if each.unique)
    return Columns(tuple(plan.columns()), language is not None, types, unique)


def no_name_column(found: Sequence[str]) -> Unreadable:
    return Unreadable("no_name_column", headings=", ".join(filter(None, found))[:500])


def _by_position(found: Sequence[str], given: Mapping[str, str | None]) -> dict[int, str | None]:
    positions, unknown = dict[int, str | None](), list[str]()
    for heading, target in given.items():
        number = _BY_NUMBER.fullmatch(heading)
        if heading in found:
            positions[found.index(heading)] = target
        elif number is not None and 0 < int(number[1]) <= len(found):
            positions[int(number[1]) - 1] = target
        else:
            unknown.append(heading)
    if unknown:
        raise Unreadable("no_column", column=", ".join(sorted(unknown)), headings=", ".join(found))
    targets = Counter(target for target in positions.values() if target is not None)
    if twice := sorted(target for target, count in targets.items() if count > 1):
        raise Unreadable("column_twice", column=twice[0])
    return positions


def exported_in(found: Sequence[str]) -> str | None:
    """Return the language of an export of this program, which has all headings of an export, or None."""
    for language in ("zh", "en"):
        if {headings.attribute_title(name, language) for name in headings.EXPORTED_FIRST} <= set(found):
            return language
    return None


class _Plan:
    """Assigns targets to columns, one after the other."""

    def __init__(
        self,
        found: Sequence[str],
        given: Mapping[int, str | None],
        language: str | None,
        definitions: Sequence[FieldDefinition],
    ) -> None:
        self.found, self.given, self.language = found, given, language
        self.errors_file = {headings.ERROR, headings.LINE} <= set(found)
        self.names = {target for target in given.values() if target is not None}
        self.taken = set(self.names)  # attributes and parts of a name
        self.labels = _labels(definitions)
        self.types = {each.key: each.type for each in definitions}
        kinds = {known[0] for heading in found if (known := headings.known(heading))}
        self.persons = {"first_name", "last_name"} <= kinds  # then a column `Name` is that of a person
        self.given_names = "last_name" in kinds and "first_name" not in kinds  # then 名字 is the first name

    def columns(self) -> list[Column]:
        best = self._best()
        return [self._column(index, heading, best) for index, heading in enumerate(self.found)]

    def _best(self) -> dict[str, int]:
        """Return the position of each field: the first column with the lowest rank."""
        places = dict[str, tuple[int, int]]()
        for index, heading in enumerate(self.found):
            if index not in self.given and not self._label(heading) and (known := headings.known(heading)):
                place = known[1], index
                places[known[0]] = min(places.get(known[0], place), place)
        return {kind: index for kind, (_, index) in places.items()}

    def _column(self, index: int, heading: str, best: dict[str, int]) -> Column:
        if index in self.given:
            target = self.given[index]
            return Column(heading, target, target and self._kind(target), target in _OWN)
        if self.errors_file and heading in (headings.ERROR, headings.LINE):
            return Column(heading, None)
        if not heading:
            return Column("", self._field(f"column_{index + 1}"), unnamed=True)
        return self._exact(heading) if self.language else self._known(index, heading, best)

    def _label(self, heading: str) -> str | None:
        """Return the field of the pool that has this label, if no other column has it."""
        key = self.labels.get(headings.folded(heading))
        return None if key is None or key in self.taken else key

    def _kind(self, key: str) -> str | None:
        """Return the known field that a field of the pool is like: by its type, or else by its name."""
        kind = self.types.get(key)
        return kind if kind in ("phone", "email") else headings.kind_of_field(key)

    def _known(self, index: int, heading: str, best: dict[str, int]) -> Column:
        if (key := self._label(heading)) is not None:
            self.taken.add(key)
            self.names.add(key)
            return Column(heading, key, self._kind(key))
        kind, _ = headings.known(heading) or (None, 0)
        if kind == HOLDER:
            return Column(heading, self._field(heading), HOLDER)
        usable = kind is not None and best[kind] == index
        if kind == "name" and self.persons and headings.folded(heading) == "name":
            kind = "person"
        if kind == "person" and self.given_names and headings.folded(heading) == "名字":
            kind = "first_name"
        if kind is None or kind in self.taken or not usable:
            return Column(heading, self._field(heading), kind)
        self.taken.add(kind)
        self.names.add(kind)
        return Column(heading, kind, kind, kind in _OWN)

    def _exact(self, heading: str) -> Column:
        """Map a heading of an export. A field may have the name of an attribute: the attribute comes first."""
        language = str(self.language)
        for name in headings.EXPORTED_FIRST:
            if heading == headings.attribute_title(name, language) and name not in self.taken:
                self.taken.add(name)
                return Column(heading, name if name in ROW else None, name, own=True)
        for name in headings.fields():
            if heading == headings.field_title(name, language) and name not in self.names:
                self.names.add(name)
                return Column(heading, name, name)
        name = unguarded(heading)
        return Column(heading, name, headings.kind_of_field(name))

    def _field(self, heading: str) -> str:
        name = _free(_field_name(heading), self.names)
        self.names.add(name)
        return name


def _labels(definitions: Sequence[FieldDefinition]) -> dict[str, str]:
    """Return the field of each label and key. A label that the table knows for the same field changes nothing, and none
    takes the name of the customers."""
    labels = dict[str, str]()
    for each in definitions:
        for label in (each.key, *each.labels):
            known = headings.known(label)
            if (known is None or known[0] not in (each.key, "name")) and (text := headings.folded(label)):
                labels.setdefault(text, each.key)
    return labels


def _field_name(heading: str) -> str:
    """Return a heading as the name of a field: visible characters in one line."""
    seen = "".join(" " if unicodedata.category(sign) in ("Cc", "Cs") else sign for sign in unguarded(heading))
    return " ".join(seen.split())[:LONGEST_FIELD_NAME] or "column"


def _free(name: str, taken: set[str] | Mapping[str, object]) -> str:
    """Return the name, with the first free number if it is taken."""
    number, free = 2, name
    while free in taken:
        free, number = f"{name[: LONGEST_FIELD_NAME - 4]} {number}", number + 1
    return free
