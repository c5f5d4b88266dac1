"""What a page says of matrices that are made of others: a map's lines, and those of its pullback."""

import ast
import operator
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, reduce
from typing import Any

import numpy as np
from sympy import Add, Float, Integer, Mul, Pow

from bptt.derive.algebra import Expr
from bptt.derive.blocks import Block, Section, Shown, Words, commas
from bptt.derive.names import unlike
from bptt.derive.proof import ProofError
from bptt.derive.terms import Gradient, MapBase, Timeless
from bptt.derive.whole import Whole
from bptt.maps import Equation, Map
from bptt.maps.by_equation import namespace
from bptt.maps.pullback import BACK
from bptt.maps.text import ARRAY, IDENTITY, RESULT
from bptt.maps.text import Line as MapLine
from bptt.types import Params

Group = tuple[Map, tuple[str, ...]]
"""A map, and the matrices that are made alike."""


def sections(whole: Whole) -> tuple[tuple[Section, ...], tuple[Section, ...]]:
    """Return what stands before the step and after the sums over time: nothing where no matrix has a map.

    Raises
    ------
    ProofError
        If the lines, as they are printed, are not what is run.
    """
    if not whole.equations.maps:
        return (), ()
    made = _Maps(whole)
    forward, backward = list[Words | Block](), list[Words | Block]()
    forward.append(("Once, before the first step, matrices are made of the arrays that are learnt.",))
    backward.append(("Once, after the sums over time, the gradients are taken back to these.",))
    if all(isinstance(each, Equation) and not each.raw for each, _ in made.groups):
        forward[0] = ("Matrices that are not learnt:",)
        backward[0] = ("Nothing of these matrices is learnt.",)
    for each, names in made.groups:
        if isinstance(each, Equation):
            lines = made.lines(each, names)
            for parts, some in zip((forward, backward), lines, strict=True):
                if some:
                    parts.append(Block("maps", tuple(some)))
        else:
            forward.append((*commas([made.matrix(n) for n in names]), f" is made by code, {each.name}."))
            backward.append((f"{each.name} has a pullback of its own, compared with the complex step.",))
    forward += made.numbers
    called = {f.called for part in (*forward, *backward) if isinstance(part, Block) for f in _called(part)}
    backward += [words for name, words in _meant().items() if any(name in c for c in called)]
    for kind in (name for name in ("W", "U") if name in whole.equations.maps):
        if len(columns := whole.layer.get(kind, [])) > 1:
            beside = commas([Timeless(name) for name in columns])
            forward.append((made.matrix(kind), " is ", *beside, ", side by side."))
    for name, other in made.served.items():
        this, that = made.matrix(name), made.matrix(other)
        forward.append((this, " is ", that, ", the same matrix."))
        both = Add(Gradient(f"d{that.name}"), Gradient(f"d{this.name}"), evaluate=False)
        backward.append(("The gradient at ", that, " is ", both, ", for both of its uses."))
    return (Section("The matrices", tuple(forward)),), (Section("Back through the maps", tuple(backward)),)


def _called(block: Block) -> Iterable[Any]:
    return (f for line in block.lines for f in line.right.atoms(MapBase))


def _meant() -> dict[str, Words]:
    """Return what signs mean that not everybody writes alike, by a part of what they are called."""
    A, B, d = map(Timeless, "ABd")
    of_f = matrix_function(f"f{BACK}0")(A, d)
    return {
        "entrywise": (matrix_function("entrywise")(A, B), " is the product entry by entry."),
        "over": (matrix_function("over")(A, B), " is the quotient entry by entry."),
        "raised": (matrix_function("raised")(A, Integer(2)), " is the power of each entry."),
        BACK: (of_f, " is the derivative of f at ", A, ", transposed, along ", d, "."),
    }


def note(whole: Whole) -> Words:
    """Return that there are matrices which are made, for readers of the step alone."""
    made = _Maps(whole)
    names = [made.matrix(name) for name in whole.equations.maps]
    return (
        *commas(names),
        " is" if len(names) == 1 else " are",
        " made of other arrays before the first step.",
    )


