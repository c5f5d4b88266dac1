"""Where in a file a gradient is computed: the line to look at, found by what people call it."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypedDict

from bptt.checking.source import Source

NEAR = 8
"""Assignments to one variable are shown as one place if no more lines than this lie between them."""


class Spot(TypedDict):
    """Lines of a file: the first and the last, how a person finds them, and their text."""

    line: int
    last: int
    place: str
    text: str


def spots(source: Source, subject: str, targets: Sequence[str], symbols: Mapping[str, str]) -> list[Spot]:
    """Return the lines that compute gradients, where they can be told.

    Parameters
    ----------
    source : Source
    subject : str
        What is judged, as ``LSTM.forward``: of several classes the one that is meant.
    targets : sequence of str
        The gradients, as the reference calls them: ``dc``, ``da_f``, ``dW_f``, ``dlogits``.
    symbols : dict of str
        The user's names for the weights.
    """
    found = []
    for target in targets:
        span = _lines(source.tree, subject, _names(target, symbols))
        if span is not None:
            lines = [line.strip() for line in source.lines[span[0] - 1 : span[1]]]
            text = "\n".join(line for line in lines if line and line[0] != "#")
            place = source.place(span[0])
            if span[1] > span[0]:
                place += "-" + re.split(r"\D", source.place(span[1]))[-1]
            spot = Spot(line=span[0], last=span[1], place=place, text=text)
            if spot not in found:
                found.append(spot)
    return found


def _names(target: str, symbols: Mapping[str, str]) -> list[str]:
    """Return what a gradient may be called, the likeliest first, in small letters without underscores."""
    key = target[1:]
    if key in symbols:
        own = symbols[key].partition("[")[0]
        return [_plain(f"{prefix}{own}") for prefix in ("d", "grad", "gradd")]
    gate = key.rpartition("_")[2]
    own = symbols.get(f"W_{gate}", "")
    letters = dict.fromkeys([gate, own[-1:].lower() if own.isalnum() and len(own) < 4 else gate])
    if key.startswith("a_"):
        stems = [name for s in letters for name in (f"da{s}", f"d{s}raw", f"d{s}pre", f"dz{s}", f"dh{s}")]
        alone = ["dhraw", "da", "draw", "dz", "dtanh", "dpre"] if gate == "a" else []
        return [*stems, *alone, f"d{gate}"]
    if len(key) == 1 and key not in "hcx":
        return [name for s in letters for name in (f"d{s}", f"d{s}t", f"dh{s}") if name != "dc"]
    return {
        "dlogits": ["dlogits", "dscores", "dy", "dypred"],
        "dc": ["dc", "dct", "dnextc", "dcnext"],
        "dh": ["dh", "dht", "dnexth", "dhnext"],
        "dc_prev": ["dcprev", "dprevc", "dcnext"],
        "dh_prev": ["dhprev", "dprevh", "dhnext"],
        "dc_next": ["dcnext", "dcprev", "dprevc"],
        "dh_next": ["dhnext", "dhprev", "dprevh"],
    }.get(target, [_plain(target)])


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _lines(tree: ast.Module, subject: str, names: Sequence[str]) -> tuple[int, int] | None:
    """Return the first and the last line that assign the first of the names that is assigned at all."""
    functions = list(_functions(tree.body))
    own = [f for f in functions if "." in subject and f[0].startswith(subject.rpartition(".")[0] + ".")]
    own = own or functions
    for name in names:
        places = [lines for _, node in own if (lines := [n for said, n in _assigned(node) if said == name])]
        if places:
            lines = places[0]
            clear = len(places) == 1 and lines[-1] - lines[0] <= NEAR
            return (lines[0], lines[-1]) if clear else None
    return None


def _functions(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            yield prefix + node.name, node


def _assigned(function: ast.AST) -> list[tuple[str, int]]:
    """Return the names assigned in a function and the lines; what is only set up or unpacked is left out."""
    found = []
    for node in ast.walk(function):
        if isinstance(node, ast.AugAssign):
            pairs: list[tuple[ast.expr, ast.expr]] = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            pairs = [pair for target in node.targets for pair in _pairs(target, node.value)]
        else:
            continue
        for target, value in pairs:
            if not re.match(r"np\.(zeros|empty)|\d|None|\[|\{", ast.unparse(value)):
                found.append((_plain(_called(target)), node.lineno))
    return sorted(found, key=lambda pair: pair[1])


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if not isinstance(target, ast.Tuple):
        return [(target, value)]
    if isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [] if isinstance(value, ast.Name) else [(one, value) for one in target.elts]


def _called(target: ast.expr) -> str:
    """Return the name in ``dW``, ``self.dW``, ``dx[t]``; ``gradW`` for ``grads["W"]``, ``gradients["W"]``."""
    if isinstance(target, ast.Subscript):
        base, key = _called(target.value), target.slice
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return f"grad{key.value}" if re.match("_?(d|g|grads?|gradients?|dparams)$", base) else ""
        return base
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")
