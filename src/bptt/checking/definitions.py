"""What a file defines, taken without running it: what defines is executed, what runs is left out."""

import __future__

import ast
import importlib
import importlib.abc
import importlib.machinery
import random
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from bptt.checking.filetext import divided
from bptt.checking.guard import LIBRARY, ours
from bptt.checking.subject import SubjectError

if TYPE_CHECKING:
    from bptt.checking.source import Source

ours.add(__file__)

_HARMLESS = """
builtins numpy math cmath collections functools itertools operator typing dataclasses enum logging random
string copy scipy torch jax jaxlib autograd
""".split()  # noqa: SIM905
"""Modules whose functions may be called to find a constant's value."""

_RUNS = """
open print input exec eval compile exit quit breakpoint __import__ help map filter reduce apply_along_axis
fromfunction load loads loadtxt genfromtxt fromfile fromregex memmap open_memmap save savez savez_compressed
savetxt tofile dump download load_state_dict_from_url backward
""".split()  # noqa: SIM905
"""Among them, those that read, write or run."""

_RULES = ["defvjp", "defjvp", "defvjps", "defjvps"]
"""Calls that belong to a definition: a function's own gradient rule."""

_OPERATORS = """
call iter len getitem setitem contains bool float int index array enter exit neg matmul rmatmul add radd sub
rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow lt le gt ge
""".split()  # noqa: SIM905


class Missing:
    """Stands for what could not be imported; says so when it is used, and not before."""

    def __init__(self, *why: Any) -> None:
        self.__dict__["_why"] = why[0]
        self.__dict__["name"] = str(why[0]).partition(" ")[0]

    def __getattr__(self, name: str) -> "Missing":
        if name.startswith("__"):
            raise AttributeError(name)  # somebody looks what kind of thing this is
        return Missing(self._why)

    def __mro_entries__(self, _bases: object) -> tuple[type, ...]:
        return ()  # a class over it keeps those of its methods that need no base


def _used(self: Missing, *_args: Any, **_kwargs: Any) -> NoReturn:
    raise SubjectError(self._why)


for _name in _OPERATORS:
    setattr(Missing, f"__{_name}__", _used)


