"""Turn the lines of a table into rows of the API, or into the reason why a line cannot be imported.

The service validates every row again. The limits here are the service's: a reading reports what the import refuses.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple, TypeAlias

from importing.cells import Cell, Line
from importing.columns import Column, Columns
from importing.emails import email_keys
from importing.folding import folded
from importing.headings import HOLDER, PERSON
from importing.phones import DEFAULT_REGION, phone_keys, without_artifacts
from importing.problems import Problem, problem
from importing.typed import converter, text_of
from importing.unique import unique_texts
from importing.values import SHORTENED, exact, meant

Key: TypeAlias = str  # auto, id, phone, email, external_id, name, or a field
Row: TypeAlias = dict[str, Any]
KindAndKey: TypeAlias = tuple[str | None, str]

CONTACTS: Final = ("phone", "email", "external_id")  # in the order in which they identify a customer

LONGEST_NAME: Final = 200
LONGEST_FIELDS: Final = 4_096  # bytes of JSON
LEAST_PRIORITY, MOST_PRIORITY = -1_000, 1_000
_ID: Final = re.compile(r"[0-9A-Za-z_-]{1,64}")
_INTEGER: Final = re.compile(r"([+-]?\d{1,30})(?:\.0*)?")
_NAMED: Final = frozenset(("phone", "email"))  # kinds whose text may be none
_CHINESE: Final = re.compile("[\u3400-\u9fff]")


class Read(NamedTuple):
    """A row, the kind and value that identify its customer (None: a new one), and problems of single cells.

    A row with one of the `own_keys` of an earlier row, or with one of its `other_keys` as an own one, is about the same
    customer.
    """

    line: int
    row: Row
    kind: str | None
    key: str
    warnings: tuple[Problem, ...] = ()
    own_keys: Sequence[KindAndKey] = ()
    other_keys: Sequence[KindAndKey] = ()


class Failed(NamedTuple):
    line: int
    problem: Problem


@dataclass
class RowReader:
    """Reads the lines of one file, in their order."""

    columns: Columns
    key: Key = "auto"
    region: str = DEFAULT_REGION
    unnamed: set[str] = field(default_factory=set)  # fields of columns without a heading that have values
    _seen: set[int] = field(default_factory=set)  # hashes of the keys of all lines so far
    _copies: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._phones, self._emails = self.columns.fields_of("phone"), self.columns.fields_of("email")
        self._keyed = {kind: self._fields_with_keys(kind) for kind in ("phone", "email")}
        self._unique = [name for name in self.columns.unique if name in self.columns]
        external = "external_id" in self.columns or "id" in self.columns  # a foreign id becomes an external one
        present = [kind for kind in CONTACTS if self._keyed.get(kind, external)]
        self._others = present if self.key == "auto" else []
        self._kinds = self._in_order(present)
        self._unnamed = {str(column.target) for column in self.columns.columns if column.unnamed}
        self._names = sum(len(str(column.target)) + 6 for column in self.columns.columns)  # characters in JSON
        self._targets = [(column.target, column.own) for column in self.columns.columns]
        types = {each.target: self.columns.types.get(str(each.target), "") for each in self.columns.columns}
        found = ((target, converter(kind, exact=self.columns.exact)) for target, kind in types.items() if target)
        self._converters = [(target, convert) for target, convert in found if convert is not None]
        self._named = any(column.own and column.target == "name" for column in self.columns.columns)
        full = next((each for each in self.columns.columns if each.own and each.target == "person"), None)
        self._full_name = "" if full is None else full.heading
        self._named_by_parts = any(column.own and column.target in PERSON for column in self.columns.columns)

    def read(self, line: Line) -> Read | Failed:
        """Return the row of a line, or its problem."""
        if line.problem is not None:
            return Failed(line.number, line.problem)
        if self._repeats_headings(line.cells):
            return Failed(line.number, problem("headings_again"))
        built = self._row(line)
        if isinstance(built, Problem):
            return Failed(line.number, built)
        row, warnings = built
        kind, keys = self._keys(row)
        own, others = self._all_keys(row, kind, keys)
        if found := self._missing_key(row, kind) or self._repeated(own, others):
            return Failed(line.number, found)
        return Read(line.number, row, kind, keys[0] if keys else "", warnings, own, others)

    def numbered(self, new_id: str) -> str:
        """Return an id for a row without any key, with a number if equal rows have come before."""
        self._copies[new_id] += 1
        number = self._copies[new_id]
        return new_id if number == 1 else f"{new_id}-{number}"

    # One line

    def _repeats_headings(self, cells: list[Cell]) -> bool:
        """Return whether a line contains the headings again, as in files that somebody has joined."""
        columns = self.columns.columns
        if str(cells[0]).lstrip("\ufeff").strip() != columns[0].heading or len(cells) < len(columns):
            return False
        rest = zip(cells[1:], columns[1:], strict=False)
        return len(columns) > 1 and all(str(cell).strip() == column.heading for cell, column in rest)

    def _row(self, line: Line) -> tuple[Row, tuple[Problem, ...]] | Problem:
        columns = self.columns.columns
        if len(line.cells) > len(columns) and any(cell != "" for cell in line.cells[len(columns) :]):
            return problem("too_many_cells", count=len(columns))
        own, fields = self._values(line.cells)
        warnings = self._damaged(line, own, fields)
        if isinstance(warnings, Problem):
            return warnings
        for name, convert in self._converters:
            if name in fields:
                fields[name] = convert(fields[name])
        person = self._person(own, fields) if self._named_by_parts else ""
        if not self._named:
            _name(own, fields, person)
        elif person and person != own.get("name"):
            fields.setdefault("contact", person)
        found = self._check_contacts(own, fields) or self._check_own(own, fields) or _check_name(own)
        if not self.columns.exact:
            self._write_as_text(fields)
        if found or (found := self._check_size(fields)):
            return found
        if self._unnamed:
            self.unnamed |= self._unnamed & fields.keys()
        own["fields"] = fields
        return own, warnings

    def _values(self, cells: list[Cell]) -> tuple[Row, Row]:
        """Return the values of a line that are for the row itself, and its fields. This is the loop over all cells."""
        own, fields = Row(), Row()
        convert = exact if self.columns.exact else meant
        for (target, is_own), cell in zip(self._targets, cells, strict=False):
            if cell == "" or target is None:
                continue
            value = convert(cell)
            if value != "":
                (own if is_own else fields)[target] = value
        return own, fields

    def _damaged(self, line: Line, own: Row, fields: Row) -> tuple[Problem, ...] | Problem:
        """Return the warnings of cells that lost digits or have no result, or the problem of the line."""
        if not line.lost and not line.without_value:
            return self._shortened(fields)
        columns = self.columns.columns
        without = _without_results(line, columns)
        lost = _without_lost(line, columns, own, fields)
        if isinstance(without, Problem) or isinstance(lost, Problem):
            return without if isinstance(without, Problem) else lost
        return (*without, *lost, *self._shortened(fields))

    def _shortened(self, fields: Row) -> tuple[Problem, ...]:
        """Return the warnings of numbers that Excel has written as 6.2E+18 into a text file. They stay as they are."""
        if self.columns.exact:
            return ()
        return tuple(
            problem("cell_shortened", heading=name, value=value)
            for name, value in fields.items()
            if isinstance(value, str) and "E+" in value and SHORTENED.fullmatch(value)
        )

    def _person(self, own: Row, fields: Row) -> str:
        """Return the name of the person: first and last name, if there are both. Another full name stays a field."""
        first, middle, last = (text_of(own.pop(part, "")) for part in ("first_name", "middle_name", "last_name"))
        parts = filter(None, (first, middle, last))
        joined = f"{last}{middle}{first}" if _CHINESE.search(first + last) else " ".join(parts)
        full = text_of(own.pop("person", ""))
        if not (first and last):
            return full or joined
        if full and {*full.split()} != {*joined.split()}:
            fields.setdefault(self._full_name, full)
        return joined

    def _write_as_text(self, fields: Row) -> None:
        """Write the cells of a workbook as text, except those of fields that the pool defines as something else."""
        for name, value in fields.items():
            if not isinstance(value, str) and name not in self.columns.types:
                fields[name] = text_of(value)

    def _check_contacts(self, own: Row, fields: Row) -> Problem | None:
        """Find a number that Excel saved as 1.38E+10, and write whole numbers as text."""
        if "id" in own and (found := _digits_lost(own["id"])):
            return found
        for name in self._phones:
            written = fields.get(name)
            if written is None or (isinstance(written, str) and written.isdigit()):
                continue
            if self.columns.exact and not isinstance(written, str):
                continue
            if found := _digits_lost(written):
                return found
            if not self.columns.exact:
                fields[name] = without_artifacts(str(written))
        return None

    def _check_own(self, own: Row, fields: Row) -> Problem | None:
        """Check id and priority. Foreign ids become `external_id`, also phone numbers, which the service takes for no
        id; a priority in words stays a field."""
        if "id" in own:
            own["id"] = text_of(own["id"])
            if _ID.fullmatch(own["id"]) is None or self._phone_keys(own["id"]):
                if self.key == "id" or "external_id" in fields:
                    return problem("no_id", value=own["id"])
                fields["external_id"] = own.pop("id")
        if HOLDER in own:
            own[HOLDER] = str(own[HOLDER])
        return self._check_priority(own, fields) if "priority" in own else None

    def _check_priority(self, own: Row, fields: Row) -> Problem | None:
        number = _INTEGER.fullmatch(str(own["priority"]))
        if number is None:
            column = next(each for each in self.columns.columns if each.own and each.target == "priority")
            fields.setdefault(column.heading, own.pop("priority"))
            return None
        own["priority"] = int(number[1])
        if not LEAST_PRIORITY <= own["priority"] <= MOST_PRIORITY:
            return problem("priority_range", value=number[1], least=LEAST_PRIORITY, most=MOST_PRIORITY)
        return None

    def _check_size(self, fields: Row) -> Problem | None:
        try:
            length = len("".join(fields.values()))
        except TypeError:  # numbers of a workbook
            length = len(str(fields))
        if (length + self._names) * 6 < LONGEST_FIELDS:  # a character has at most six bytes of JSON
            return None
        size = len(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass"))
        return problem("fields_too_large", size=size, most=LONGEST_FIELDS) if size > LONGEST_FIELDS else None

    # The key

    def _fields_with_keys(self, kind: str) -> list[str]:
        """Return the columns by whose numbers or addresses the service finds customers: the field of that name, unless
        the pool defines it as something else, and those that the pool defines as such."""
        types = self.columns.types
        names = dict.fromkeys([kind, *(name for name, each in types.items() if each == kind)])
        return [name for name in names if types.get(name, kind) == kind and name in self.columns]

    def _keys(self, row: Row) -> tuple[str | None, list[str]]:
        """Return what identifies the customer."""
        if self.key == "name":
            return "name", [" ".join(folded(row["name"]).split())]
        fields = row["fields"]
        for kind in self._kinds:
            if keys := self._contacts(kind, fields) if kind != "id" else [row["id"]] if "id" in row else []:
                return kind, keys
        return None, []

    def _in_order(self, present: list[str]) -> tuple[str, ...]:
        """Return the kinds of key, in the order in which they identify a customer. For `auto`, the id comes last: it
        may be that of another system. In an export of this service, it is the customer's, and comes first."""
        if self.key != "auto":
            return (self.key,)
        usual = (*present, *self._unique)
        return ("id", *usual) if self.columns.exact else (*usual, "id")

    def _contacts(self, kind: str, fields: Row) -> list[str]:
        """Return the normalized values of one kind."""
        if kind == "phone":
            return [key for name in self._keyed[kind] if name in fields for key in self._phone_keys(fields[name])]
        if kind == "email":
            return [key for name in self._keyed[kind] if name in fields for key in email_keys(fields[name])]
        kind_of_value = self.columns.types.get(kind) if kind in self._unique else None
        return unique_texts(kind_of_value, fields.get(kind), self.region)

    def _phone_keys(self, written: Any) -> list[str]:
        return phone_keys(written, self.region)

    def has_contact(self, fields: Row) -> bool:
        """Return whether a field that is named like a phone number or an address has a value."""
        return any(name in fields for name in (*self._phones, *self._emails))

    def _missing_key(self, row: Row, kind: str | None) -> Problem | None:
        if kind is not None or self.key in ("auto", "id"):
            return None
        written = row["fields"].get(self.key)
        return problem(f"no_{self.key}", value=written) if written and self.key in _NAMED else problem(
            "no_key", key=self.key
        )  # fmt: skip

    def _all_keys(
        self, row: Row, kind: str | None, keys: list[str]
    ) -> tuple[Sequence[KindAndKey], Sequence[KindAndKey]]:
        """Return the keys that no other row of the file may have, and other contacts, which may identify a later row.

        A row that another contact identifies may have a number of an earlier row: then it is another customer's too. An
        id or a value of a unique field it may not have.
        """
        own: list[KindAndKey] = [(kind, key) for key in keys]
        own += [(name, key) for name in self._unique if name != kind for key in self._contacts(name, row["fields"])]
        if kind != "id" and self.key == "auto" and "id" in row:
            own.append(("id", row["id"]))
        others: list[KindAndKey] = [
            (other, key) for other in self._others if other != kind for key in self._contacts(other, row["fields"])
        ]
        return own, others

    def _repeated(self, own: Sequence[KindAndKey], others: Sequence[KindAndKey]) -> Problem | None:
        """Return the problem of a row about the customer of an earlier one, as the service finds it in a request."""
        hashes = [hash(each) for each in own]
        for (name, _), each in zip(own, hashes, strict=True):
            if each in self._seen:
                return problem("duplicate_in_file", key=name)
        self._seen.update(hashes)
        self._seen.update(map(hash, others))
        return None


