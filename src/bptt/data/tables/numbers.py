"""Numbers as tables have them, and what stands where there is none."""

import re

import numpy as np

from bptt.types import Array

ABSENT = (
    *("", "na", "n/a", "#n/a", "n.a.", "<na>", "nan", "nat", "null", "none", "k.a."),
    *("?", "-", "--", "---", "\u2013", "\u2014", ".", "..", ":"),
)
"""What stands where there is no number, in small letters; points and colons are statistical offices'."""

ONCE = 20
"""By how many times all others' range a number is off that stands there once and may be a mistake."""

MOST = 1e150
"""The largest number: squares are summed."""


LONGEST = 60
"""Characters that a number with its unit has at most."""

_MONEY = r"(?:[A-Z]{0,3}[$€£¥₹]|(?:[A-Z]{3}|Rs\.?)(?=\s?[\d.]))"
_UNIT = (
    r"[^\W\d_][^\W\d_/²³.·^]{0,11}(?:[/·][^\W\d_][^\W\d_²³^]{0,5}[²³]?)?(?: [A-Za-z]{1,9})?"
    r"|[%‰°$€£¥₹µΩ²³/][^\d\s,;]{0,11}"
)
_MARKED = re.compile(rf"\s*([+\-\u2212(]?)\s*({_MONEY})?\s*([+\-\u2212]?\s*[\d.].*?)\s*({_UNIT})?(\)?)\s*")
_SHORT = re.compile(r"(\D{0,5}\d[\d.,]*)([KMBTk])")
_POWERS = {"K": 3, "M": 6, "B": 9, "T": 12}


def unmarked(texts: list[str]) -> list[str]:
    """Return numbers without the sign of money or the unit that each of them has, where it is the same.

    Thousands, millions and more that a letter stands for are powers of ten.

    Examples
    --------
    >>> unmarked(["$1,200.50", "-$3", ""]), unmarked(["5 %", "7%"]), unmarked(["12 kg", "-3.5 kg"])
    (['1,200.50', '-3', ''], ['5', '7'], ['12', '-3.5'])
    >>> unmarked(["5%", "7"]), unmarked(["12 kg", "900 g"]), unmarked(["1.2M", "860K", "12"])
    (['5%', '7'], ['12 kg', '900 g'], ['1.2e6', '860e3', '12'])
    """
    there = [text.strip() for text in texts if text.strip().lower() not in ABSENT]
    if not there or not re.search(r"[^\d\s.,+\-eE]", there[0] + there[-1]) or max(map(len, there)) > LONGEST:
        return texts
    is_short = [_SHORT.fullmatch(text) is not None for text in there]
    if any(is_short) and all(own or text[-1:].isdigit() for own, text in zip(is_short, there, strict=True)):
        texts, there = ([_in_powers(text) for text in some] for some in (texts, there))
    found = [_MARKED.fullmatch(text) for text in there]
    marks = {f"{own[2] or ''}{own[4] or ''}" if own else None for own in found}  # before it or behind
    if len(marks) > 1 or None in marks or marks == {""}:
        return texts
    plain = {text: f"{own[1]}{own[3]}{own[5]}" for text, own in zip(there, found, strict=True) if own}
    return [plain.get(text.strip(), text) for text in texts]


def _in_powers(text: str) -> str:
    """Return a number whose last letter says thousands or more with a power of ten in its place."""
    found = _SHORT.fullmatch(text.strip())
    return f"{found[1]}e{_POWERS[found[2].upper()]}" if found else text


