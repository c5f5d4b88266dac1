"""Python 2, rewritten as Python 3 where it is only spelled otherwise; lines keep their numbers."""

import re
from collections.abc import Sequence

_RULES = [
    (r"(?<![\w.])(\d+)[lL]\b", r"\1"),
    (r"<>", "!="),
    (r"(?<!`)`([^`]+)`(?!`)", r"repr(\1)"),
    (r"^(\s*except\b.*),\s*(\w+)\s*:", r"\1 as \2:"),
    (r"((?:^|[:;])\s*raise\s+[\w.]+)\s*,\s*\(", r"\1("),
    (r"((?:^|[:;])\s*raise\s+[\w.]+)\s*,\s*(.+?)(\s*#[^'\"]*)?$", r"\1(\2)\3"),
    (
        r"((?:^|[:;])\s*(?:print|exec))\b(?=[ \t]*[^\s=.,:;)\]}>])",
        r"\1,",
    ),  # a tuple, of which `parsed` makes a call
]


def is_python2(text: str) -> bool:
    """Return whether a text uses what is Python 2's, reads as Python 3, and is not defined in it."""
    gone = set(re.findall(r"\b(?:xrange|raw_input|iteritems|itervalues|iterkeys)\b", text))
    is_old = any(
        not re.search(rf"import[^\n]*\b{name}\b|def\s+{name}\b|\b{name}\s*=[^=]", text) for name in gone
    )
    return is_old or bool(re.search(r"^[ \t]*print\s*>>", text, re.M))


def as_python3(lines: Sequence[str]) -> list[str]:
    """Rewrite print and exec (as tuples), ``except X, e``, ``raise X, y``, backticks, ``<>``, ``10L``, tabs.

    Examples
    --------
    >>> as_python3(["if a <> b: print `a`,", "raise E, 'no'"])
    ['if a != b: print, repr(a),', "raise E('no')"]
    """
    rules = _RULES[: -1 if any("print_function" in line for line in lines) else None]
    found = []
    for line in lines:
        rest = line.lstrip(" \t\f")
        line = line[: len(line) - len(rest)].replace("\f", "").expandtabs(8) + rest
        for old, new in rules:
            line = re.sub(old, new, line)
        found.append(line)
    return found