class _Maps:
    def __init__(self, whole: Whole) -> None:
        self.whole = whole
        taken = {*whole.equations.names, *whole.shapes}
        self.taken = taken | {f"d{n}" for n in taken}
        counts = "" if whole.equations.is_elementwise else "".join(whole.letters.values())
        free = (c for c in "kjlmnpqrstuvwz" if not any(n == c or n.endswith(f"_{c}") for n in taken))
        self.letter = next((c for c in free if c not in counts), "k")
        maps = whole.equations.maps
        self.served = {name: each for name, each in maps.items() if isinstance(each, str)}
        alike: dict[object, list[str]] = {}
        for name, each in maps.items():
            if isinstance(each, Map):
                plain = self.matrix(name).name == f"{name[0]}_{name[4:]}" and "_" not in name[4:]
                alike.setdefault((name[0], each.text) if each.text and plain else name, []).append(name)
        self.numbers: list[Words] = []  # what arrays are that stand in equations
        self.groups: list[Group] = []
        for names in alike.values():
            first = maps[names[0]]
            assert isinstance(first, Map)
            self.groups.append((first, tuple(names)))

    def matrix(self, name: str) -> Timeless:
        """Return what a matrix is called: U_f, or U that is all of them side by side."""
        kind, _, gate = name.partition(".")
        if not gate and len(parts := self.whole.layer.get(kind, [])) == 1:
            return Timeless(parts[0])
        return Timeless(self.whole.names[kind, gate] if gate else unlike(kind, self.taken))

    def fresh(self, name: str, ending: str, kind: str) -> Timeless:
        """Return what a map's array is called here: M_f, or M_W_f where that is another's."""
        wanted = f"{name}{ending}"
        made = unlike(f"{name}_{kind}{ending}" if {wanted, f"d{wanted}"} & self.taken else wanted, self.taken)
        self.taken |= {made, f"d{made}"}
        return Timeless(made)

    def lines(self, each: Equation, names: Sequence[str]) -> tuple[list[Shown], list[Shown]]:
        """Return the lines of a map and of its pullback, in the names of the page."""
        many = len(names) > 1
        gates = tuple(name[4:] for name in names) if many else ()
        letter = self.letter if many else ""
        result = Timeless(f"{names[0][0]}_{letter}") if many else self.matrix(names[0])
        ending = f"_{letter}" if many else f"_{names[0][4:]}" if "." in names[0] else ""
        derived = _derived(each)
        own = {line.name for line in derived.forward} - {RESULT} | {*derived.shapes}
        called = {n: self.fresh(n, ending, names[0][0]) for n in sorted(own)} | {RESULT: result}
        symbols = called | {f"d{n}": Gradient(f"d{s.name}") for n, s in called.items()}
        symbols |= {text: self.fresh(ARRAY, "", names[0][0]) for text in _arrays(derived.forward)}
        self.numbers += [(symbols[n], f" is {_shown(a)}.") for n, a in _arrays(derived.forward).items()]
        shown = tuple(
            [Shown(symbols[x.name], expression(x.expr, symbols), (), letter, gates) for x in lines]
            for lines in (derived.forward, derived.backward)
        )
        _prove(each, derived, shown, {s.name: n for n, s in symbols.items()})
        return shown[0], shown[1]


def _derived(each: Equation) -> Any:
    """Return the lines at some sizes that there are."""
    for size in ((n, m) for n in (12, 8, 10, 14, 7, 9, 60, 1) for m in (n, 2 * n, 3 * n)):
        try:
            return each.derived(*size)
        except ValueError:
            continue
    rows, columns = next(((n, m) for n in range(1, 129) for m in (n, 1) if _fits(each, n, m)), (0, 0))
    return each.derived(rows, columns)


def _fits(each: Equation, rows: int, columns: int) -> bool:
    try:
        each.derived(rows, columns)
    except ValueError:
        return False
    return True


@cache
def matrix_function(name: str) -> Any:
    """Return the function of an expression that a function of matrices is."""
    never = {"_should_evalf": classmethod(lambda cls, a: -1), "called": name}
    return type(f"map_{name}", (MapBase,), never)


