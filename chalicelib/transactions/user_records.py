"""Read and write the records of users, each write on the condition that the record is unchanged."""

from __future__ import annotations

from chalicelib.domain import rules
from chalicelib.domain.rules import Rule
from chalicelib.dynamodb import items, keys, pool_items
from chalicelib.dynamodb.table import SetAttributes, Table
from chalicelib.model.users import Person


def stored_user(table: Table, tenant: str, user: str) -> Person:
    """Return the user as stored now. One that is not stored has version 0. Raises if the record is malformed."""
    key = keys.user_key(tenant, user)
    stored = table.get([key]).get(key)
    return Person(tenant, user) if stored is None else pool_items.user_record(tenant, stored)


def user_write(known: Person, after: Person) -> SetAttributes:
    """Return the write of the changed attributes, on the condition that the user is still as known."""
    changes = items.attribute_changes(pool_items.user_item(known), pool_items.user_item(after))
    return SetAttributes(keys.user_key(known.tenant, known.id), *changes, user_unchanged(known).condition)


def user_unchanged(known: Person) -> Rule:
    key = keys.user_key(known.tenant, known.id)
    if known.version == 0:
        return Rule("version_conflict", key, rules.pk.does_not_exist())
    return rules.matches_if_match(key, known.version)
