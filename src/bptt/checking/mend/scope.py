"""What an edit may write at a statement: the names in scope there, their items, and factors made of them."""

import ast
import copy
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np

from bptt.checking.mend.edit import Text

Names: TypeAlias = Mapping[str, Any]

LARGEST = 5000  # arrays with more elements are not looked at


def array(value: Any) -> np.ndarray | None:
    """Return a value as an array of floats, or None where it is none (or has nothing in it)."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "iub" and value.ndim:  # labels
            value = value.astype(float)
        return value if value.dtype.kind == "f" and 0 < value.size <= LARGEST else None
    if isinstance(value, float):
        return np.asarray(value)
    if type(value).__module__ == "torch" and hasattr(value, "detach"):
        return array(value.detach().numpy())
    return None


@dataclass(frozen=True, slots=True)
class Part:
    """What may stand in an expression: its text, its value, and what it costs."""

    text: str
    value: np.ndarray
    cost: float
    of: bytes = b""  # the array that it is a factor made of


def spread(parts: Iterable[Part], shape: tuple[int, ...] | None) -> list[Part]:
    """Return the parts that have a shape, and those that NumPy would broadcast to it."""
    found = []
    for part in parts:
        if part.value.shape == shape:
            found.append(part)
        elif shape and part.value.ndim <= len(shape):
            sizes = zip(part.value.shape[::-1], shape[::-1], strict=False)
            if all(a in (1, b) for a, b in sizes):
                found.append(replace(part, value=np.broadcast_to(part.value, shape), cost=part.cost + 0.5))
    return found


# What activations' derivatives are made of, simple first; `{}` stands for an array in scope.
FACTORS: list[tuple[str, float, Callable[[np.ndarray], np.ndarray]]] = [
    ("{} * (1 - {})", 1.0, lambda v: v * (1 - v)),
    ("(1 - {} ** 2)", 1.0, lambda v: 1 - v**2),
    ("(1 - {})", 1.2, lambda v: 1 - v),
    ("(1 - np.tanh({}) ** 2)", 1.4, lambda v: 1 - np.tanh(v) ** 2),
    ("np.tanh({})", 1.4, np.tanh),
    ("({} > 0)", 1.4, lambda v: (v > 0) * 1.0),
    ("{} ** 2", 0.8, np.square),
    ("np.exp({})", 1.8, np.exp),
]


class Scope:
    """The names in scope at a statement: what its author would write there.

    Arrays stand first that the function itself names, each with what it costs; factors are made of them;
    indices are what the function takes items at; functions are the file's, and take one array. `pure` says
    that calls which stand in the statement change nothing that they are given.
    """

    def __init__(self, text: Text, function: ast.AST, names: Names, *, pure: bool = True) -> None:
        self.names, self.pure = names, pure
        self.style = Style(text.of(function) if isinstance(function, ast.stmt) else text.text)
        own = text.of(function) if isinstance(function, ast.stmt) else text.text
        self.dots = "@" not in own and "dot(" in own
        visible = _visible(text.tree, function)
        plain = {n: v for n, v in names.items() if n in visible and not isinstance(v, ModuleType)}
        said = list(dict.fromkeys(_mentions(function)))
        self._lengths: dict[str, set[int]] = {}
        for base, index in _indices(function):
            shape = getattr(self.value(base), "shape", ())
            self._lengths.setdefault(index, set()).update(shape[1:2] if "," in index else shape[:1])
        self.indices = list(self._lengths)
        named = [t for t in dict.fromkeys([*said, *plain]) if t.replace(".", "").isidentifier()]
        named += [t for t in dict.fromkeys(_counts(function)) if t not in named]
        self.integers = [t for t in named if type(self.value(t)) in (int, np.int64)][:20]
        slices = (n for n in ast.walk(function) if isinstance(n, ast.Slice))
        bounds = [ast.unparse(bound) for n in slices for bound in (n.lower, n.upper) if bound]
        self.sizes = {v: t for t in [*self.integers, *bounds][::-1] if isinstance(v := self.value(t), int)}
        self.arrays = self._arrays(said, plain)
        self.functions = list(self._functions(text.tree, function))
        with np.errstate(all="ignore"):
            self.factors = list(self._factors())

    def product(self, left: str, right: str) -> str:
        """Return a matrix product, as the author writes them."""
        return f"np.dot({left}, {right})" if self.dots else f"{left} @ {right}"

    def value(self, text: str) -> Any:
        """Return what a text stands for, or None."""
        names = self.names if "(" not in text or self.pure else copied(self.names)
        try:
            with np.errstate(all="ignore"):
                return eval(text, dict(names))
        except Exception:
            return None

    def _arrays(self, said: list[str], plain: dict[str, Any]) -> list[Part]:
        held = {text: (self.value(text), 1.0) for text in said}
        for text, value in plain.items():
            held.setdefault(text, (value, 1.2))
            if hasattr(value, "__dict__") and not isinstance(value, type | FunctionType):
                for name, inner in vars(value).items():
                    held.setdefault(f"{text}.{name}", (inner, 1.5))
        for text, (value, _) in list(held.items()):
            for item, inner in self._items(value):
                held.setdefault(f"{text}[{item}]", (inner, 2.0))
                for deep, last in _keyed(inner):
                    held.setdefault(f"{text}[{item}][{deep}]", (last, 2.5))
        found = [Part(text, a, cost) for text, (v, cost) in held.items() if (a := array(v)) is not None]
        kept: dict[Any, Part] = {}
        for part in sorted(found, key=lambda p: (p.cost, len(p.text))):
            zero = not part.value.any()  # zeros are not alike in other steps
            kept.setdefault(part.text if zero else (part.value.shape, part.value.tobytes()), part)
        return list(kept.values())

    def _items(self, value: Any) -> Iterator[tuple[str, Any]]:
        """Yield items of a list, a dict or an array of steps, at the indices that the function uses."""
        yield from _keyed(value)
        for index, lengths in self._lengths.items():
            steps = isinstance(value, np.ndarray) and value.shape["," in index :][:1]
            if isinstance(value, list | dict) or (steps and steps[0] in lengths):
                try:
                    yield index, eval(f"it_[{index}]", dict(self.names) | {"it_": value})
                except Exception:
                    continue

    def _functions(self, tree: ast.AST, function: ast.AST) -> Iterator[str]:
        """Yield the file's functions of one argument that store nothing: they may be called here."""
        methods = {id(f) for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for f in c.body}
        every = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)]
        stores = {f.name for f in every if _stores(f, set())}
        while more := {f.name for f in every if _stores(f, stores)} - stores:
            stores |= more
        for f in every:
            name = f"self.{f.name}" if id(f) in methods else f.name
            own = [a.arg for a in f.args.args[: len(f.args.args) - len(f.args.defaults)] if a.arg != "self"]
            is_other = f.name not in stores | {getattr(function, "name", None)}
            if is_other and len(own) == 1 and callable(self.value(name)):
                yield name

    def _factors(self) -> Iterator[Part]:
        library = next((n for n, v in self.names.items() if v is np), "np")
        for form, cost, f in FACTORS:
            for part in self.arrays[:100]:
                if "(1 - {})" not in form or part.value.any():
                    text, value = form.replace("np.", library + ".").replace("{}", part.text), f(part.value)
                    if value.size == 1 or np.ptp(value):  # a factor of nothing but ones does nothing
                        yield Part(self.style(text), value, cost + part.cost / 2, part.value.tobytes())
        for name in self.functions[:12]:
            for part in [p for p in self.arrays[:40] if p.cost < 2]:
                result = array(self.value(f"{name}({part.text} + 0)"))  # it may change what it is given
                if result is None or result.shape != part.value.shape:
                    break
                yield Part(f"{name}({part.text})", result, 1.2 + part.cost / 2, part.value.tobytes())


