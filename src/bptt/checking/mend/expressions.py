"""Small edits of one expression, each as its author could have written it."""

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

from bptt.checking.mend.edit import Text
from bptt.checking.mend.scope import Part, Scope, Style, array, spread

Form: TypeAlias = tuple[str, str, float]

INSTEAD = "`{e}` stands where `{new}` belongs"
LEFT, RIGHT = "the term `{a}` does not belong here", "the term `{b}` does not belong here"
SIGN, OPERATOR = "the sign of `{e}` is wrong", "`{e}` has the wrong operator"
SUM, SIZE = "`{e}` must be summed", "the factor {size} is missing"

# What may stand in an expression's place: its text, what is wrong then, the cost. `e` is the expression,
# `a` and `b` are its operands or arguments, `A` and `B` these transposed, `f` is what it calls.
ANY: list[Form] = [
    ("-{e}", SIGN, 1.0),
    *((f"{{e}}.sum({axis})", SUM, 1.2) for axis in ("0", "1", "0, keepdims=True", "1, keepdims=True", "")),
    *((f"{size} * {{e}}", SIZE.format(size=size), 1.8) for size in ("2", "0.5")),
]
OPERATORS: dict[type[ast.operator], list[Form]] = {
    ast.Add: [
        ("{a}", RIGHT, 1.0),
        ("{b}", LEFT, 1.0),
        ("{a} - {b}", "the sign of `{b}` is wrong", 0.5),
        ("{a} * {b}", OPERATOR, 1.2),
    ],
    ast.Sub: [
        ("{a}", RIGHT, 1.0),
        ("-{b}", LEFT, 1.0),
        ("{b}", LEFT, 1.1),
        ("{a} + {b}", "the sign of `{b}` is wrong", 0.5),
        ("{b} - {a}", SIGN, 0.8),
        ("{a} * {b}", OPERATOR, 1.2),
    ],
    ast.Mult: [
        ("{a}", RIGHT.replace("term", "factor"), 1.0),
        ("{b}", LEFT.replace("term", "factor"), 1.0),
        *((f"{{a}} {sign} {{b}}", OPERATOR, 1.2) for sign in "/+-"),
    ],
    ast.Div: [("{a}", INSTEAD, 1.0), ("{a} * {b}", OPERATOR, 1.2)],
    ast.MatMult: [("{a}", INSTEAD, 1.0), ("{b}", INSTEAD, 1.0), ("{a} * {b}", OPERATOR, 1.0)],
    ast.Pow: [("{a}", "the power in `{e}` does not belong here", 1.0), ("{a} * {b}", OPERATOR, 1.2)],
}
PRODUCT = [("a", "b", 0.5), ("a", "B", 0.8), ("A", "b", 0.8), ("A", "B", 1.1)]
PRODUCT += [(y.swapcase(), x.swapcase(), cost + 0.3) for x, y, cost in reversed(PRODUCT)]
PRODUCTS = ("dot", "matmul", "mm", "outer", "multiply")
OTHER = {"sum": "mean", "mean": "sum", "vstack": "hstack", "hstack": "vstack"}


@dataclass(frozen=True, slots=True)
class Option:
    """What may stand in the place of one expression.

    The texts say the same with ever more parentheses: the first that has the right value is meant.
    """

    texts: tuple[str, ...]
    reason: str
    cost: float


def holes(value: ast.expr) -> Iterator[tuple[ast.expr, ast.AST | None, bool]]:
    """Yield what may be replaced in a value, what it stands in, whether its names have values there alone."""
    waiting: list[tuple[ast.AST, ast.AST | None, bool]] = [(value, None, False)]
    while waiting:
        node, parent, bound = waiting.pop()
        if isinstance(node, ast.Lambda | ast.JoinedStr):
            continue
        loads = isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        fixed = isinstance(parent, ast.Call) and node is parent.func
        fixed |= isinstance(node, ast.Slice | ast.Starred)
        if isinstance(node, ast.expr) and loads and not fixed:
            yield node, parent, bound
        inside = bound or isinstance(node, ast.ListComp | ast.GeneratorExp | ast.DictComp | ast.SetComp)
        waiting += [(child, node, inside) for child in reversed(list(ast.iter_child_nodes(node)))]


