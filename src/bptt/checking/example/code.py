"""A file's functions and classes, with their syntax."""

import ast
import contextlib
import inspect
import re
import types
from collections.abc import Iterator
from typing import Any

from bptt.checking.example.roles import size_of
from bptt.checking.file import bound

LOSS = re.compile(r"loss|cost|error|cross_?entropy|nll|mse|objective", re.IGNORECASE)
NEVER = re.compile(
    r"check|clip|numer|zero|reset|apply|norm|test|^_*init|plot|^get_|^set_|sampl|sigmoid|tanh|softmax|relu|"
    r"_?deriv|print|load|save|generat|one_?hot|shuffle|summary|accuracy|evaluat|preprocess|^__(?!call)|visual|"
    r"encode_|decode|text|optimi[sz]er|adagrad|adam|rmsprop|momentum",
    re.IGNORECASE,
)
"""What the names of functions have that neither show a forward nor a backward."""

_LATER = re.compile(r"^__|train|fit|load|test|predict|sampl", re.IGNORECASE)
"""What the names of methods have that make no object ready."""


class Code:
    """A file's functions, with their syntax."""

    def __init__(self, tree: ast.Module, names: dict[str, Any]) -> None:
        self.tree, self.names = tree, names
        self.builtins = {*names.get("__builtins__", ())}
        path = names.get("__file__", "<file>")
        self.nodes = {
            (file, min([node.lineno, *(d.lineno for d in node.decorator_list)])): node
            for file, one in {**names.get("__files__", {}), path: tree}.items()
            for node in ast.walk(one) if isinstance(node, ast.FunctionDef)
        }  # fmt: skip
        self.own = {node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        every = {n: f for n, f in names.items() if isinstance(f, types.FunctionType)}
        every = {n: f for n, f in every.items() if (node := self.node(f)) and not _is_method(node)}
        self.functions = {n: f for n, f in every.items() if self.is_own(f)}
        here = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        self.script = {n for node in tree.body for n in bound(node)}  # whether that part is run or not
        self.classes = {n: c for n, c in names.items() if isinstance(c, type) and n in here}
        files = names.get("__files__", {})
        near = {n: c for n, c in names.items() if isinstance(c, type) and c.__module__ in files}
        # with what it imports from beside it
        self.callable = every
        self.made = {**near, **self.classes}

    def node(self, function: Any) -> ast.FunctionDef | None:
        """Return the syntax of a function of this file, or of one beside it that it imports."""
        code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
        return self.nodes.get((code.co_filename, code.co_firstlineno)) if code else None

    def is_own(self, function: Any) -> bool:
        """Return whether a function stands in the file itself."""
        return bool((node := self.node(function)) and node in self.own)

    def of(self, owner: type | None) -> dict[str, Any]:
        """Return a class's methods, its bases' among them, in the text's order; or all functions."""
        if owner is None:
            return self.callable
        found = [(node.lineno, n, f) for n, f in inspect.getmembers(owner) if (node := self.node(f))]
        return {n: f for _, n, f in sorted(found, key=lambda entry: entry[0])}

    def reached(self, function: Any, owner: type | None) -> list[ast.FunctionDef]:
        """Return the syntax of a function and of all functions of the file that it may call."""
        found, waiting = [], [self.node(function)]
        every = {n: f for c in (*self.made.values(), *[owner] * bool(owner)) for n, f in self.of(c).items()}
        while waiting:
            node = waiting.pop()
            if node is None or node in found:
                continue
            found.append(node)
            for call in ast.walk(node):
                match call:
                    case ast.Call(ast.Name(name)) if name in self.made:
                        waiting += map(self.node, self.of(self.made[name]).values())
                    case ast.Call(ast.Name(name)):
                        waiting.append(self.node(self.callable.get(name)))
                    case ast.Call(ast.Attribute(_, name)):
                        waiting.append(self.node(every.get(name)))
        return found

    def attributes(self, owner: type) -> set[str]:
        """Return the names of what objects of a class have: its methods, and what these set."""
        nodes = [node for f in self.of(owner).values() if (node := self.node(f))]
        parts = (part for node in nodes for part in ast.walk(node) if isinstance(part, ast.Attribute))
        own = {*dir(owner), *getattr(owner, "__annotations__", ())}
        return own | {part.attr for part in parts if isinstance(part.ctx, ast.Store)}

    def lacks(self, made: Any) -> int:
        """Return how many attributes an object lacks that its constructor sets."""
        node = self.node(type(made).__init__)
        return sum(name[:2] != "__" and not hasattr(made, name) for name in _sets(node)) if node else 0

    def unready(self, made: Any, calls: list[str]) -> list[str]:
        """Return the methods that must be called before others, for what these read and an object lacks."""
        owner = type(made)
        every = self.of(owner)
        methods = {self.node(f) for f in every.values()}
        inside = [node for name in calls for node in self.reached(every[name], owner) if node in methods]
        reads, stores, asked = set[str](), set[str](), set[str]()
        for part in (part for node in inside for part in ast.walk(node)):
            match part:
                case ast.AugAssign(ast.Attribute(ast.Name("self"), name)):
                    reads.add(name)
                case ast.Attribute(ast.Name("self"), name, ast.Load()):
                    reads.add(name)
                case ast.If(_, [ast.Raise()]) | ast.If(ast.Compare(_, [ast.In() | ast.NotIn()])):
                    pass
                case ast.If(test) | ast.IfExp(test) | ast.While(test):
                    asked |= {n.attr for n in ast.walk(test) if isinstance(n, ast.Attribute)}
        for node in inside:
            stores |= _sets(node)
        private = f"_{owner.__name__.lstrip('_')}"
        lacks = {
            name for name in reads - stores - asked
            if _empty(inspect.getattr_static(made, private * (name[:2] == "__" != name[-2:]) + name, None))
        }  # fmt: skip
        found, sets = list[str](), dict[str, set[str]]()
        for name in every:
            nodes = [] if _LATER.search(name) else self.reached(every[name], owner)
            sets[name] = set[str]().union(*([] if {*nodes} & {*inside} else map(_sets, nodes)))
        while sets[best := max(sets, key=lambda n: len(sets[n] & lacks))] & lacks:
            lacks -= sets[best]
            found.append(best)
        return [name for name in every if name in found]

    def read(self, functions: list[Any], owner: type | None) -> set[str]:
        """Return the names that functions, and those that they call, read."""
        nodes = [node for f in functions for node in self.reached(f, owner)]
        return set[str]().union(*map(_free, nodes))

    def loops(self, function: Any, owner: type | None) -> bool:
        """Return whether a function goes through something in a loop."""
        every = (n for node in self.reached(function, owner) for n in ast.walk(node))
        return any(isinstance(n, (ast.For, ast.While)) for n in every)

    def returned(self, function: Any) -> list[str]:
        """Return names for what a function returns, as its text has them."""
        node = self.node(function)
        return _returned(node) if node else []


def _free(node: ast.FunctionDef) -> set[str]:
    """Return the names that a function reads, or sets, of the file's."""
    every, shared = set[str](), set[str]()
    own = {one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg)}
    for part in ast.walk(node):
        match part:
            case ast.Global(names):
                shared |= {*names}
            case ast.Name(name, context):
                every.add(name)
                own |= {name} if isinstance(context, ast.Store) else set()
    return every - own | shared


