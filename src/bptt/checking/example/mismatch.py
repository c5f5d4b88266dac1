"""What an error says of sizes that do not go together, and arguments in which they do."""

import ast
import itertools
import linecache
import re
from collections.abc import Callable, Iterator
from typing import Any

_UNLIKE = (
    r"size (\d+) is different from (\d+)",
    r"(\d+) \(dim \d\) != (\d+)",
    r"has size (\d+) and .* has size (\d+)",
    r"array of size (\d+) into shape \((.*)\)",
    r"shapes? (\(.*\)) (?:and |into shape )?(\(.*\))",
    r"(?:expected|needed?|must be) (\d+),? (?:but |and )?(?:got|not|is) (\d+)",
)
_BEYOND = re.compile(r"out of bounds for axis \d+ with size (\d+)|list index out of range")
_GROWN = re.compile(r"operand with shape \((.*?)\) doesn't match the broadcast shape \((.*?)\)")
MOST = 16


def unlike(error: BaseException) -> list[tuple[int, int]]:
    """Return pairs of sizes, the first of which may have to be the second; 0 is any.

    Examples
    --------
    >>> unlike(ValueError("shapes (2,3) and (6,2) not aligned: 3 (dim 1) != 6 (dim 0)"))
    [(3, 6), (6, 3)]
    """
    while error.__context__ is not None:  # of what a handler makes of an error, the error
        error = error.__context__
    text = _asserted(error) if isinstance(error, AssertionError) else str(error)
    if beyond := _BEYOND.search(text):
        return [(int(beyond[1]), 0)] if beyond[1] else []
    match = next(filter(None, (re.search(pattern, text) for pattern in _UNLIKE)), None)
    sides = [[*map(int, re.findall(r"\d+", side))] for side in match.groups()] if match else []
    pairs = [(a, b) for a, b in itertools.product(*sides) if a != b] if len(sides) == 2 else []
    return list(dict.fromkeys([*pairs, *((b, a) for a, b in pairs)]))


def _asserted(error: BaseException) -> str:
    """Return the two sides of a comparison that was asserted."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    try:
        assert trace is not None
        frame = trace.tb_frame
        [node] = ast.parse(linecache.getline(frame.f_code.co_filename, trace.tb_lineno).strip()).body
        match node:
            case ast.Assert(ast.Compare(left, [_], [right])):
                sides = (compile(ast.Expression(side), "", "eval") for side in (left, right))
                first, second = (eval(side, frame.f_globals, frame.f_locals) for side in sides)
                return f"shapes ({first}) ({second})"
    except Exception:  # it is no line of its own, or cannot be evaluated once more
        pass
    return ""


def reworded(node: Any, old: str, new: str) -> Iterator[Any]:
    """Yield what is known of a value with one of its sizes replaced.

    Examples
    --------
    >>> list(reworded("«N H»", "H", "D")), list(reworded(("rows", "T", "«H»"), "T", "N"))
    (['«N D»'], [('rows', 'N', '«H»')])
    """
    match node:
        case str():
            for mark in re.finditer(r"«(?:[a-z]+ )*([^«»]*)»", node):
                axes = mark[1].split()
                for k in (k for k, axis in enumerate(axes) if axis == old):
                    other = " ".join([*axes[:k], new, *axes[k + 1 :]])
                    if "onehot" not in mark[0] or other.split().count("V") == 1:
                        yield node[: mark.start(1)] + other + node[mark.end(1) :]
        case ("rows", symbol, child):
            yield from [("rows", new, child)] * (symbol == old)
            yield from (("rows", symbol, one) for one in reworded(child, old, new))
        case ("tuple", names, *children):
            for k, child in enumerate(children):
                for one in reworded(child, old, new):
                    yield ("tuple", names, *children[:k], one, *children[k + 1 :])
        case ("dict" | "space" as kind, entries):
            for key, child in entries.items():
                yield from ((kind, {**entries, key: one}) for one in reworded(child, old, new))


def mended(
    tree: dict[str, Any], error: BaseException, symbol: Callable[[int], str], every: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield arguments in which one size is another, by what an error says."""
    count = 0
    if isinstance(error, IndexError) and "integer" in str(error):  # what labels, or words, are indices
        for hole, node in tree.items():
            if isinstance(node, str) and (node == "'acba'" or "onehot" in node):
                yield {**tree, hole: "«tokens T»" if node == "'acba'" else "«labels T»"}
    if grown := _GROWN.search(str(error)):  # what is added to must have the axes of what is added
        old, more = (
            "«" + " ".join(symbol(int(n)) for n in re.findall(r"\d+", side)) + "»" for side in grown.groups()
        )
        yield from ({**tree, hole: more} for hole, node in tree.items() if node == old)
    for a, b in unlike(error):
        for new in [symbol(b)] if b else every:
            for hole, node in tree.items():
                for one in reworded(node, symbol(a), new) if not new.isdigit() else ():
                    if count < MOST:
                        yield {**tree, hole: one}
                    count += 1