def options(node: ast.expr, parent: ast.AST | None, text: Text, scope: Scope) -> Iterator[Option]:
    """Yield what may stand in the place of an expression, of which `holes` yields the node and its parent."""
    now = text.of(node)
    if now in ("np", "numpy", "torch"):
        return
    in_index = isinstance(parent, ast.Subscript) and node is parent.slice
    forms: list[Form] = []
    names = {"e": now}
    if isinstance(node, ast.Constant):
        if type(node.value) in (int, float):
            cost = 1.0 if isinstance(parent, ast.Subscript | ast.Slice | ast.keyword) else 1.8
            names["e"] = repr(node.value)
            forms = [(f"{node.value + by}", INSTEAD, cost) for by in (1, -1)]  # type: ignore[operator]
            forms += [(name, INSTEAD, 2.0) for name in scope.integers if isinstance(node.value, int)]
    elif isinstance(node, ast.Tuple | ast.List):
        forms = list(_orders(node, now, text))
    else:
        if not in_index and getattr(parent, "attr", "") != "T":
            forms += _shapes(node, now, scope)
        if isinstance(node, ast.Name) and (in_index or now in scope.integers):
            others = (*_shifted(now), *scope.integers)
            forms += [(other, INSTEAD, 1.5) for other in others if other != now]
        if isinstance(node, ast.Subscript):
            forms += _items(node, text, scope)
        elif isinstance(node, ast.BinOp):
            names |= {"a": text.of(node.left), "b": text.of(node.right)}
            forms += OPERATORS.get(type(node.op), [])
            if isinstance(node.op, ast.Mult | ast.MatMult):
                forms += _products("@")
        elif isinstance(node, ast.Call):
            names |= {"f": text.of(node.func)} | dict(zip("ab", map(text.of, node.args), strict=False))
            forms += _calls(node, now, names, scope)
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            names |= {"a": text.of(node.left), "b": text.of(node.comparators[0])}
            forms += [(f"{{a}} {sign} {{b}}", OPERATOR, 1.0) for sign in ("<", "<=", ">", ">=", "==")]
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            names["a"] = text.of(node.operand)
            forms.append(("{a}", SIGN, 1.0))
    for form, reason, cost in forms:
        yield made(form, reason, cost, names, scope.style)


def instead(node: ast.expr, now: str, scope: Scope) -> Iterator[Part]:
    """Yield what else is in scope, and factors made of it, to stand in an expression's place."""
    if isinstance(node, ast.Constant) or now in scope.integers:
        return
    simple = isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
    for part in scope.arrays:
        yield replace(part, cost=part.cost + (0 if simple else 2))
    for part in spread(scope.factors, getattr(array(scope.value(now)), "shape", None)):
        near = simple or isinstance(node, ast.Call) or part.text.startswith("(1 - ")
        yield replace(part, cost=part.cost + (0 if near else 2))


def joining(now: str, text: str, sign: str, cost: float, scope: Scope) -> Option:
    """Return another text, or it as a further factor or term, as what may stand in an expression's place."""
    names = {"e": now, "a": text}
    if not sign:
        return made("{a}", INSTEAD, cost, names, scope.style)
    word = {"*": "factor `", "+": "term `", "-": "term `-"}[sign]
    return made(f"{{e}} {sign} {{a}}", f"the {word}{{a}}` is missing", cost, names, scope.style)


