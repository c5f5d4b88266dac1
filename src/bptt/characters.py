"""What a text's characters say of it before anything else is done with it."""

import re
import unicodedata

MOST_MARKS = 30
"""Combining marks in a row: more than any language has, and the limit of stream-safe text (UAX #15)."""


def crowded(text: str) -> bool:
    """Return whether more than 30 combining marks stand in a row.

    The time to bring such a text to a Unicode form, as Python does with every name in a source, grows with
    the square of their number.

    Examples
    --------
    >>> crowded("cafe" + "\u0301" * 30), crowded("cafe" + "\u0301" * 31)
    (False, True)
    """
    if text.isascii():
        return False
    # by what a character becomes: some are no marks themselves and consist of nothing else
    marks = [c for c in set(text) if unicodedata.combining(unicodedata.normalize("NFKD", c)[0])]
    every = "".join(map(re.escape, marks))
    return bool(marks) and re.search(f"[{every}]{{{MOST_MARKS + 1}}}", text) is not None
