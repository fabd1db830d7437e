"""Find the keys of written phone numbers: E.164, with an extension as in RFC 3966 (`+862112345678;ext=801`).

Rules for what spreadsheets and people add to a number come first: libphonenumber reads `13800138000.0` as another
number and rejects `021-12345678-801`. Text that contains no number has no key. The written text is never changed here.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any, Final

from importing import MAX_KEYS

DEFAULT_REGION: Final = "CN"
_MAX_WRITTEN_LENGTH: Final = 500

_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")
# ="138…", =138… and '138… of spreadsheets, also with the quotation marks that an editor has turned
_WRITTEN_AS_TEXT: Final = re.compile(r'=["“”](.*)["“”]|=(\d+)|[\'‘’`](.*)', re.DOTALL)
_DECIMAL: Final = re.compile(r"(\+?\d{5,15})\.0+")  # a number that passed through a floating-point column
_OF_JAVA: Final = re.compile(r"([1-9])\.(\d{6,14})E(1\d)")  # the same, as Java writes it: 1.3800138E10
_EXTENSION_WORD: Final = r"(?:转|轉|分机|内线|ext)"
_BETWEEN_NUMBERS: Final = re.compile(
    rf";(?!\s*{_EXTENSION_WORD})|:::|[/\n\r|、。&]|,(?!,?\s*(?:\d{{1,5}}\s*\Z|{_EXTENSION_WORD}))"
    r"|<br\s*/?>|\s(?:or|and)\s|[或和及](?=[\s\d+(])|(?<=\d{11})-+(?=1\d{10})",
    re.IGNORECASE,
)
_AROUND: Final = " \t\"“”'‘’*<>"  # quotation marks and bullets around a number
_NO_PHONE: Final = re.compile(
    r"\s*(?:qq|wx|wechat|weixin|微信(?!同号)号?|e-?mail|邮箱|邮编|https?)\s*:?\s*[\w.-]", re.IGNORECASE
)
_LABEL: Final = re.compile(
    r"(?:[^\d+():]{1,30}:\s*|(?:tel|phone|mobile|mob|cell)[.:]?\s*|[^\W\d_][^\d+():@_]{0,28}\s+"
    r"|[\u3400-\u9fff]{1,12}\s*)(?=[\d+(])",
    re.IGNORECASE,
)
_NOTE_IN_BRACKETS: Final = re.compile(r"\([^()\d]+\)|\[[^\[\]\d]+\]|【[^【】\d]+】")
_NOTE_BEHIND: Final = re.compile(r"(?<=\d)(?:\s*-?\s+[^\d#+]*[^\W\d_][^\d#]*|\s*-?\s*[\u3400-\u9fff][^\d]*)\Z")
_EXTENSION: Final = re.compile(
    r"[\s,;(]*(?:转接?|轉|(?:转\s*)?分机号?|内线|ext(?:ension|n)?\.?|(?<=[\d\s)])x|[#*,]|ext=)\s*[:.=#]?\s*"
    r"(\d{1,7})\s*\)?\Z",
    re.IGNORECASE,
)
# A group of digits behind the number of a line or a service is an extension: 021-12345678-801, 021-12345678(801).
_EXTENSION_BY_DASH: Final = re.compile(
    r"((?:\+?86[\s-]*)?(?:\(?0\d{2,3}\)?[\s-]*(?:\d{7,8}|\d{4}[\s-]\d{4})|\(?(?:10|2\d|[3-9]\d{2})\)?[\s-]+\d{7,8}|[48]00-?\d{3}-?\d{4}"
    r"|1[3-9]\d{9}))"
    r"\s*(?:-+\s*(\d{1,6})|\((\d{1,6})\))"
)
_TRUNK_ZERO: Final = re.compile(r"\(\s*0\s*\)")
_SEPARATORS: Final = re.compile(r"[\s().\-\[\]【】_~]+")
_DIGITS: Final = re.compile(r"\+?\d{5,17}")
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−－﹣", "-"))


def phone_keys(written: Any, region: str = DEFAULT_REGION) -> list[str]:
    """Return the key of each number in a value, in its order, without repetitions; none for text without a number.

    `region` is the ISO 3166 code of the country whose numbers may lack the country code.
    """
    if region == "CN" and isinstance(written, str) and len(written) == 11 and _MOBILE.fullmatch(written):
        return [f"+86{written}"]  # the usual case, which an import meets very often
    text = _text(written)
    return list(_keys(text, region)) if any(sign.isdigit() for sign in text) and "://" not in text else []


def without_artifacts(written: str) -> str:
    """Return a written number without the marks of spreadsheets: `="138…"`, `'138…`, `138….0` and `1.38…E10`."""
    text = written.strip()
    if text.isdigit():
        return text
    marked = _WRITTEN_AS_TEXT.fullmatch(text)
    if marked is not None:
        text = next(group for group in marked.groups() if group is not None).strip()
    decimal = _DECIMAL.fullmatch(text)
    if decimal is not None:
        return decimal[1]
    found = _OF_JAVA.fullmatch(text)
    whole = found is not None and len(found[2]) <= int(found[3])
    return found[1] + found[2].ljust(int(found[3]), "0") if found is not None and whole else text


def _text(written: Any) -> str:
    if isinstance(written, float) and written.is_integer() and 0 <= written < 1e15:
        return str(int(written))
    if isinstance(written, int) and not isinstance(written, bool):
        return str(written) if 0 <= written < 10**15 else ""
    return written.strip() if isinstance(written, str) and len(written) <= _MAX_WRITTEN_LENGTH else ""


@lru_cache(maxsize=4096)
def _keys(text: str, region: str) -> tuple[str, ...]:
    plain = unicodedata.normalize("NFKC", text).translate(_DASHES)
    plain = "".join(sign for sign in plain if unicodedata.category(sign) not in ("Cf", "So"))  # nor ☎ and 📱
    found: dict[str, None] = {}
    for part in _BETWEEN_NUMBERS.split(without_artifacts(plain)):
        for key in _keys_of_part(without_artifacts(part).strip(_AROUND), region):
            found[key] = None
    return tuple(found)[:MAX_KEYS]


def _keys_of_part(part: str, region: str) -> list[str]:
    """Return the key of one number. Without one, numbers may be separated by blanks alone."""
    key = _key(part, region)
    if key is not None:
        return [key]
    words = part.split()
    keys = [_key(word, region) for word in words if sum(sign.isdigit() for sign in word) >= 7]
    return [key for key in keys if key is not None] if len(keys) > 1 else []


def _key(part: str, region: str) -> str | None:
    if _NO_PHONE.match(part):
        return None
    number = _NOTE_IN_BRACKETS.sub(" ", part).strip()
    number = _LABEL.sub("", number, count=1) if _LABEL.match(number) else number
    number = number.strip(_AROUND)
    number, extension = _without_extension(_NOTE_BEHIND.sub("", number))
    key = _e164(_TRUNK_ZERO.sub("", number) if _is_international(number) else number, region)
    return key if key is None or not extension else f"{key};ext={extension}"


def _without_extension(number: str) -> tuple[str, str]:
    for pattern in (_EXTENSION, _EXTENSION_BY_DASH):
        found = pattern.search(number) if pattern is _EXTENSION else pattern.fullmatch(number.strip())
        if found is not None and pattern is _EXTENSION:
            return number[: found.start()], found[1]
        if found is not None:
            return found[1], found[2] or found[3]
    return number, ""


def _is_international(number: str) -> bool:
    return re.match(r"\s*\(?(?:\+|00|86)", number) is not None


def _e164(number: str, region: str) -> str | None:
    digits = _SEPARATORS.sub("", number)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if _DIGITS.fullmatch(digits) is None or not digits.isascii():
        return None
    local = digits.removeprefix("+86") if digits.startswith("+") else digits.removeprefix("86")
    if (region == "CN" or digits.startswith("+86")) and _MOBILE.fullmatch(local):
        return f"+86{local}"
    return _by_libphonenumber(digits, region)


def _by_libphonenumber(digits: str, region: str) -> str | None:
    """A number with a country code may be newer than the library's ranges: then a possible length is enough."""
    import phonenumbers  # large: loaded only for numbers that are no mainland mobile

    try:
        number = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException:
        return None
    accepted = phonenumbers.is_valid_number(number) or (
        digits.startswith("+") and phonenumbers.is_possible_number(number)
    )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if accepted else None