def made(form: str, reason: str, cost: float, names: Mapping[str, str], style: Style) -> Option:
    """Return a form with its names filled in, with no more parentheses than are needed at first."""
    bare = {name: _bare(said) for name, said in names.items()}
    bare |= {name.upper(): _turned(said) for name, said in bare.items() if name in "ab"}
    loose = [name for name, said in bare.items() if f"{{{name}}}" in form and not _is_atom(said)]
    texts = []
    for chosen in itertools.product((False, True), repeat=len(loose)):
        closed = {name: f"({bare[name]})" for name, is_chosen in zip(loose, chosen, strict=True) if is_chosen}
        texts.append(style(form.format(**(bare | closed))))
    lost = max(len(bare.get("e", "")) - len(texts[0]), 0)  # the longer, the less likely it is too much
    return Option(
        tuple(t for said in texts for t in (said, f"({said})")),
        reason.format(**bare, new=texts[0]),
        cost + lost / 40,
    )


@lru_cache(maxsize=20000)
def _parsed(text: str) -> ast.expr | None:
    try:
        return ast.parse(f"({text}\n)", mode="eval").body
    except SyntaxError:
        return None


def _is_atom(text: str) -> bool:
    plain = ast.Name | ast.Attribute | ast.Subscript | ast.Call | ast.Constant
    return isinstance(_parsed(text), plain)


def _bare(text: str) -> str:
    inner = text[1:-1]
    depth = itertools.accumulate((c == "(") - (c == ")") for c in inner)
    closed = text[:1] + text[-1:] == "()" and inner.strip() and min(depth) >= 0
    return inner if closed and _parsed(inner) is not None else text


def _turned(text: str) -> str:
    if isinstance(_parsed(text), ast.Constant):
        return text
    if text.endswith(".T"):
        return text[:-2]
    return f"{text}.T" if _is_atom(text) else f"({text}).T"


def _shifted(index: str) -> list[str]:
    """Return the indices one before and one after."""
    bare = re.sub(r" ?[-+] ?1$", "", index)
    if bare == index:
        return [f"{index} - 1", f"{index} + 1"]
    back = "-" in index[len(bare) :]
    return [bare, f"{bare} - 2" if back else f"{bare} + 2", f"{bare} + 1" if back else f"{bare} - 1"]


def _orders(node: ast.Tuple | ast.List, now: str, text: Text) -> Iterator[Form]:
    """Yield the parts of a tuple or list with two of them swapped."""
    start = text.span(node)[0]
    for one, other in itertools.combinations(node.elts, 2):
        a, b = text.of(one), text.of(other)
        (low, high), (begin, end) = text.span(one), text.span(other)
        new = now[: low - start] + b + now[high - start : begin - start] + a + now[end - start :]
        yield _plain(new), f"{_plain(f'`{a}` and `{b}`')} stand in each other's place", 1.0


def _shapes(node: ast.expr, now: str, scope: Scope) -> Iterator[Form]:
    """Yield a transpose, a sum over an axis, a sign, a factor."""
    value = scope.value(now) if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) else None
    if now.endswith(".T"):
        yield _plain(now[:-2]), "`{e}` is transposed and must not be", 0.5
    elif getattr(value, "ndim", 2) == 2:
        yield _plain(_turned(now)), "`{e}` must be transposed", 0.5
    yield from ANY
    for size in scope.integers:
        yield f"{{e}} / {size}", f"`{{e}}` must be divided by `{size}`", 2.0
        yield f"{{e}} * {size}", SIZE.format(size=f"`{size}`"), 2.2


