"""Python 2, rewritten as Python 3 where it is only spelled otherwise; lines keep their numbers."""

import contextlib
import io
import itertools
import re
import tokenize
from collections.abc import Iterator, Sequence
from typing import TypeAlias

Token: TypeAlias = tokenize.TokenInfo
Edit: TypeAlias = tuple[tuple[int, int], tuple[int, int], str]

_RENAMED = {"iteritems": "items", "itervalues": "values", "iterkeys": "keys"}
_HEADERS = {"if", "elif", "else", "for", "while", "try", "except", "finally", "with", "def", "class"}
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_ENDS = (tokenize.NEWLINE, tokenize.ENDMARKER)
_SKIPPED = (tokenize.NL, tokenize.COMMENT, tokenize.INDENT, tokenize.DEDENT)


def is_python2(text: str) -> bool:
    """Return whether a text uses what is Python 2's, reads as Python 3, and is not defined in it."""
    gone = set(re.findall(r"\b(?:xrange|raw_input|iteritems)\b", text))
    is_old = any(not re.search(rf"import[^\n]*\b{name}\b|\b{name}\s*=[^=]", text) for name in gone)
    return is_old or bool(re.search(r"^[ \t]*print\s*>>", text, re.M))


def as_python3(lines: Sequence[str]) -> list[str]:
    """Rewrite print, exec, ``except X, e``, ``raise X, y``, backticks, ``<>``, ``10L`` and tabs.

    Examples
    --------
    >>> as_python3(["if a <> b: print `a`,"])
    ['if a != b: print (repr(a))']
    """
    print_function = any("print_function" in line for line in lines)
    lines = [re.sub(r"(?<![\w.])(\d+)[lL]\b", r"\1 ", _expanded(line)) for line in lines]
    edits: list[Edit] = []
    for part in statements(lines):
        edits += _edits(part, print_function)
    for (row, start), (_, end), new in sorted(edits, key=lambda edit: edit[:2], reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + new + line[end:]
    return lines


def _expanded(line: str) -> str:
    rest = line.lstrip(" \t\f")
    return line[: len(line) - len(rest)].replace("\f", "").expandtabs(8) + rest


def _edits(part: Sequence[Token], print_function: bool) -> Iterator[Edit]:
    first, rest = part[0], part[1:]
    commas = _commas(rest)
    match first.string, [token.string for token in rest[:1]]:
        case "print", []:
            yield first.start, first.end, "print()"
        case "print", [second] if not print_function and second not in ("=", ".", ","):
            end = ")" if rest[-1].string != "," else ""
            if second == ">>":  # print >>file, what
                yield rest[0].start, rest[0].end, "(file="
                if commas and len(rest) > commas[0] + 1:
                    yield rest[commas[0]].start, rest[commas[0]].end, ", *("
                    end = "))" if rest[-1].string == "," else ",))"
            else:
                yield rest[0].start, rest[0].start, "("
            yield (rest[-1].end if end else rest[-1].start), rest[-1].end, end or ")"
        case "exec", [second] if second not in ("(", "=", "."):
            yield first.end, rest[0].start, "("
            yield from ((token.start, token.end, ",") for token in rest if token.string == "in")
            yield rest[-1].end, rest[-1].end, ")"
        case "except", _ if commas:
            yield rest[commas[-1]].start, rest[commas[-1]].end, " as"
        case "raise", _ if commas:  # raise X, y, where
            yield rest[commas[0]].start, rest[commas[0]].end, "("
            last = rest[commas[1] - 1] if len(commas) > 1 else rest[-1]
            yield last.end, rest[-1].end, ")"
    for k, tick in enumerate(token for token in part if token.string == "`"):
        yield tick.start, tick.end, ")" if k % 2 else "repr("
    for token, following in itertools.pairwise(part):
        if token.string == "." and following.string in _RENAMED:
            yield following.start, following.end, _RENAMED[following.string]
        elif token.string + following.string == "<>":
            yield token.start, following.end, "!="


def statements(lines: Sequence[str]) -> Iterator[list[Token]]:
    """Yield the tokens of each simple statement and of each header (``if x``), up to what has no end."""
    part: list[Token] = []
    depth = 0
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline):
            if token.type in _SKIPPED or token.string == " ":  # Python 3.11 gives one after a backtick
                continue
            depth += _DEPTH.get(token.string, 0)
            header = token.string == ":" and not depth and bool(part) and part[0].string in _HEADERS
            ends = token.type in _ENDS or (token.string == ";" and not depth)
            if not (ends or header):
                part.append(token)
            elif part:
                yield part
                part = []


def _commas(tokens: Sequence[Token]) -> list[int]:
    depths = list(itertools.accumulate(_DEPTH.get(token.string, 0) for token in tokens))
    return [k for k, token in enumerate(tokens) if token.string == "," and not depths[k]]
