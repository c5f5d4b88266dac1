"""Numbers as tables have them, and what stands where there is none."""

import re

import numpy as np

ABSENT = ("", "na", "n/a", "#n/a", "nan", "null", "none", "?", "-", ".", "..")
"""What stands where there is no number, in small letters; points are statistical offices' and FRED's."""

MOST = 1e150
"""The largest number: squares are summed."""


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
    grouped = re.compile(rf"\s*[+-]?[1-9]\d{{0,2}}(\{mark}\d{{3}})+(\{point}\d+)?\s*")
    sure = any(text.count(mark) > 1 or point in text for text in those)
    return (
        [text.replace(mark, "") for text in texts] if sure and all(map(grouped.fullmatch, those)) else texts
    )


def as_number(text: str) -> float:
    """Return the number that a text is; NaN where it is none, or beyond `MOST`."""
    try:
        found = float(text) if "_" not in text else np.nan
    except ValueError:
        return np.nan
    return found if abs(found) <= MOST else np.nan


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