def _sets(node: ast.AST) -> set[str]:
    """Return the attributes of ``self`` that a function sets, or an entry of, and not only adds to."""
    added = {id(part.target) for part in ast.walk(node) if isinstance(part, ast.AugAssign)}
    parts = (n for n in ast.walk(node) if isinstance(n, ast.Attribute | ast.Subscript) and id(n) not in added)
    stored = (n.value if isinstance(n, ast.Subscript) else n for n in parts if isinstance(n.ctx, ast.Store))
    return {n.attr for n in stored if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "self"}


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and not value)


def _is_method(node: ast.FunctionDef) -> bool:
    return [a.arg for a in node.args.args[:1]] == ["self"]


def is_closure(node: ast.FunctionDef) -> bool:
    """Return whether a function returns one of its own: a result's pullback."""
    return bool({n.name for n in inside(node) if isinstance(n, ast.FunctionDef)} & set(_returned(node)))


def _returned(node: ast.FunctionDef) -> list[str]:
    ends = [n.value for n in inside(node) if isinstance(n, ast.Return) and n.value]
    if not ends:
        return []
    return [_name_of(value) for value in (ends[-1].elts if isinstance(ends[-1], ast.Tuple) else ends[-1:])]


def inside(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what is in a function, save what is in the functions within it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (ast.FunctionDef, ast.Lambda, ast.ClassDef)):
            yield from inside(child)


def _name_of(value: ast.expr) -> str:
    match value:
        case ast.Name(name) | ast.Attribute(_, name):
            return name.strip("_")
        case ast.Subscript(inner):
            return _name_of(inner)
        case ast.Tuple() | ast.Dict() | ast.List():
            return "cache"
    return "out"


def shows(name: str) -> bool:
    """Return whether a function of this name may take part in what is shown."""
    return not NEVER.search(name)


def parameters(function: Any) -> list[inspect.Parameter]:
    """Return a function's parameters that can be given; none if it does not say."""
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "self"]


def keywords(function: Any) -> str:
    """Return the name under which a function takes any keyword; empty where it does not."""
    with contextlib.suppress(TypeError, ValueError):
        found = inspect.signature(function).parameters.values()
        return next((p.name for p in found if p.kind is p.VAR_KEYWORD), "")
    return ""


def makers(code: Code, owner: type | None, instance: str, name: str) -> list[str]:
    """Return calls of the code's own functions that take sizes alone, as ``init_params(3, 5)``."""
    found = []
    for maker, function in (code.functions | (code.of(owner) if owner else {})).items():
        symbols = [size_of(p.name) for p in parameters(function) if p.default is p.empty]
        is_maker = symbols or (re.match(r"(?!__)\w*(?:init|param|weight)", maker) and code.returned(function))
        if is_maker and all(symbols):
            called = maker if maker in code.functions else f"{instance}.{maker}"
            found.append(f"{called}({', '.join(f'«size {s}»' for s in symbols)})")
    return sorted(found, key=lambda t: (name[:4] not in t, -t.count("«")))[:1]
