"""The keys of a customer: keyed digests of all its numbers and addresses, up to five."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.model.contact_keys import KeySecret, contact_keys, key_of
from chalicelib.model.field_definitions import definitions_of
from importing import MAX_KEYS

SECRET = KeySecret("1", "secret")
NUMBERS = [f"1380013800{digit}" for digit in range(9)]


def keys_of(fields: dict[str, Any], region: str = "CN") -> tuple[str, ...]:
    return contact_keys(fields, definitions_of(()).kinds, region, SECRET)


def test_only_the_fields_phone_and_email_have_keys() -> None:
    fields = {"phone": "+86 138 1234 5678", "email": "no address", "mobile": "13900000000", "city": "上海"}

    assert keys_of(fields) == (key_of("phone", "+8613812345678", SECRET),)


@pytest.mark.parametrize("written", ["021-12345678", "+86 21 1234 5678", "86-21-12345678", "(021)12345678"])
def test_every_spelling_of_a_number_has_the_same_key(written: str) -> None:
    assert keys_of({"phone": written}) == (key_of("phone", "+862112345678", SECRET),)


def test_an_extension_is_part_of_the_key() -> None:
    direct, extension = keys_of({"phone": "021-12345678"}), keys_of({"phone": "021-12345678-801"})

    assert extension == keys_of({"phone": "+86 21 12345678 转 801"}) != direct


def test_each_number_and_address_of_a_value_is_a_key() -> None:
    fields = {"phone": f"{NUMBERS[0]}；{NUMBERS[1]}", "email": "Li Wei <Li@Example.com>; wang@example.com"}

    assert keys_of(fields) == tuple(
        key_of(kind, contact, SECRET)  # type: ignore[arg-type]
        for kind, contact in (
            ("phone", f"+86{NUMBERS[0]}"), ("email", "li@example.com"),
            ("phone", f"+86{NUMBERS[1]}"), ("email", "wang@example.com"),
        )
    )  # fmt: skip


def test_a_customer_has_at_most_five_keys_among_them_the_first_of_each_kind() -> None:
    found = keys_of({"phone": ";".join(NUMBERS), "email": "a@b.cn"})

    assert len(found) == MAX_KEYS and key_of("email", "a@b.cn", SECRET) in found


@pytest.mark.parametrize("written", [None, "", "-", "无", "call me", True, 7, 1.5])
def test_a_value_without_a_number_or_an_address_has_no_key(written: Any) -> None:
    assert keys_of({"phone": written, "email": written}) == ()


def test_the_region_of_the_pool_completes_a_number() -> None:
    assert keys_of({"phone": "(650) 253-0000"}) == ()
    assert keys_of({"phone": "(650) 253-0000"}, "US") == keys_of({"phone": "+1 650 253 0000"})


def test_a_digest_names_its_key_version_and_depends_on_the_secret() -> None:
    digest = SECRET.digest("+8613812345678")

    assert digest.startswith("1.") and len(digest) == 34 and "1381" not in digest
    assert digest == KeySecret("1", "secret").digest("+8613812345678")
    assert digest != KeySecret("1", "another").digest("+8613812345678")


def test_no_digest_is_made_without_a_secret() -> None:
    with pytest.raises(RuntimeError, match="KEY_SECRET"):
        KeySecret().digest("+8613812345678")


def test_a_secret_is_not_shown_in_text() -> None:
    assert "secret" not in f"{SECRET} {SECRET!r}"
