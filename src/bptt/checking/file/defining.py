"""What a file defines, told from its text alone: what defines is listed, what runs is not."""

import ast
import contextlib
import copy
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bptt.checking.file.imports import guarded, neighbours
from bptt.checking.file.missing import MISSING, READ, READS, Read
from bptt.checking.file.source import Source, read
from bptt.checking.file.syntax import is_future
from bptt.errors import BpttError

_HARMLESS = """
numpy math cmath collections functools itertools operator typing dataclasses enum logging random string copy
scipy torch jax jaxlib autograd cupy argparse re time datetime pathlib abc types warnings io codecs __future__
""".split()  # noqa: SIM905
"""Modules whose functions may be called."""

_RUNS = """
print input exec eval compile exit quit breakpoint __import__ help apply_along_axis fromfunction load loads
fromfile fromregex memmap open_memmap save savez savez_compressed savetxt tofile dump download backward sleep
load_state_dict_from_url write write_text write_bytes unlink mkdir rmdir touch rename
""".split()  # noqa: SIM905
"""Calls that write, wait or run, or read what nothing can stand in for."""

_FILLS = """
append extend update add insert setdefault sort reverse fill add_argument defvjp defjvp defvjps defjvps
""".split()  # noqa: SIM905
"""Calls that complete a definition: a table's entries, a parser's options, a function's own gradient rule."""

