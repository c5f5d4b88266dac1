"""What can be read of a text: Python 2 is rewritten, what no Python reads is left out, and nothing shifts."""

import ast
import re
import sys
import textwrap
import warnings
from collections.abc import Sequence
from typing import NamedTuple

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
    halved = (
        r"[\w\])]\[(?:[^\[\]]*:)?[^\[\]/:]*[\w)]\s*/\s*\d+\s*(?::[^\[\]]*)?\]"  # an index that is a quotient
    )
    return is_old or bool(re.search(rf"^[ \t]*print\s*>>|{halved}", text, re.M))


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


UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)

_MOST = 200  # statements that are left out; what has more is no Python
_NEWER = re.compile(r"\s*(?:(?:async\s+)?def|class)\s+\w+\s*\[|\s*type\s+\w+.*=")
_MAGIC = re.compile(r"(\s*)(?:%{1,2}[a-zA-Z]|[!?]|[\w, ]+=\s*[%!]|[^#'\"]*\?\s*$)")


class LeftOut(NamedTuple):
    """A statement that could not be read: the line of the text where it begins, how it begins, and why."""

    line: int
    what: str
    why: str


def readable(lines: Sequence[str]) -> tuple[list[str], list[LeftOut], bool]:
    """Return as many lines of Python 3, what has been left out of them, and whether some was Python 2."""
    lines, gone, python2 = list(lines), dict[int, tuple[int, LeftOut]](), False
    if failure(lines) is not None:
        lines = textwrap.dedent("\n".join(lines)).split("\n")  # a piece of something indented
    error = failure(lines)
    while (error is not None or (is_python2("\n".join(lines)) and not python2)) and len(gone) < _MOST:
        rewritten = as_python3(lines)
        at = slice(None) if error is None or isinstance(error, IndentationError) else _line(error) - 1
        is_new = rewritten[at] != lines[at]
        after = failure(rewritten) if is_new else error
        if is_new and (after is None or (error is not None and _line(after) > _line(error))):
            lines, error, python2 = rewritten, after, True
            continue
        if error is None:
            break
        done = {k for start, (end, _) in gone.items() for k in range(start, end)}
        left = [k for k, line in enumerate(lines) if k not in done and _has_code(line)]
        if not left:
            break
        start, end = _statement(lines, error, left)
        what, indent = " ".join(lines[start].split()), re.match(r"\s*", lines[start])
        one = LeftOut(start + 1, what[:57] + "..." * (len(what) > 57), _why(error, lines[start]))
        gone[start] = end, one
        is_indent = isinstance(error, IndentationError) and "expected an" not in str(error)
        lines[start:end] = ["" if is_indent or not indent else f"{indent[0]}pass", *[""] * (end - start - 1)]
        error = failure(lines)
    told, last = list[LeftOut](), -1
    for start, (end, one) in sorted(gone.items()):  # what goes on with what was left out is not told again
        told += [one] if last < 0 or any(map(_has_code, lines[last:start])) else []
        last = max(last, end)
    return lines, told, python2


def _statement(lines: Sequence[str], error: SyntaxError, left: Sequence[int]) -> tuple[int, int]:
    """Return the lines that an error is in: what is left, up to it, and what is indented below that."""
    header = re.search(r"expected an indented block after .* on line (\d+)", str(error.msg))
    at = int(header[1]) - 1 if header else _line(error) - 1
    start = end = max((k for k in left if k <= at), default=left[0])
    least = _indent(lines[start]) - ("unexpected indent" in str(error.msg))
    for k in range(start + 1, len(lines)):
        if _has_code(lines[k]):
            if _indent(lines[k]) <= least:
                break
            end = k
    return start, end + 1


def failure(lines: Sequence[str]) -> SyntaxError | None:
    """Return why lines cannot be parsed and compiled; None where they can."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" is no escape: the file's own affair
            tree = ast.parse("\n".join(lines) + "\n")
            tree.body = [node for node in tree.body if not is_future(node)]  # a notebook's are anywhere
            compile(tree, "", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error
    except UNREADABLE as error:
        return SyntaxError(str(error) or type(error).__name__)
    return None


def is_future(node: ast.stmt) -> bool:
    """Return whether a statement is ``from __future__ import ...``, which stands before all others."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def without_magics(lines: Sequence[str]) -> list[str]:
    """Return a notebook cell without what only IPython reads."""
    first = re.match(r"\s*%%(\w+)", "\n".join(lines))
    if first and first[1] not in ("time", "timeit", "capture", "prun"):
        return [""] * len(lines)  # another language, or a file to write
    if failure(lines) is None:
        return list(lines)
    return [f"{found[1]}pass" if (found := _MAGIC.match(line)) else line for line in lines]


def _why(error: SyntaxError, line: str) -> str:
    says = re.sub(r" (?:on line|\(detected at line) \d+\)?", "", " ".join(str(error.msg).split()))
    if sys.version_info[:2] < (3, 12) and (says.startswith("f-string") or _NEWER.match(line)):
        return f"this Python, {sys.version_info[0]}.{sys.version_info[1]}, cannot read it: {says}"
    return says


def _line(error: SyntaxError) -> int:
    return error.lineno or 1


def _has_code(line: str) -> bool:
    return line.strip(" \t\f\\")[:1] not in ("", "#")


def _indent(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t\f"))].replace("\f", "").expandtabs(8))