def ungrouped(texts: list[str], *, is_continental: bool = False) -> list[str]:
    """Return numbers without the marks between thousands, where one tells that all marks are such.

    One with two marks does, or one with the other mark, before its decimals. So do three or more with three
    digits behind each mark beside others below a thousand that have none, where one ends in a zero: decimals
    would all have as many digits, or no zero at their end.

    Parameters
    ----------
    texts : list of str
    is_continental : bool
        Whether a comma may stand before the decimals, and a point between thousands.

    Examples
    --------
    >>> ungrouped(["1,976.04", "1,200", "900"]), ungrouped(["1,200", "900"])  # that may be 1.2
    (['1976.04', '1200', '900'], ['1,200', '900'])
    >>> ungrouped(["4,771", "5,110", "0", "12,408"])
    ['4771', '5110', '0', '12408']
    """
    for mark, point in ((".", ","), (",", ".")) if is_continental else ((",", "."),):
        those = [text for text in texts if mark in text]
        indian = rf"[1-9]\d?(\{mark}\d\d)+\{mark}\d{{3}}"
        plain = rf"([1-9]\d{{0,2}}(\{mark}\d{{3}})+|{indian})(\{point}\d+)?"
        grouped = re.compile(rf"\s*\(?[+-]?{plain}(e\d+)?\)?\s*")
        if not those or not all(map(grouped.fullmatch, those)):
            continue
        whole = [
            text.strip(" +-()") for text in texts if mark not in text and text.strip(" +-()").isdecimal()
        ]
        below = bool(whole) and all(len(text) < 4 for text in whole) and len({*those}) > 2
        ends = below and any(text.strip(" )").endswith("0") for text in those)
        if ends or any(text.count(mark) > 1 for text in those) or any(point in text for text in texts):
            return [text.replace(mark, "") for text in texts]
    return texts


_SPACED = re.compile(r"[+-]?\d{1,3}([ '\u00a0\u2009\u202f\u2019]\d{3})+([.,]\d+)?")
_BOOKED = re.compile(r"\(\s*(\d.*?)\s*\)")


def plainly(text: str) -> str:
    """Return a number as a program writes it: without spaces between thousands, with its sign in front.

    Examples
    --------
    >>> plainly("1\u202f200,5"), plainly("1'200.5"), plainly("\u2212 3".replace(" ", "")), plainly("(12)")
    ('1200,5', '1200.5', '-3', '-12')
    """
    text = text.strip().replace("\u2212", "-")
    if found := _BOOKED.fullmatch(text):
        text = f"-{found[1]}"
    return re.sub(r"[^\d.,+-]", "", text) if _SPACED.fullmatch(text) else text


def as_number(text: str) -> float:
    """Return the number that a text is; NaN where it is none, or beyond `MOST`."""
    try:
        found = float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan
    return found if abs(found) <= MOST else np.nan


def far_off(values: Array) -> tuple[float, int] | None:
    """Return a number that stands far from all others, as -999, and how often.

    One that stands there once is farther. Where all others are the same it has nines alone: others may be a
    yes and a no.

    Examples
    --------
    >>> far_off(np.array([3.0, -999.0, 5.0, -999.0, 4.0])), far_off(np.array([0.0, 1.0, 1.0, 1.0, 0.0]))
    ((-999.0, 2), None)
    """
    known = values[np.isfinite(values)]
    for end in (known.min(initial=np.inf), known.max(initial=-np.inf)):
        rest, count = known[known != end], int((known == end).sum())
        if len(rest) < 3 or not min(abs(rest - end)) > (3 if count > 1 else ONCE) * np.ptp(rest):
            continue
        if np.ptp(rest) > 0 or {*f"{abs(end):g}"} == {"9"}:
            return float(end), count
    return None


def no_number(text: str) -> str:
    """Return why `as_number` takes a text for none.

    Examples
    --------
    >>> no_number(""), no_number("x"), no_number("1e308")
    ('there is no number', "'x' is no number", "'1e308' is beyond 1e+150, the largest number")
    >>> no_number("4,771")
    "'4,771' is no number: it may be 4771 or 4.771: write it without the comma"
    """
    if not text.strip():
        return "there is no number"
    try:
        beyond = abs(float(text)) > MOST and any(map(str.isdigit, text)) and "_" not in text
    except ValueError:
        beyond = False
    if re.fullmatch(r"\s*[+-]?[1-9]\d{0,2},\d{3}\s*", text):
        whole, point = (text.strip().replace(",", mark) for mark in ("", "."))
        return f"{text!r:.40} is no number: it may be {whole} or {point}: write it without the comma"
    return f"{text!r:.40} is beyond {MOST:g}, the largest number" if beyond else f"{text!r:.40} is no number"
