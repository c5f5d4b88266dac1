"""Numbers as tables have them, and what stands where there is none."""

import re

import numpy as np

from bptt.types import Array

ABSENT = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-", ".", "..", ":")
"""What stands where there is no number, in small letters; points and colons are statistical offices'."""

ONCE = 20
"""By how many times all others' range a number is off that stands there once and may be a mistake."""

MOST = 1e150
"""The largest number: squares are summed."""


_SIGN = re.compile(r"[$€£¥₹%]")


def unmarked(texts: list[str]) -> list[str]:
    """Return numbers without the sign of money or of percent that each of them has, where it is the same.

    Examples
    --------
    >>> unmarked(["$1,200.50", "-$3", ""]), unmarked(["5 %", "7%"]), unmarked(["5%", "7"])
    (['1,200.50', '-3', ''], ['5', '7'], ['5%', '7'])
    """
    first = next((text for text in texts if text.strip().lower() not in ABSENT), "")
    if (found := _SIGN.search(first)) is None:
        return texts
    sign = found[0]
    money = re.compile(rf"\s*[+-]?\s*(\{sign}[^\{sign}]*|[^\{sign}]*\{sign}\s*)")
    if not all(text.strip().lower() in ABSENT or money.fullmatch(text) for text in texts):
        return texts
    return [text.replace(sign, "").strip() for text in texts]


def ungrouped(texts: list[str], *, is_continental: bool = False) -> list[str]:
    """Return numbers without the marks between thousands, where one tells that all marks are such.

    Parameters
    ----------
    texts : list of str
    is_continental : bool
        Whether a comma stands before the decimals, and a point between thousands.

    Examples
    --------
    >>> ungrouped(["1,976.04", "1,200", "900"]), ungrouped(["1,200", "900"])  # that may be 1.2
    (['1976.04', '1200', '900'], ['1,200', '900'])
    """
    mark, point = (".", ",") if is_continental else (",", ".")
    those = [text for text in texts if mark in text]
    indian = rf"[1-9]\d?(\{mark}\d\d)+\{mark}\d{{3}}"
    grouped = re.compile(rf"\s*\(?[+-]?([1-9]\d{{0,2}}(\{mark}\d{{3}})+|{indian})(\{point}\d+)?\)?\s*")
    sure = any(text.count(mark) > 1 or point in text for text in those)
    return (
        [text.replace(mark, "") for text in texts] if sure and all(map(grouped.fullmatch, those)) else texts
    )


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
    """
    if not text.strip():
        return "there is no number"
    try:
        beyond = abs(float(text)) > MOST and any(map(str.isdigit, text)) and "_" not in text
    except ValueError:
        beyond = False
    return f"{text!r:.40} is beyond {MOST:g}, the largest number" if beyond else f"{text!r:.40} is no number"