class Style:
    """How the author of a text writes operators: what is suggested is written so, too.

    Examples
    --------
    >>> Style("a = b*c + d**2")("x * (1 - y ** 2)")
    'x*(1 - y**2)'
    """

    def __init__(self, text: str) -> None:
        signs = ((" ** ", r"\*\*"), (" * ", r"(?<!\*)\*(?!\*)"), (" @ ", "@"))
        self._tight = [s for s, p in signs if len(re.findall(rf"[\w\])]{p}[\w(]", text)) > text.count(s)]

    def __call__(self, text: str) -> str:
        """Return the text with the author's spaces."""
        for sign in self._tight:
            text = text.replace(sign, sign.strip())
        return text


def _visible(tree: ast.AST, function: ast.AST) -> set[str]:
    """Return the names that a function may read: its own, those around it, the file's own top level's."""
    line = getattr(function, "lineno", 0)
    found: set[str] = set()

    def look(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef | ast.Lambda):
                if child.lineno <= line <= (child.end_lineno or line):
                    look(child)
            elif isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
                found.add(child.id)
            else:
                found.update([child.arg] if isinstance(child, ast.arg) else [])
                look(child)

    look(tree)
    return found


def _mentions(function: ast.AST) -> Iterator[str]:
    """Yield the texts of names, attributes and items that a function reads."""
    calls = {id(n.func) for n in ast.walk(function) if isinstance(n, ast.Call)}
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and id(node) not in calls:
            text = ast.unparse(node)
            if len(text) < 50 and not text.endswith((".T", ".shape")):
                yield text


def _counts(function: ast.AST) -> Iterator[str]:
    """Yield the texts of sizes that a function asks for: ``len(xs)``, ``x.shape[0]``."""
    for node in ast.walk(function):
        match node:
            case ast.Call(ast.Name("len"), [ast.Name() | ast.Attribute()]):
                yield ast.unparse(node)
            case ast.Subscript(ast.Attribute(_, "shape"), ast.Constant(int())):
                yield ast.unparse(node)


def _indices(function: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what a function takes items of, and at which indices: t, t - 1, (:, t), -1."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript):
            text = ast.unparse(node.slice)
            text = text[1:-1] if isinstance(node.slice, ast.Tuple) and text[:1] == "(" else text
            near = (text, f"{text} - 1", f"{text} + 1") if isinstance(node.slice, ast.Name) else (text,)
            yield from ((ast.unparse(node.value), index) for index in near if len(text) < 16)


def _keyed(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, tuple):
        return [(str(i), v) for i, v in enumerate(value[:20])]
    keyed = list(value.items())[:30] if isinstance(value, dict) else []
    return [(repr(k), v) for k, v in keyed if isinstance(k, str)]


def _stores(function: ast.FunctionDef, others: set[str]) -> bool:
    """Say whether a function loops, changes anything but its own names, or calls another that does."""

    def does(node: ast.AST) -> bool:
        if isinstance(node, ast.Call):
            return getattr(node.func, "attr", getattr(node.func, "id", "")) in others
        kept = isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store)
        return kept or isinstance(node, ast.For | ast.While)

    return any(map(does, ast.walk(function)))


def copied(names: Names) -> dict[str, Any]:
    """Return names with copies of what code may change."""
    memo: dict[int, Any] = {}
    made = {}
    for name, value in names.items():
        try:
            made[name] = value if name.startswith("__") or callable(value) else copy.deepcopy(value, memo)
        except Exception:
            made[name] = value
    return made