def _items(node: ast.Subscript, text: Text, scope: Scope) -> Iterator[Form]:
    """Yield other indices, other bounds of a slice, an index that must not wrap at the first step."""
    base, index = text.of(node.value), node.slice
    if isinstance(node.value, ast.Subscript):
        turned = f"{text.of(node.value.value)}[{text.of(index)}][{text.of(node.value.slice)}]"
        yield _plain(turned), "`{e}` must be transposed", 0.5
    yield _plain(base), "`{e}` must be the whole `" + _plain(base) + "`", 2.0
    yield _plain(f"{base}.sum(0)"), "`{e}` must be a sum", 1.1
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    for i, part in enumerate(parts):
        news: list[tuple[str, float]] = []
        if isinstance(part, ast.Slice):
            low, high = (text.of(b) if b else "" for b in (part.lower, part.upper))
            news = [(f"{high}:{low}", 1.2), (":", 1.8)]
            for s in scope.integers:
                bounds = (f":{s}", f"{s}:", f"-{s}:", f":-{s}", f"{low}:{s}", f"{s}:{high}")
                news += [(new, 1.8) for new in bounds]
                thirds = (f"{s}:2 * {s}", f"2 * {s}:3 * {s}", f"2 * {s}:", f"3 * {s}:")
                news += [(scope.style(new), 2.2) for new in thirds]
        elif not isinstance(part, ast.Constant):
            news = [(new, 1.0) for new in _shifted(text.of(part))]
        for new, cost in news:
            said = ", ".join(new if j == i else text.of(other) for j, other in enumerate(parts))
            yield _plain(f"{base}[{said}]"), INSTEAD, cost
        if match := re.fullmatch(r"(\w+) ?- ?1", text.of(part)):
            wraps = "at the first step `{e}` wraps to the last one"
            yield f"({{e}} if {match[1]} else np.zeros_like({{e}}))", wraps, 0.8
    for other in scope.indices:
        if other != text.of(index):
            yield _plain(f"{base}[{other}]"), INSTEAD, 1.4


def _products(call: str) -> Iterator[Form]:
    """Yield the products of two operands in either order, transposed or not."""
    for x, y, cost in PRODUCT:
        form = f"{{{x}}} @ {{{y}}}" if call == "@" else f"{call}({{{x}}}, {{{y}}})"
        yield (f"{{{x}}}.dot({{{y}}})" if call == "." else form), INSTEAD, cost
    yield "np.outer({a}, {b})", INSTEAD, 1.1
    yield "np.outer({b}, {a})", INSTEAD, 1.4
    yield "{a} * {b}", "`{e}` must be taken element by element", 1.0


def _calls(node: ast.Call, now: str, names: dict[str, str], scope: Scope) -> Iterator[Form]:
    name = names["f"]
    base, _, short = name.rpartition(".")
    method = bool(base) and base not in ("np", "numpy", "torch", "self")
    said = [*([base] if method else []), *(names[n] for n in "ab" if n in names)]
    for part in said:
        yield _plain(part), f"`{_plain(part)}` itself belongs here, not `{{e}}`", 1.4
    if len(said) == 2 and short in PRODUCTS:
        names |= {"a": said[0], "b": said[1]}
        yield from _products("." if method else name if short in PRODUCTS[:3] else "@")
    if short in OTHER:
        yield _plain(now.replace(f"{short}(", f"{OTHER[short]}(", 1)), INSTEAD, 1.0
    if short in ("sum", "mean"):
        comma = ", " if node.args else ""
        axes = ("axis=0", "axis=1", "axis=0, keepdims=True", "axis=1, keepdims=True")
        for more in ("keepdims=True",) if "axis" in now else axes:
            yield _plain(f"{now[:-1]}{comma}{more})"), f"`{{e}}` must sum with `{more}`", 1.0
    if len(node.args) > 1 and not node.keywords:
        rest = "".join(f", {ast.unparse(a)}" for a in node.args[2:])
        yield f"{{f}}({{b}}, {{a}}{_plain(rest)})", INSTEAD, 1.2
    if len(node.args) == 1 and not method:
        for other in scope.functions:
            yield f"{other}({{a}})", INSTEAD, 1.3
            yield f"{{f}}({other}({{a}}))", INSTEAD, 1.6


def _plain(text: str) -> str:
    """Return a text that stands for itself in a form."""
    return text.replace("{", "{{").replace("}", "}}")