_DEFINED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_LOOPS = (ast.For, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_WAITS = (ast.While, ast.Await, ast.Yield, ast.YieldFrom)


def definitions(source: Source) -> list[ast.stmt]:
    r"""Return what is executed of a file of which only the definitions are wanted.

    These are imports, which do not fail, functions, classes, and assignments at the top level, also below an
    ``if``, that make something small: constants, arrays, tables, and what the file's own functions without
    loops over its own code return, if its functions read that. What trains, prints, draws, downloads or waits
    is not among them. Statements that read a file are (`reads_file`).

    Execute them one by one, with ``flags=__future__.annotations.compiler_flag`` as annotations need not
    exist, and let one that fails be.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from bptt.checking.file import read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "rnn.py"
    ...     _ = file.write_text("H = 4\ndef f(x): return x + H\nwhile True: f(H)")
    ...     [type(node).__name__ for node in definitions(read(file))]
    ['Assign', 'FunctionDef']
    """
    found = _Definitions(source).taken(copy.deepcopy(source.tree).body)
    return [Read().visit(node) for node in found]


def reads_file(node: ast.AST) -> bool:
    """Return whether a statement reads a file."""
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    return any(_path(func)[-1] in {*READS, READ} for func in calls)


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


def overridden(statements: Iterable[ast.stmt], values: Mapping[str, Any]) -> list[ast.stmt]:
    r"""Return a file's statements, each followed by the other values of the constants that it assigns.

    Examples
    --------
    >>> new = overridden(ast.parse("H, V = 100, len(words)\nlr = 0.1").body, {"H": 4})
    >>> print(ast.unparse(ast.Module(new, [])))
    H, V = (100, len(words))
    H = 4
    lr = 0.1
    """
    found = []
    for node in statements:
        found.append(node)
        for name in bound(node) if isinstance(node, ast.Assign) else ():
            if name in values:
                new = ast.parse(f"{name} = {values[name]!r}").body[0]
                for part in ast.walk(new):
                    ast.copy_location(part, node)
                found.append(new)
    return found


def leading_constants(example: str) -> dict[str, Any]:
    r"""Return what the first lines of an example set to constants: the `values` for `overridden`.

    Examples
    --------
    >>> leading_constants("H, V = 4, 5\nloss = lossFun([0, 1], [1, 2], np.zeros((H, 1)))")
    {'H': 4, 'V': 5}
    """
    found: dict[str, Any] = {}
    for node in ast.parse(example).body:
        try:
            ast.literal_eval(node.value if isinstance(node, ast.Assign) else node)
            exec(ast.unparse(node), {}, found)
        except (ValueError, TypeError, NameError):
            break
    return found


class _Definitions:
    """Tells the statements that define from those that run, with account of the names that are known."""

    def __init__(self, source: Source) -> None:
        self.builtins = set(source.builtins) | {"__file__", "__name__"}
        self.known = set(self.builtins)
        self.modules: dict[str, str] = {}  # an imported name's full name
        self.own: dict[str, list[ast.AST]] = {}  # functions and classes, the neighbours' too
        self.small: dict[ast.AST, bool] = {}
        self.beside: dict[Path, ast.Module] = {}
        self.near = neighbours(source)
        self.adopt(source.tree)
        self.needed: set[str] = set()
        for node in reversed(source.tree.body):
            if isinstance(node, _DEFINED):
                self.needed |= _names(node, ast.Load) - _local(node)
            elif isinstance(node, ast.Assign) and self.needed & set(bound(node)):
                self.needed |= _names(node, ast.Load)

    def adopt(self, tree: ast.Module) -> None:
        """Take account of functions and classes that a definition may call, the neighbours' too."""
        for node in ast.walk(tree):
            if isinstance(node, _DEFINED):
                self.own.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    is_from = isinstance(node, ast.ImportFrom)
                    module = (node.module or alias.name) if isinstance(node, ast.ImportFrom) else alias.name
                    path = self.near.resolve(module)
                    if path is not None and path.is_file() and path not in self.beside:
                        self.beside[path] = ast.Module([], [])
                        with contextlib.suppress(BpttError):
                            self.beside[path] = read(path).tree
                        self.adopt(self.beside[path])
                    name = alias.asname or alias.name.partition(".")[0]
                    self.modules.setdefault(name, f"{module}.{alias.name}" if is_from else module)

    def taken(self, statements: Iterable[ast.stmt], *, guard: bool = True) -> list[ast.stmt]:
        """Return those that define."""
        return [one for node in statements for one in self.take(node, guard=guard)]

    def take(self, node: ast.stmt, *, guard: bool) -> list[ast.stmt]:
        found: list[ast.stmt] = [node]
        match node:
            case ast.Import() | ast.ImportFrom():
                if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                    self.star(node.module or "")
                found = guarded(node) if guard and not is_future(node) else found
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                self.with_defaults(node)
            case ast.If(test) if self.simple(test) and "__main__" not in ast.unparse(test):
                node.body = self.taken(node.body) or [ast.copy_location(ast.Pass(), node)]
                node.orelse = self.taken(node.orelse)
                return found
            case ast.Try():
                node.body = self.taken(node.body, guard=not node.handlers)
                for handler in node.handlers:
                    handler.body = self.taken(handler.body) or [ast.copy_location(ast.Pass(), node)]
                node.orelse, node.finalbody = self.taken(node.orelse), self.taken(node.finalbody)
                return found if node.body and (node.handlers or node.finalbody) else []
            case _ if not self.defines(node):
                self.known -= set(bound(node))  # it has another value by then
                return []
        self.known |= set(bound(node))
        return found

    def star(self, module: str) -> None:
        """Take account of all names of a module."""
        path = self.near.resolve(module)
        if path in self.beside:
            self.known |= {name for one in self.beside[path].body for name in bound(one)}
        elif module.partition(".")[0] in _HARMLESS:
            names = dir(sys.modules.get(module))
            self.known |= set(names)
            self.modules |= {name: f"{module}.{name}" for name in names}

    def with_defaults(self, node: ast.AST) -> None:
        """Take the defaults of a function, of a class's methods; those of functions within see its names."""
        if isinstance(node, ast.ClassDef):
            known, self.known = self.known, self.known | {name for one in node.body for name in bound(one)}
            for one in node.body:
                self.with_defaults(one)
            self.known = known
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.args.defaults = [self.default(one) for one in node.args.defaults]
            node.args.kw_defaults = [one and self.default(one) for one in node.args.kw_defaults]

    def default(self, node: ast.expr) -> ast.expr:
        """Have a default whose name is not known raise no error before it is used."""
        if not isinstance(node, ast.Name) or self.simple(node):
            return node
        absent = ast.Call(ast.Name(MISSING, ast.Load()), [ast.Constant(node.id)], [])
        return ast.fix_missing_locations(ast.copy_location(absent, node))

    def defines(self, node: ast.stmt) -> bool:
        match node:
            case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if not all(map(self.settable, targets)) or (node.value and not self.simple(node.value)):
                    return False
                return not self.calls_own(node) or bool(self.needed & set(bound(node)))
            case ast.Expr(ast.Name()):  # of ``try: xrange``
                return True
            case ast.Expr(ast.Call(func, args, keywords)):
                is_fill = _path(func)[-1] in _FILLS and (isinstance(func, ast.Name) or self.settable(func))
                return is_fill and all(map(self.simple, (*args, *(one.value for one in keywords))))
            case ast.For(orelse=[]) | ast.With():  # a table, entry by entry
                heads = [node.iter] if isinstance(node, ast.For) else [one.context_expr for one in node.items]
                if not all(map(self.simple, heads)) or (isinstance(node, ast.For) and self.calls_own(node)):
                    return False
                self.known |= set(bound(node))
                return all(isinstance(one, ast.Assign | ast.Expr) and self.defines(one) for one in node.body)
        return False

    def settable(self, target: ast.expr) -> bool:
        """Whether what is set is the file's own, and no part of a module."""
        match target:
            case ast.Name():
                return True
            case ast.Tuple(parts) | ast.List(parts):
                return all(map(self.settable, parts))
            case ast.Starred(value):
                return self.settable(value)
            case ast.Attribute(value) | ast.Subscript(value):
                name = _path(value)[0]
                is_own = name in self.known and name not in self.modules
                return is_own and all(map(self.simple, ast.iter_child_nodes(target)))
        return False

    def calls_own(self, node: ast.AST) -> bool:
        calls = (_path(part.func)[-1] for part in ast.walk(node) if isinstance(part, ast.Call))
        return any(isinstance(one, ast.FunctionDef) for name in calls for one in self.own.get(name, []))

    def simple(self, node: ast.AST) -> bool:
        """Whether an expression is found from what is known, with no more work than a definition's."""
        parts = list(_evaluated(node))
        local = {name for part in parts for name in _local(part)}
        for part in parts:
            match part:
                case ast.Name(name) if name not in local and name not in self.known:
                    return False
                case ast.Await() | ast.Yield() | ast.YieldFrom():
                    return False
                case ast.Call(func, args, keywords):
                    passed = {
                        one.id for one in (*args, *(k.value for k in keywords)) if isinstance(one, ast.Name)
                    }
                    own = (one for name in passed for one in self.own.get(name, []))
                    if not self.harmless(func, local) or not all(map(self.is_small, own)):
                        return False
        return True

    def harmless(self, func: ast.expr, local: set[str]) -> bool:
        """Whether a call computes something small, and does not meet the world outside but to read."""
        path = _path(func)
        name = path[-1]
        if name in _RUNS or not name:
            return False
        root = self.modules.get(path[0]) if path[0] not in local else None
        full = [*root.split("."), *path[1:]] if root else []
        if full and (full[0] in _HARMLESS or full[:2] == ["os", "path"]):
            return True
        if name in self.own:
            return all(map(self.is_small, self.own[name]))
        if isinstance(func, ast.Attribute) and not full:  # a method of a value
            return path[0] in local or self.simple(func.value)
        return name in self.builtins and name not in local

    def is_small(self, node: ast.AST) -> bool:
        """Whether the file's own function, or its class's constructor, does no work when it is called."""
        if isinstance(node, ast.ClassDef):
            names = ("__init__", "__new__", "__post_init__")
            return all(self.is_small(one) for one in node.body if getattr(one, "name", "") in names)
        if node not in self.small:
            self.small[node] = True  # where it calls itself
            parts = list(ast.walk(node))
            known, self.known = self.known, self.known | _local(node) | set(self.own) | set(self.modules)
            self.small[node] = not any(
                isinstance(part, _WAITS)
                or (isinstance(part, _LOOPS) and self.calls_own(part))
                or (
                    isinstance(part, ast.Call)
                    and _path(part.func) != ["print"]
                    and not self.harmless(part.func, set())
                )
                for part in parts
            )
            self.known = known
        return self.small[node]


def _evaluated(node: ast.AST, *, is_called: bool = False) -> Iterator[ast.AST]:
    """Yield what an expression evaluates: a function's body only where that is handed on."""
    yield node
    for child in ast.iter_child_nodes(node):
        if is_called or not (isinstance(node, ast.Lambda) and child is node.body):
            yield from _evaluated(child, is_called=isinstance(node, ast.Call | ast.keyword))


def _path(node: ast.AST) -> list[str]:
    """Return the names of ``a.b.c``; of ``f(x).b`` and what has no name at all, the first is empty."""
    match node:
        case ast.Name(name):
            return [name]
        case ast.Attribute(ast.Subscript(value), name):
            return [_path(value)[0], name]
        case ast.Attribute(value, name):
            return [*_path(value), name]
    return [""]


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, context)}


def _local(node: ast.AST) -> set[str]:
    return _names(node, ast.Store) | {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)}
