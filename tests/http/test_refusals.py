"""Refusals: every code has its status and its sentences, in the language that the client prefers."""

from __future__ import annotations

import pytest

from chalicelib.model.errors import CATALOG, Refusal, Refused
from tests.support.world import World

STATUSES = {
    400: "invalid_cursor",
    401: "unauthenticated",
    403: "not_a_member not_manager not_admin not_holder extension_not_allowed",
    404: "not_found",
    409: "pool_not_open already_claimed not_claimed claim_changed expired embargoed cooldown daily_limit holding_limit "
    "extension_limit pinned pin_limit set_aside duplicate_in_request request_in_progress pool_not_empty "
    "member_has_claims duplicate_customer already_available not_private "
    "win_requested win_not_requested private_limit member_has_private user_left suppressed territory",
    412: "version_conflict",
    413: "payload_too_large",
    422: "invalid_request batch_too_large reason_required policy_invalid field_invalid idempotency_key_reused",
    429: "throttled",
    503: "store_unavailable outcome_unknown",
}
CODES = {code: status for status, codes in STATUSES.items() for code in codes.split()}
SHARING = {
    "malformed": (400, "invalid_request"),
    "pool_exists": (409, "version_conflict"),
    "by_manager": (403, "not_manager"),
    "masked_unique": (403, "not_manager"),
}


@pytest.mark.parametrize("code", CODES)
def test_every_code_of_the_contract_has_its_status_and_a_sentence_in_both_languages(code: str) -> None:
    meaning = CATALOG[code]

    assert (meaning.status, Refusal(code).code) == (CODES[code], code)
    assert meaning.en.isascii() and meaning.en.endswith(".")
    assert not meaning.zh.isascii() and meaning.zh.endswith("。")
    assert (meaning.retry_after is not None) == (meaning.status in (429, 503))


def test_every_reason_code_is_in_the_contract() -> None:
    for reason, meaning in CATALOG.items():
        assert meaning.en and meaning.zh, reason
        assert Refusal(reason).code in CODES, reason
        if reason not in CODES and reason in SHARING:
            assert (meaning.status, meaning.code) == SHARING[reason]


def test_a_refusal_has_its_reason_as_exception_text() -> None:
    assert str(Refused(Refusal("cooldown"))) == "cooldown"


# Languages


CHINESE = [
    "zh", "zh-CN", "zh-Hans-CN", "ZH-cn", "zh;q=0.9,en;q=0.8", "en;q=0.1, zh-CN;q=0.2", "fr, zh;q=0.5", "zh,en;q=0",
    "zh-CN, en", "zh ; q=0.9, en;q=0.1", "de, zh;q=0.8, en;q=0.2",
]  # fmt: skip
ENGLISH = [
    "", "en", "en-GB", "fr", "zh;q=0", "en,zh;q=0.9", "zh;q=0.1, en", "*", ";;;", ";;;q=9", "zh;q=2", "zh;q=x", "q=1",
    ",", "\x00", "zhx", "é" * 999,
]  # fmt: skip


@pytest.mark.parametrize("accepted", CHINESE + ENGLISH, ids=range(len(CHINESE + ENGLISH)))
def test_a_refusal_uses_the_preferred_language(no_store: World, accepted: str) -> None:
    meaning = CATALOG["invalid_request"]
    spoken = ("zh-CN", meaning.zh) if accepted in CHINESE else ("en", meaning.en)

    refused = no_store.alice.get("/customers?surprise=1", accept_language=accepted)

    assert (refused.headers["Content-Language"], refused.json["title"]) == spoken


def test_table_refusals_and_batch_results_use_the_preferred_language(memory_world: World) -> None:
    memory_world.pool()

    refused = memory_world.alice.claim("nobody", accept_language="zh-CN")
    batch = memory_world.alice.claim_batch(["nobody"], accept_language="zh-CN")

    assert (refused.json["title"], refused.headers["Content-Language"]) == ("未找到。", "zh-CN")
    assert batch.headers["Content-Language"] == "zh-CN"
    assert (batch.json["results"][0]["detail"], batch.json["results"][0]["code"]) == ("未找到。", "not_found")
