"""The catalog of refusals: code, HTTP status, and a sentence in English and Chinese.

A refusal is an expected result and is returned as a value; only faults are exceptions. This module must not import
HTTP objects, the table or any rule.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from chalicelib.model.validation import FieldError


class Refusal(Struct, frozen=True, omit_defaults=True):
    """The reason why a request, or an item of a batch, was not carried out.

    `reason` is a key of `CATALOG`. `retry_at`, in epoch milliseconds, is set if the refusal ends at a known time;
    `limit` and `used` if it is about a limit. `errors` lists validation errors.
    """

    reason: str
    retry_at: int | None = None
    limit: int | None = None
    used: int | None = None
    errors: tuple[FieldError, ...] = ()

    @property
    def meaning(self) -> ErrorSpec:
        return CATALOG.get(self.reason, OF_A_LATER_VERSION)

    @property
    def code(self) -> str:
        return self.meaning.code or self.reason


class Refused(Exception):
    """Raised to end a request with a refusal; nothing was changed."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


class ErrorSpec(Struct, frozen=True):
    """The public form of a reason. `code` is set only if several reasons share one public code."""

    status: int
    en: str
    zh: str
    code: str = ""
    retry_after: int | None = None  # seconds, for the Retry-After header


CATALOG: Final[dict[str, ErrorSpec]] = {
    # the request itself
    "malformed": ErrorSpec(400, "The body is not valid JSON.", "请求体不是有效的 JSON。", code="invalid_request"),
    "invalid_cursor": ErrorSpec(400, "The cursor is not valid for this list.", "分页游标无效。"),
    "invalid_request": ErrorSpec(422, "The request is not valid.", "请求无效。"),
    "batch_too_large": ErrorSpec(422, "The batch contains too many ids.", "批量请求的数量超出上限。"),
    "payload_too_large": ErrorSpec(413, "The body is larger than 256 KB.", "请求体超过 256 KB。"),
    "reason_required": ErrorSpec(422, "A reason is required.", "必须填写原因。"),
    "policy_invalid": ErrorSpec(422, "The policy is not valid.", "公海规则无效。"),
    "field_invalid": ErrorSpec(422, "A field is not valid.", "字段无效。"),
    "idempotency_key_reused": ErrorSpec(
        422, "This Idempotency-Key was used with another body.", "该幂等键已用于其他请求内容。"
    ),
    "request_in_progress": ErrorSpec(409, "An earlier request is still running.", "之前的请求仍在处理中。"),
    "duplicate_in_request": ErrorSpec(
        409, "The same customer appears earlier in this request.", "该客户在本次请求中重复出现。"
    ),
    # the caller
    "unauthenticated": ErrorSpec(401, "A valid bearer token is required.", "需要有效的访问令牌。"),
    "not_a_member": ErrorSpec(403, "You are not a member of this pool.", "您不是该公海的成员。"),
    "taker_not_a_member": ErrorSpec(
        403, "The recipient is not a member of this pool.", "接收人不是该公海的成员。", code="not_a_member"
    ),
    "not_manager": ErrorSpec(403, "Only a manager of this pool may do this.", "只有公海管理员可以执行此操作。"),
    "masked_unique": ErrorSpec(
        403,
        "Only a manager of this pool may write a field that is unique and masked.",
        "唯一且脱敏的字段只有公海管理员可以填写。",
        code="not_manager",
    ),
    "not_admin": ErrorSpec(403, "Only an administrator may do this.", "只有系统管理员可以执行此操作。"),
    "not_holder": ErrorSpec(403, "You are not the holder of this customer.", "您不是该客户的负责人。"),
    "not_found": ErrorSpec(404, "The resource was not found.", "未找到。"),
    # rules of the pool
    "pool_not_open": ErrorSpec(409, "The pool is not open.", "公海未开放。"),
    "pool_exists": ErrorSpec(409, "A pool with this id already exists.", "该公海编号已存在。", code="version_conflict"),
    "pool_not_empty": ErrorSpec(409, "The pool still holds customers.", "公海中仍有客户。"),
    "member_has_claims": ErrorSpec(409, "The member still holds customers.", "该成员仍持有客户。"),
    "member_has_private": ErrorSpec(409, "The member still owns private customers.", "该成员名下仍有普通客户。"),
    "already_claimed": ErrorSpec(409, "This customer already has a holder.", "该客户已有负责人。"),
    "already_available": ErrorSpec(409, "This customer is already in the pool.", "该客户已在公海中。"),
    "not_claimed": ErrorSpec(409, "This customer is not claimed.", "该客户未被领取。"),
    "not_private": ErrorSpec(409, "This customer is not a private customer.", "该客户不是普通客户。"),
    "claim_changed": ErrorSpec(409, "The claim has changed since you last read it.", "领取记录已变更。"),
    "expired": ErrorSpec(409, "The deadline of this customer has passed.", "该客户的期限已过。"),
    "territory": ErrorSpec(409, "This customer is outside your territory.", "该客户不在您的可领取范围内。"),
    "embargoed": ErrorSpec(
        409, "The customer entered the pool too recently to be claimed.", "新入公海的客户暂不可领取。"
    ),
    "cooldown": ErrorSpec(409, "You held this customer too recently.", "您近期负责过该客户，暂不可再次领取。"),
    "daily_limit": ErrorSpec(409, "You have used up today's claims.", "您今日的领取次数已用完。"),
    "holding_limit": ErrorSpec(409, "The holding limit is reached.", "持有客户数已达上限。"),
    "private_limit": ErrorSpec(409, "The private limit is reached.", "普通客户数已达上限。"),
    "extension_limit": ErrorSpec(409, "The claim cannot be extended any further.", "延期已达上限。"),
    "extension_not_allowed": ErrorSpec(
        403, "Members may not extend claims in this pool.", "该公海不允许成员自行延期。"
    ),
    "no_deadline": ErrorSpec(
        403, "This claim has no deadline to extend.", "该领取没有到期时间，无需延期。", code="extension_not_allowed"
    ),
    "pinned": ErrorSpec(409, "The claim is pinned.", "该客户处于保护期。"),
    "pin_limit": ErrorSpec(409, "The holder has pinned as many customers as allowed.", "负责人保护的客户数已达上限。"),
    "pin_too_long": ErrorSpec(
        409, "The pin would last longer than this pool allows.", "保护时间超过该公海的上限。", code="pin_limit"
    ),
    "win_requested": ErrorSpec(409, "A win of this claim has been requested already.", "该客户已申请赢单。"),
    "win_not_requested": ErrorSpec(409, "No win of this claim is requested.", "该客户没有待审批的赢单申请。"),
    "by_manager": ErrorSpec(403, "A manager wins at once.", "管理员可直接赢单。", code="not_manager"),
    "user_left": ErrorSpec(409, "This user has left the company.", "该用户已离职。"),
    "set_aside": ErrorSpec(409, "The customer has been set aside for review.", "该客户已被搁置，等待复核。"),
    "suppressed": ErrorSpec(
        409, "The customer is not to be contacted, or was erased.", "该客户已设为勿扰，或已被删除。"
    ),
    "duplicate_customer": ErrorSpec(409, "This customer already exists.", "该客户已存在。"),
    "key_taken": ErrorSpec(
        409,
        "Another customer already has this phone number or e-mail address.",
        "该客户的手机号或邮箱已存在。",
        code="duplicate_customer",
    ),
    "value_taken": ErrorSpec(
        409,
        "Another customer already has this value of a unique field.",
        "另一客户的该唯一字段已有相同的值。",
        code="duplicate_customer",
    ),
    "version_conflict": ErrorSpec(
        412, "The resource has changed since the version that you read.", "版本已变更，请刷新后重试。"
    ),
    # the database
    "throttled": ErrorSpec(429, "Too many requests; try again shortly.", "请求过于频繁，请稍后重试。", retry_after=1),
    "outcome_unknown": ErrorSpec(
        503,
        "The outcome is unknown: repeat the request with the same Idempotency-Key.",
        "操作结果未知：请使用相同的幂等键重试。",
        retry_after=1,
    ),
    "store_unavailable": ErrorSpec(
        503, "The database is unavailable; nothing was changed.", "数据库暂不可用，未作任何更改。", retry_after=1
    ),
    "malformed_record": ErrorSpec(
        503,
        "A stored record is damaged; nothing was changed.",
        "存储的记录已损坏，未作任何更改。",
        code="store_unavailable",
        retry_after=60,
    ),
}

# A stored answer may hold a reason that only a later version of the service knows.
OF_A_LATER_VERSION: Final = ErrorSpec(409, "A rule of this pool does not allow this.", "该公海的规则不允许此操作。")
