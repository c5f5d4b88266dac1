"""What a file defines, told from its text alone: what defines is listed, what runs is not."""

import ast
import contextlib
import pickle
import symtable
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bptt.checking.file.imports import guarded, modules, neighbours
from bptt.checking.file.source import Source, read
from bptt.checking.file.syntax import is_future
from bptt.errors import BpttError

_HARMLESS = """
numpy math cmath collections functools itertools operator typing dataclasses enum logging random string copy
scipy torch jax jaxlib autograd cupy argparse re time datetime pathlib abc types warnings io codecs __future__
""".split()  # noqa: SIM905
"""Modules whose functions may be called."""

_RUNS = """
input exec eval compile exit quit breakpoint __import__ help apply_along_axis fromfunction load loads
fromfile fromregex memmap open_memmap save savez savez_compressed savetxt tofile dump download backward sleep
load_state_dict_from_url write write_text write_bytes unlink mkdir rmdir touch rename
""".split()  # noqa: SIM905
"""Calls that write, wait or run, or read what nothing can stand in for."""

_FILLS = """
append extend update add insert setdefault sort reverse fill add_argument defvjp defjvp defvjps defjvps
""".split()  # noqa: SIM905
"""Calls that complete a definition: a table's entries, a parser's options, a function's own gradient rule."""

_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_WAITS = (ast.While, ast.Await, ast.Yield, ast.YieldFrom)


def definitions(source: Source) -> list[ast.stmt]:
    """Return what is executed of a file of which only the definitions are wanted.

    These are imports, which do not fail, functions, classes, and assignments at the top level, also below an
    ``if``, that make something small: constants, arrays, tables, and what the file's own functions without
    loops over its own code return, if its functions read that. What trains, prints, draws, downloads or waits
    is not among them; what reads that fails with a NameError, and is to be passed over.
    """
    return _Definitions(source).taken(pickle.loads(pickle.dumps(source.tree)).body)  # a copy, made quickly


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


def root(node: ast.expr) -> str:
    """Return the name with which an expression begins: ``net`` of ``net.cells[0].step``; empty: with none."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def overridden(statements: Iterable[ast.stmt], values: Mapping[str, Any]) -> list[ast.stmt]:
    """Return a file's statements, each followed by the other values of the constants that it assigns."""
    found = []
    for node in statements:
        found.append(node)
        for name in bound(node) if isinstance(node, ast.Assign) else ():
            if name in values:
                new = ast.parse(f"{name} = {values[name]!r}").body[0]
                found.append(ast.increment_lineno(new, node.lineno - 1))
    return found