def define(source: "Source", read: Callable[[Path], "Source"]) -> None:
    """Execute what defines, in an ordinary module with its neighbours at hand; `read` reads those."""
    path = source.path.absolute()
    depth = max((n.level for n in ast.walk(source.tree) if isinstance(n, ast.ImportFrom)), default=0)
    root, package = path.parent, ""
    while root != root.parent and ((root / "__init__.py").is_file() or depth > 0):
        package, root, depth = f"{root.name}.{package}".rstrip("."), root.parent, depth - 1
    module = types.ModuleType(f"checked:{source.path}")
    module.__dict__.update(source.namespace, __file__=str(path), __package__=package)
    source.namespace = module.__dict__
    sys.modules[module.__name__] = module  # dataclasses look their module up
    installed = any(path.is_relative_to(library) for library in LIBRARY)
    neighbours = _Neighbours([] if installed else [str(path.parent), str(root)], read)
    importlib.invalidate_caches()
    state, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (it is the file's, not ours)
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    sys.meta_path.insert(0, neighbours)
    try:
        _Definitions(source).take(source.tree.body)
    finally:
        sys.meta_path.remove(neighbours)
        for name in neighbours.taken:
            sys.modules.pop(name, None)  # the next file has neighbours of its own by these names
        random.setstate(state)
        np.random.set_state(legacy)  # noqa: NPY002
    source.unset = [name for name in dict.fromkeys(source.unset) if name not in source.namespace]


class _Neighbours(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports modules that lie beside the file, their definitions only."""

    def __init__(self, folders: list[str], read: Callable[[Path], "Source"]) -> None:
        self.folders, self.read, self.taken = folders, read, list[str]()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        inside = name.rpartition(".")[0] in self.taken
        folders = self.folders if path is None else list(path) if inside else []
        spec = importlib.machinery.PathFinder.find_spec(name, folders) if folders else None
        if spec is not None:
            self.taken.append(name)
            if isinstance(spec.loader, importlib.machinery.SourceFileLoader):
                spec.loader = self
        return spec

    def exec_module(self, module: types.ModuleType) -> None:
        assert module.__spec__ is not None
        path = Path(str(module.__spec__.origin))
        if not path.read_bytes().strip():
            return  # an empty __init__.py is none the worse
        source = self.read(path)
        module.__dict__.update(source.namespace)
        source.namespace = module.__dict__
        _Definitions(source).take(source.tree.body)


class _Definitions:
    """Executes those statements of a module that define, and keeps account of the others."""

    def __init__(self, source: "Source") -> None:
        self.source, self.names = source, source.namespace
        # annotations are kept as text: they need not exist to define a function
        self.flags = __future__.annotations.compiler_flag
        for node in source.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "__future__":
                for alias in node.names:
                    feature = getattr(__future__, alias.name, None)
                    self.flags |= feature.compiler_flag if feature else 0

    def take(self, statements: Iterable[ast.stmt]) -> None:
        """Execute the statements that define, in order."""
        for node in statements:
            if isinstance(node, ast.If) and self.simple(node.test) and self.attempt(_test(node)) is None:
                taken, left = (node.body, node.orelse) if self.names.pop(_TEST) else (node.orelse, node.body)
                self.take(taken)
                for other in left:
                    self.leave(other)
            elif isinstance(node, ast.Try):
                self.take_try(node)
            elif not self.defines(node):
                self.skip(node)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    self.import_one(node, alias)
            else:
                self.define(node)

    def take_try(self, node: ast.Try) -> None:
        """Follow the first handler where a definition fails, as in ``try: import cupy as np``."""
        for statement in node.body:
            if not self.defines(statement):
                self.skip(statement)
            elif self.attempt(statement) is not None:
                self.take(node.handlers[0].body if node.handlers else [])
                break
        else:
            self.take(node.orelse)
        self.take(node.finalbody)

    def import_one(self, node: ast.Import | ast.ImportFrom, alias: ast.alias) -> None:
        one: Any = ast.copy_location(type(node)(**{**dict(ast.iter_fields(node)), "names": [alias]}), node)
        error = self.attempt(one)
        if error is not None:
            name = alias.asname or alias.name.partition(".")[0]
            what = f"from {node.module} import *" if name == "*" else name  # type: ignore[union-attr]
            self.miss(name, f"{what} could not be imported ({self.source.place(node.lineno)}: {error})")

    def define(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self.with_defaults(node)
        error = self.attempt(node)
        if error is None:
            return
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            decorators, node.decorator_list = node.decorator_list, []
            if decorators and self.attempt(node) is None:
                self.source.notes.append(f"{node.name}: defined without its decorators ({error})")
            else:
                self.miss(
                    node.name, f"{node.name} could not be defined ({self.source.place(node.lineno)}: {error})"
                )
            node.decorator_list = decorators
        else:
            self.skip(node)

    def with_defaults(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Put a stand-in where an argument's default is the name of what is not there."""
        for k, default in enumerate(node.args.defaults):
            if isinstance(default, ast.Name) and not self.simple(default):
                why = f"{default.id} is not there ({self.source.place(node.lineno)})"
                self.names.setdefault("__absent__", {})[default.id] = Missing(why)
                text = f"__absent__[{default.id!r}]"
                node.args.defaults[k] = ast.copy_location(ast.parse(text, mode="eval").body, default)
                ast.fix_missing_locations(node.args.defaults[k])

    def attempt(self, node: ast.stmt) -> str | None:
        """Execute one statement; return what went wrong, None where nothing did."""
        try:
            module = ast.Module([node], [])
            exec(compile(module, str(self.source.path), "exec", self.flags, dont_inherit=True), self.names)
        except (Exception, SystemExit) as error:
            name = "" if isinstance(error, SubjectError) else f"{type(error).__name__}: "
            return name + " ".join(str(error).split())[:200]
        return None

    def miss(self, name: str, why: str) -> None:
        if name != "*":
            self.names[name] = Missing(why)
        self.source.missing[name] = why

    def leave(self, node: ast.stmt) -> list[str]:
        names = list(bound(node))
        self.source.skipped.append(node.lineno)
        self.source.unset += names
        return names

    def skip(self, node: ast.stmt) -> None:
        """Leave out a statement that the file would reach: what it sets is not known any more."""
        names = self.leave(node)
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            names += [_root(target) for target in _targets(node) if isinstance(target, ast.Subscript)]
            for name in names:
                if not isinstance(self.names.get(name), type | types.FunctionType | types.ModuleType):
                    self.source.unset += [name] if name else []
                    self.names.pop(name, None)

    def defines(self, node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom() | ast.Pass():
                return True
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                return True
            case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
                simple = node.value is None or self.simple(node.value)
                return simple and all(self.settable(target) for target in _targets(node))
            case ast.Expr(ast.Constant() | ast.Name() as value):
                return self.simple(value)
            case ast.Expr(ast.Call(ast.Attribute(ast.Attribute(ast.Name("sys"), "path"))) as call):
                return all(self.simple(child) for child in call.args)
            case ast.Expr(ast.Call(ast.Name(name) | ast.Attribute(attr=name)) as call) if name in _RULES:
                return all(self.simple(child) for child in (*call.args, *[k.value for k in call.keywords]))
        return False

    def settable(self, target: ast.expr) -> bool:
        match target:
            case ast.Name():
                return True
            case ast.Tuple(parts) | ast.List(parts):
                return all(self.settable(part) for part in parts)
            case ast.Starred(value):
                return self.settable(value)
            case ast.Attribute(value):
                return self.own(value)
            case ast.Subscript(value, index):
                return self.own(value) and self.simple(index)
        return False

    def own(self, node: ast.expr) -> bool:
        """Whether an object may be changed by definitions: the file's own, no module or part of one."""
        value = self.names.get(_root(node))
        return value is not None and not isinstance(value, types.ModuleType | Missing)

    def simple(self, node: ast.AST, local: frozenset[str] = frozenset()) -> bool:
        """Whether an expression can be evaluated from what is known, without running the file's code."""
        match node:
            case ast.Name(name):
                return name in local or name in self.names or name in self.names["__builtins__"]
            case ast.Lambda(args):
                return all(self.simple(d, local) for d in (*args.defaults, *args.kw_defaults) if d)
            case ast.Await() | ast.Yield() | ast.YieldFrom() | ast.NamedExpr():
                return False
            case ast.Call(ast.Name(name), [], []) if name not in local and self.of_own(name):
                return True
            case ast.Call(func, args, keywords):
                values = (*args, *[keyword.value for keyword in keywords])
                return self.harmless(func, local) and all(self.simple(value, local) for value in values)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                local |= {name for part in node.generators for name in bound(part.target)}
        return all(self.simple(child, local) for child in ast.iter_child_nodes(node))

    def of_own(self, name: str) -> bool:
        """Whether a name is that of a class of the file whose objects are made without running its code."""
        value = self.names.get(name)
        own = isinstance(value, type) and value.__module__ == self.names.get("__name__")
        return own and value.__init__ is object.__init__ and value.__new__ is object.__new__  # type: ignore

    def harmless(self, func: ast.expr, local: frozenset[str]) -> bool:
        """Whether a call computes, and does not run the file's own code or meet the world outside."""
        chain: list[str] = []
        node = func
        while isinstance(node, ast.Attribute):
            chain.append(node.attr)
            node = node.value
        if not set(chain).isdisjoint(_RUNS):
            return False
        if not isinstance(node, ast.Name) or node.id in local:
            return bool(chain) and self.simple(node, local)
        value = self.names.get(node.id, self.names["__builtins__"].get(node.id))
        for name in reversed(chain):
            value = getattr(value, name, None)
        if value is divided:
            return True
        home = getattr(value, "__module__", None) or type(getattr(value, "__self__", value)).__module__
        return getattr(value, "__name__", "") not in _RUNS and str(home).partition(".")[0] in _HARMLESS


_TEST = "__test of an if__"


def _test(node: ast.If) -> ast.stmt:
    test = ast.Assign([ast.Name(_TEST, ast.Store())], node.test)
    return ast.fix_missing_locations(ast.copy_location(test, node))


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def bound(node: ast.AST) -> Iterator[str]:
    """Yield the names that a statement sets in the scope it stands in."""
    match node:
        case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
            yield name
        case ast.Import(aliases) | ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in aliases)
        case ast.Name(name, ast.Store()):
            yield name
        case ast.Lambda() | ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from bound(child)
