"""What a file's own calls of a function hand over: under which names, and of which shapes."""

import ast
import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bptt.checking.example.pieces import Code, inside, parameters
from bptt.checking.example.roles import kinds, size_of
from bptt.checking.example.texts import Sizes

_MAKERS = ("zeros", "ones", "empty", "full", "randn", "rand", "random", "normal", "uniform", "array", "eye")

_NUMBERED = re.compile(r"(to|2)_?(ix|idx|ind|int|id|num)", re.IGNORECASE)


class Callers:
    """The calls of a file, whose names are there."""

    def __init__(self, tree: ast.Module, names: Mapping[str, Any]) -> None:
        self.tree, self.names = tree, names
        self.found: dict[str, dict[str, list[tuple[str, ast.AST]]]] = {}

    def of(self, function: Any, p: inspect.Parameter, sizes: Sizes) -> tuple[list[str], list[str]]:
        """Return what a parameter that must be given is: texts for it, the latest first, and names."""
        name, symbols = getattr(function, "__name__", ""), {int(n): s for s, n in sizes.items()}
        if name not in self.found:
            self.found[name] = handed(self.tree, name, [one.name for one in parameters(function)])
        texts, names = list[str](), list[str]()
        for other, block in self.found[name].get(p.name, []) if p.default is p.empty else ():
            kind = "labels" if kinds(other)[:1] == ("target",) else "tokens"
            names.append(other)
            for value in made_as(other, block, self.names):
                axes = [] if isinstance(value, str) else [symbols.get(n, str(n)) for n in value]
                texts.append(f"«{' '.join(axes) or f'{kind} T'}»")
        return texts[::-1], names


def handed(tree: ast.Module, name: str, parameters: list[str]) -> dict[str, list[tuple[str, ast.AST]]]:
    r"""Return by parameter the names that are handed over, each with the block in which this is done.

    Examples
    --------
    >>> tree = ast.parse("def f(x, h): pass\nfor k in y: f(xs[k], h=state)")
    >>> {p: [name for name, _ in found] for p, found in handed(tree, "f", ["x", "h"]).items()}
    {'x': ['xs'], 'h': ['state']}
    """
    found: dict[str, list[tuple[str, ast.AST]]] = {}
    for block in (tree, *(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))):
        for call in inside(block):
            match call:
                case ast.Call(ast.Name(called) | ast.Attribute(_, called)) if called == name:
                    given = [*zip(parameters, call.args, strict=False)]
                    given += [(one.arg, one.value) for one in call.keywords if one.arg]
                    for parameter, value in given:
                        while isinstance(value, ast.Subscript):
                            value = value.value
                        if isinstance(value, ast.Name | ast.Attribute):
                            one = value.id if isinstance(value, ast.Name) else value.attr
                            found.setdefault(parameter, []).append((one, block))
    return found


def made_as(name: str, block: ast.AST, names: Mapping[str, Any]) -> Iterator[str | tuple[int, ...]]:
    """Yield what a block gives a name: arrays' shapes, as far as a file's names tell them, and ``tokens``."""
    for node in inside(block):
        match node:
            case ast.Assign(targets, value) if name in {
                n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)
            }:
                match value:
                    case ast.ListComp(elt) if _NUMBERED.search(ast.unparse(elt)):
                        yield "tokens"
                    case ast.Call(ast.Attribute(attr=maker)) if maker in _MAKERS:
                        with contextlib.suppress(Exception):  # it reads what is known when that runs only
                            array = eval(compile(ast.Expression(value), "", "eval"), dict(names))
                            if isinstance(array, np.ndarray) and 0 < array.size < 10_000:
                                yield array.shape


def makers(code: Code, owner: type | None, instance: str, name: str) -> list[str]:
    """Return calls of the code's own functions that make such parameters, as ``init_params(3, 5)``."""
    found = []
    for maker, function in (code.functions | (code.of(owner) if owner else {})).items():
        symbols = [size_of(p.name) for p in parameters(function) if p.default is p.empty]
        if re.match(r"_*(init|create|make|build|random)", maker) and all(symbols):
            called = maker if maker in code.functions else f"{instance}.{maker}"
            found.append(f"{called}({', '.join(f'«size {s}»' for s in symbols)})")
    return sorted(found, key=lambda t: name[:4] not in t)