def without_unread(statements: list[ast.stmt], example: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Return a file's statements without the assignments whose names neither it nor an example reads.

    The example may set a name before it reads it. Data that only a training loop reads need no time then.
    """
    needed, own = set[str](), set[str]()
    for node in example:
        needed |= _read(node) - own
        own |= {*bound(node)}
    needed |= _reads(node for node in statements if isinstance(node, _DEFINED))
    kept: list[ast.stmt] = []
    for node in reversed(statements):
        parts = (part for part in ast.walk(node) if isinstance(getattr(part, "ctx", None), ast.Store))
        stored = {root(part) for part in parts if isinstance(part, ast.Name | ast.Attribute | ast.Subscript)}
        if not isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) or needed & stored:
            needed |= _read(node)
            kept.append(node)
    return statements if needed & {"globals", "locals", "vars", "eval", "exec"} else kept[::-1]


def leading_constants(example: str) -> dict[str, Any]:
    """Return what the first lines of an example set to constants: the `values` for `overridden`."""
    found: dict[str, Any] = {}
    for node in ast.parse(example).body:
        try:
            ast.literal_eval(node.value if isinstance(node, ast.Assign) else node)
            exec(ast.unparse(node), {}, found)
        except (ValueError, TypeError, NameError):
            break
    return found


class _Definitions:
    """Tells the statements that define from those that run, by what they call."""

    def __init__(self, source: Source) -> None:
        self.modules: dict[str, str] = {}  # an imported name's full name
        self.own: dict[str, list[ast.AST]] = {}  # functions and classes, the neighbours' too
        self.quick: dict[ast.AST, bool] = {}
        self.builtins, self.python2 = source.builtins, source.python2
        self.near = neighbours(source)
        self.adopt(source.tree, set())
        self.needed: set[str] = set()  # by functions
        for node in reversed(source.tree.body):
            if isinstance(node, _DEFINED):
                self.needed |= _read(node)
            elif isinstance(node, ast.Assign) and not self.needed.isdisjoint(bound(node)):
                self.needed |= _read(node.value)

    def adopt(self, tree: ast.AST, seen: set[Path]) -> None:
        """Take account of modules, functions and classes that a definition may call, the neighbours' too."""
        for node in ast.walk(tree):
            if isinstance(node, _DEFINED):
                self.own.setdefault(node.name, []).append(node)
        for name, module, full in modules(tree):
            of_all = dir(sys.modules.get(module)) if name == "*" else ()
            self.modules = {**{one: f"{module}.{one}" for one in of_all}, name: full, **self.modules}
            path = self.near.resolve(module)
            if path is not None and path.is_file() and path not in seen:
                seen.add(path)
                with contextlib.suppress(BpttError):
                    self.adopt(read(path).tree, seen)

    def taken(self, statements: Iterable[ast.stmt], *, guard: bool = True) -> list[ast.stmt]:
        """Return those that define."""
        return [one for node in statements for one in self.take(node, guard=guard)]

    def take(self, node: ast.stmt, *, guard: bool) -> list[ast.stmt]:
        nothing: list[ast.stmt] = [ast.copy_location(ast.Pass(), node)]
        match node:
            case ast.ImportFrom("numpy", [ast.alias("*")]) if self.python2:  # which had not these names
                return [*guarded(node), *ast.parse("from builtins import abs, max, min, round").body]
            case ast.Import() | ast.ImportFrom() if guard and not is_future(node):
                return guarded(node)
            case ast.If(test) if self.is_quick(test) and "__main__" not in ast.unparse(test):
                node.body, node.orelse = self.taken(node.body) or nothing, self.taken(node.orelse)
                return [node]
            case ast.Try():
                node.body = self.taken(node.body, guard=not node.handlers)
                for handler in node.handlers:
                    handler.body = self.taken(handler.body) or nothing
                node.orelse, node.finalbody = self.taken(node.orelse), self.taken(node.finalbody)
                return [node] if node.body and (node.handlers or node.finalbody) else []
        return [node] if isinstance(node, _DEFINED) or self.defines(node) else []

    def defines(self, node: ast.stmt) -> bool:
        match node:
            case ast.Import() | ast.ImportFrom():
                return True
            case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
                parts = (p for p in ast.walk(node) if isinstance(p, ast.Attribute | ast.Subscript))
                if any(isinstance(p.ctx, ast.Store) and root(p) in self.modules for p in parts):
                    return False  # a part of a module is not the file's own
                is_needed = not self.calls_own(node) or not self.needed.isdisjoint(bound(node))
                return is_needed and self.is_quick(node)
            case ast.Expr(ast.Name()):  # of ``try: xrange``
                return True
            case ast.Expr(ast.Call(func) as call) if _name(func) in _FILLS:
                is_own = isinstance(func, ast.Name) or root(func) not in self.modules
                return is_own and all(map(self.is_quick, [*call.args, *call.keywords]))
            case ast.For(orelse=[]) | ast.With():  # a table, entry by entry
                fills = all(isinstance(one, ast.Assign | ast.Expr) and self.defines(one) for one in node.body)
                return fills and self.is_quick(node)
        return False

    def calls_own(self, node: ast.AST) -> bool:
        names = (_name(part.func) for part in ast.walk(node) if isinstance(part, ast.Call))
        return any(isinstance(one, ast.FunctionDef) for name in names for one in self.own.get(name, []))

    def is_quick(self, node: ast.AST) -> bool:
        """Whether what is evaluated works no longer than a definition does, and meets no world outside."""
        if node not in self.quick:
            self.quick[node] = True  # where a function calls itself
            self.quick[node] = not any(
                isinstance(part, _WAITS)
                or (isinstance(part, ast.For) and self.calls_own(part))
                or (isinstance(part, ast.Call) and not self.is_harmless(part))
                for part in _evaluated(node)
            )
        return self.quick[node]

    def is_harmless(self, call: ast.Call) -> bool:
        name, first = _name(call.func), root(call.func)
        handed = (*call.args, *(keyword.value for keyword in call.keywords))
        called = [name] * (not self.of_library(call.func))
        called += [one.id for one in handed if isinstance(one, ast.Name)]
        functions = [one for each in called for own in self.own.get(each, []) for one in _constructors(own)]
        opens = name == "open" and isinstance(call.func, ast.Attribute)  # our own does not stand in for it
        if name in _RUNS or not name or opens or not all(map(self.is_quick, functions)):
            return False
        if name in self.own or self.of_library(call.func):
            return True
        return first not in self.modules if isinstance(call.func, ast.Attribute) else name in self.builtins

    def of_library(self, func: ast.expr) -> bool:
        full = self.modules.get(root(func), "").split(".")
        return full[0] in _HARMLESS or ast.unparse(func).startswith("os.path.")


def _constructors(node: ast.AST) -> list[ast.AST]:
    """Return what is called with a function, or with a class."""
    if not isinstance(node, ast.ClassDef):
        return [node]
    return [one for one in node.body if getattr(one, "name", "") in ("__init__", "__new__", "__post_init__")]


def _evaluated(node: ast.AST, *, is_called: bool = False) -> Iterator[ast.AST]:
    """Yield what an expression evaluates: a function's body only where that is handed on."""
    yield node
    for child in ast.iter_child_nodes(node):
        if is_called or not (isinstance(node, ast.Lambda) and child is node.body):
            yield from _evaluated(child, is_called=isinstance(node, ast.Call | ast.keyword))


def _name(func: ast.expr) -> str:
    """Return the last name of what is called; of what has no name, it is empty."""
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


def _read(node: ast.AST) -> set[str]:
    """Return the names that a statement reads of the scope in which it stands."""
    top = symtable.symtable(ast.unparse(node), "", "exec")

    def of(table: symtable.SymbolTable) -> set[str]:
        own = (s for s in table.get_symbols() if s.is_referenced() and (table is top or s.is_global()))
        return {s.get_name() for s in own}.union(*map(of, table.get_children()))

    return of(top)


def _reads(nodes: Iterable[ast.AST]) -> set[str]:
    return set[str]().union(*map(_read, nodes))