def content_id(row: Row) -> str:
    """Return an id for a row without any key, which equal rows share. The same file with more lines gives the same ids,
    so that importing it again creates no second customer."""
    content = json.dumps(row, sort_keys=True, ensure_ascii=False)
    return f"r{blake2b(content.encode(errors='surrogatepass'), digest_size=15).hexdigest()}"


def _without_results(line: Line, columns: tuple[Column, ...]) -> tuple[Problem, ...] | Problem:
    """Return the warnings of formulas without a result, or the problem of a line whose name or key has none."""
    found = [columns[at] for at in line.without_value if at < len(columns) and columns[at].target is not None]
    if (needed := next((each for each in found if each.own or each.kind in ("phone", "email")), None)) is not None:
        return problem("no_result", heading=needed.heading)
    return tuple(problem("cell_without_result", heading=each.heading or each.target) for each in found)


def _without_lost(line: Line, columns: tuple[Column, ...], own: Row, fields: Row) -> tuple[Problem, ...] | Problem:
    """Remove values of cells that lost digits. Those of id and phone remain: they are refused later, like the name."""
    found = [columns[at] for at in line.lost if at < len(columns)]
    lost = [column for column in found if column.target != "id" and column.kind != "phone"]
    for column in lost:
        values = own if column.own else fields
        if column.own and column.target == "name":
            return problem("digits_lost", cell=text_of(own["name"]))
        values.pop(str(column.target), None)
    return tuple(problem("cell_digits_lost", heading=column.heading or column.target) for column in lost)


def _digits_lost(cell: Cell) -> Problem | None:
    if isinstance(cell, float) or (isinstance(cell, str) and SHORTENED.fullmatch(cell)):
        return problem("digits_lost", cell=cell)
    return None


def _name(own: Row, fields: Row, person: str) -> None:
    """Name a customer of a file without a column for names: the company with a contact, or else the person."""
    if "company" in fields:
        own["name"] = fields.pop("company")
        if person:
            fields.setdefault("contact", person)
    else:
        own["name"] = person or fields.pop("contact", "")


def _check_name(own: Row) -> Problem | None:
    own["name"] = text_of(own.get("name", ""))
    if not own["name"].strip():
        return problem("no_name")
    return problem("name_too_long", most=LONGEST_NAME) if len(own["name"]) > LONGEST_NAME else None