def expression(node: ast.expr, symbols: Mapping[str, Expr]) -> Expr:
    """Return an expression of a map as the page's printers take it."""

    def called(name: str, *nodes: ast.expr) -> Expr:
        return matrix_function(name)(*(expression(n, symbols) for n in nodes))

    match node:
        case ast.Constant(value=int() | float() as value):
            return Integer(int(value)) if value == int(value) else Float(value)
        case ast.Name(id=name):
            return symbols.get(name) or Timeless(name)
        case ast.Attribute(value=inner):
            return called("turned", inner)
        case ast.UnaryOp(operand=inner):
            return Mul(Integer(-1), expression(inner, symbols), evaluate=False)
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
            a, b = expression(left, symbols), expression(right, symbols)
            if isinstance(op, ast.Sub):
                b = Mul(Integer(-1), *Mul.make_args(b), evaluate=False)
            return Add(
                *Add.make_args(a), *(Add.make_args(b) if isinstance(op, ast.Add) else (b,)), evaluate=False
            )
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return called("times", left, right)
        case ast.BinOp(left=left, op=op, right=right):
            numbers = [isinstance(n, ast.Constant) for n in (left, right)]
            if isinstance(op, ast.Pow):
                return called("raised", left, right)
            if any(numbers):
                a, b = expression(left, symbols), expression(right, symbols)
                if isinstance(op, ast.Mult):
                    return Mul(*((b, a) if numbers[1] else (a, b)), evaluate=False)
                if numbers[1]:
                    return Mul(a, Pow(b, -1, evaluate=False), evaluate=False)
            return called("entrywise" if isinstance(op, ast.Mult) else "over", left, right)
        case ast.Call(func=ast.Name(id=name)) if name == ARRAY:
            return symbols[ast.unparse(node)]
        case ast.Call(func=ast.Name(id=name), args=args):
            return called(name, *args)
    raise AssertionError(ast.dump(node))


_RUN: dict[str, Any] = {
    "times": operator.matmul,
    "turned": lambda a: a.T,
    "entrywise": operator.mul,
    "over": operator.truediv,
    "raised": operator.pow,
}


def value(e: Expr, names: Mapping[str, Any], functions: Mapping[str, Any]) -> Any:
    """Return what an expression of matrices is, as it stands."""
    if e.is_Symbol:
        return names[e.name]
    if e.is_Number:
        return int(e) if e.is_Integer else float(e)
    arguments = [value(a, names, functions) for a in e.args]
    if e.is_Add or e.is_Mul:
        return reduce(operator.add if e.is_Add else operator.mul, arguments)
    if e.is_Pow:
        return arguments[0] ** float(arguments[1])
    called = e.called
    return (_RUN.get(called) or functions[called])(*arguments)


@np.errstate(all="ignore")
def _prove(each: Equation, derived: Any, shown: Iterable[Iterable[Shown]], own: Mapping[str, str]) -> None:
    """Run lines as they are printed, and compare them with the map, which the complex step has seen."""
    rows, columns = derived.sizes
    rng = np.random.default_rng(0)
    raw: Params = {n: rng.normal(size=shape) for n, shape in derived.shapes.items()}
    d = rng.normal(size=(rows, columns))
    functions = namespace((rows, columns), np.dtype(float))
    page = {name: {**raw, f"d{RESULT}": d}[n] for name, n in own.items() if n in raw or n == f"d{RESULT}"}
    arrays = _arrays(derived.forward)
    page |= {IDENTITY: np.eye(rows, columns)} | {name: arrays[n] for name, n in own.items() if n in arrays}
    for line in (x for lines in shown for x in lines):
        page[line.left.name] = value(line.right, page, functions)
    wanted = {RESULT: each.forward(raw, rows, columns)}
    wanted |= {f"d{n}": a for n, a in each.pullback(raw, d).items()}
    for name, n in own.items():
        if (
            n in wanted
            and name in page
            and not np.allclose(page[name], wanted[n], 1e-12, 1e-12, equal_nan=True)
        ):
            raise ProofError(f"the map {each.name}: {name}, as it is printed, is not what is run")


def _arrays(lines: Iterable[MapLine]) -> dict[str, Any]:
    """Return the arrays of numbers that stand in lines, by how they are written."""
    calls = (n for x in lines for n in ast.walk(x.expr) if isinstance(n, ast.Call))
    own = [n for n in calls if getattr(n.func, "id", "") == ARRAY]
    return {ast.unparse(n): np.asarray(ast.literal_eval(n.args[0]), float) for n in own}


def _shown(array: Any) -> str:
    """Return an array's numbers, or its sizes where these are many."""
    return f"{array.tolist()}" if array.size <= 16 else f"an array of numbers {array.shape}"
