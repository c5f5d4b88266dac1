"""The syntax tree with taps: each expression, statement, return and call of somebody's functions can be seen.

An expression ``v`` becomes ``TAP_(k, v)``, a statement's value ``PUT_(j, v)``, that of ``a[i] = v``
``ENTRY_(PUT_(j, v), a, i)``; before each statement stands ``PRE_(j)`` and behind those that change something
in place ``POST_(j, target)``. They are looked up by name when the code runs, so that the same code serves to
record, to change one value a little, and to replace one.
"""

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bptt.checking.file import root


def _set(names: str) -> frozenset[str]:
    return frozenset(names.split())


LIBRARIES = _set("np numpy torch math random F nn jnp jax os sys time copy itertools functools collections")
"""Modules, which are never values, and whose functions take arrays as they are."""

MUTATORS = _set("""
add_ append appendleft at backward clear copy_ extend fill insert items keys mark_dirty mul_ pop
popleft remove reverse save_for_backward setdefault sort step sub_ update values zero_ zero_grad
""")
"""Methods whose object must stay itself: a changed copy of it would lose what they do."""

CHANGES = _set("add_ append appendleft copy_ extend fill insert mul_ sub_")
"""Methods that change their object in place by what they are given."""

SHAPES = _set("__class__ __name__ dtype grad_fn is_leaf ndim needs_input_grad requires_grad shape size")
"""Attributes that are no arrays."""

PLAIN_CALLS = _set("enumerate hasattr int isinstance len print range repr reversed str super type zip")
"""Built-in functions whose results are no arrays."""

METHODS = _set("""
T astype clip copy cumsum dot exp flatten item log matmul max mean min mm pow prod ravel relu
repeat reshape sigmoid softmax sqrt squeeze std sum swapaxes t take tanh tolist transpose unsqueeze
var view
""")
"""Methods of arrays, whose object goes into arithmetic as it is."""


_VALUED = (ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)


@dataclass(eq=False)
class Node:
    """An expression that is tapped: ``tree`` as it stands in ``file``, and the statement it belongs to."""

    tree: ast.expr
    file: Path
    statement: int
    terminal: bool = False  # its value goes into arithmetic as it is: no other tap sees it after this one


@dataclass(eq=False)
class Statement:
    """A statement of somebody's function."""

    tree: ast.stmt
    file: Path
    function: ast.FunctionDef | None  # None: at the top level, or of the example
    owner: ast.ClassDef | None  # the class whose method it stands in
    loops: tuple[ast.stmt, ...]  # around it, the innermost last


@dataclass
class Table:
    """All expressions and statements that were tapped, by their numbers."""

    nodes: list[Node] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)


class Scope(NamedTuple):
    """Where a statement stands."""

    taps: bool
    function: ast.FunctionDef | None = None
    owner: ast.ClassDef | None = None
    loops: tuple[ast.stmt, ...] = ()


class Tapped:
    """Makes code with taps out of statements, which are left as they are.

    Each expression and statement gets an entry in `table`; with `top`, those outside of functions, too, as
    the example's. There, calls of the names `calls` are told to ``CALL_``: what they are given, and return.
    Where no expressions are wanted, statements alone are tapped.
    """

    def __init__(
        self,
        table: Table,
        file: Path,
        *,
        top: bool = False,
        calls: frozenset[str] = frozenset(),
        expressions: bool = True,
    ) -> None:
        self.table, self.file, self.calls, self.expressions = table, file, calls, expressions
        self.top = self.scope = Scope(top)  # where the file begins, and where we are

    def module(self, body: list[ast.stmt]) -> ast.Module:
        """Return statements with taps in them."""
        return ast.fix_missing_locations(ast.Module(self._body(body, self.top), []))

    def _body(self, body: list[ast.stmt], scope: Scope) -> list[ast.stmt]:
        return [one for statement in body for one in self._statement(statement, scope)]

    def _statement(self, node: ast.stmt, scope: Scope) -> list[ast.stmt]:
        match node:
            case ast.FunctionDef():
                within = scope._replace(taps=True, function=node, loops=())
                return [_with(node, body=self._body(node.body, within))]
            case ast.ClassDef():
                return [_with(node, body=self._body(node.body, Scope(taps=False, owner=node)))]
            case ast.AsyncFunctionDef():
                return [node]
        if not scope.taps:
            return [self._compound(node, scope)]
        self.scope, number = scope, len(self.table.statements)
        self.table.statements.append(Statement(node, self.file, scope.function, scope.owner, scope.loops))
        if isinstance(node, _VALUED) and node.value is not None:
            value = _hook("PUT_", node.value, number, self._expression(node.value))
            new: ast.stmt = _with(node, value=_entry(node, value))
        else:
            new = self._compound(node, scope)
        found = [ast.Expr(_hook("PRE_", node, number)), new]
        changed = _changed(node)
        if changed is not None:
            found.append(ast.Expr(_hook("POST_", node, number, changed)))
        return found

    def _compound(self, node: ast.stmt, scope: Scope) -> Any:
        """Return a statement whose heads and bodies have taps in them, as far as it has some."""
        new: dict[str, Any] = {}
        head = {ast.For: "iter", ast.While: "test", ast.If: "test"}.get(type(node))
        if head and scope.taps:
            new[head] = self._expression(getattr(node, head))
        if isinstance(node, ast.For | ast.While):
            scope = scope._replace(loops=(*scope.loops, node))
        for part in ("body", "orelse", "finalbody"):
            if getattr(node, part, None):
                new[part] = self._body(getattr(node, part), scope)
        for part in ("handlers", "cases"):
            if hasattr(node, part):
                new[part] = [_with(one, body=self._body(one.body, scope)) for one in getattr(node, part)]
        return _with(node, **new)

    def _expression(self, node: Any, *, terminal: bool = False) -> Any:
        """Return an expression with taps; terminal: its value goes into arithmetic as it is."""
        new = node
        if not self.expressions or not isinstance(getattr(node, "ctx", None), ast.Load | None):
            return node
        match node:
            case ast.Constant() | ast.JoinedStr():
                return node
            case ast.Name(name):
                if name in LIBRARIES or name in ("self", "cls"):
                    return node
            case ast.Attribute(value, name):
                if name in SHAPES or (isinstance(value, ast.Name) and value.id in LIBRARIES):
                    return node
                new = _with(node, value=self._expression(value))
            case ast.Subscript(value):
                new = _with(node, value=self._expression(value))
            case ast.Call(func):
                new = self._call(node)
                if isinstance(func, ast.Name) and func.id in PLAIN_CALLS:
                    return new
            case ast.BinOp() | ast.UnaryOp():
                new = self._parts(node, terminal=True)
            case ast.IfExp():
                new = self._parts(node, terminal=terminal)
            case ast.Tuple() | ast.List():
                return self._parts(node, terminal=terminal)
            case ast.Lambda(body=body):
                return _with(node, body=self._expression(body, terminal=terminal))
            case ast.expr() | ast.comprehension():
                return self._parts(node, terminal=False)
            case _:
                return node
        terminal = terminal and isinstance(node, ast.Name | ast.Attribute | ast.Subscript)
        self.table.nodes.append(Node(node, self.file, len(self.table.statements) - 1, terminal))
        return _hook("TAP_", node, len(self.table.nodes) - 1, new)

    def _parts(self, node: ast.AST, *, terminal: bool) -> Any:
        new: dict[str, Any] = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                new[name] = [self._expression(one, terminal=terminal) for one in value]
            else:
                new[name] = self._expression(value, terminal=terminal)
        return _with(node, **new)

    def _call(self, node: ast.Call) -> Any:
        func: Any = node.func
        name = getattr(func, "attr", "")
        is_method = isinstance(func, ast.Attribute) and not _is_module(func.value)
        library = isinstance(func, ast.Attribute) and (not is_method or name in METHODS)
        as_is = node.args[: library and name == "at"]  # np.add.at changes it
        args = as_is + [
            one if isinstance(one, ast.Starred) else self._expression(one, terminal=library)
            for one in node.args[len(as_is) :]
        ]
        keywords = [
            one
            if one.arg in (None, "out")
            else _with(one, value=self._expression(one.value, terminal=library))
            for one in node.keywords
        ]
        if is_method and name not in MUTATORS:
            func = _with(func, value=self._expression(func.value, terminal=library))
        if self.scope.function is None and (name == "backward" or root(node.func) in self.calls):
            number = ast.Constant(len(self.table.nodes))  # of the call's own tap
            func, args = ast.Name("CALL_", ast.Load()), [number, func, *args]
        return _with(node, func=func, args=args, keywords=keywords)


def _is_module(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in LIBRARIES


def _with(node: Any, **parts: Any) -> Any:
    """Return a node with other parts; it stays as it is."""
    return type(node)(**{**vars(node), **parts})


def _hook(name: str, at: ast.AST, number: int, *arguments: ast.expr) -> ast.Call:
    call = ast.Call(ast.Name(name, ast.Load()), [ast.Constant(number), *arguments], [])
    return ast.copy_location(call, at)


def _entry(node: ast.stmt, value: ast.Call) -> ast.Call:
    """Return a statement's value; where it is given to one place of something, as that takes it."""
    match node:
        case ast.Assign([ast.Subscript(owner, index)]) | ast.AugAssign(ast.Subscript(owner, index)):
            odd = ast.Slice | ast.Call | ast.NamedExpr | ast.Starred
            if not any(isinstance(part, odd) for one in (owner, index) for part in ast.walk(one)):
                parts = [ast.parse(ast.unparse(one), mode="eval").body for one in (owner, index)]
                call = ast.Call(ast.Name("ENTRY_", ast.Load()), [value, *parts], [])
                return ast.copy_location(call, value)
    return value


def _changed(node: ast.stmt) -> ast.expr | None:
    """Return the expression that reads what a statement changed in place, or None."""
    match node:
        case ast.AugAssign(target):
            pass
        case ast.Expr(ast.Call(ast.Attribute(target, name))) if name in CHANGES:
            pass
        case ast.Expr(ast.Call(ast.Attribute(_, "at"), [target, *_])):
            pass
        case ast.Expr(ast.Call(keywords=[*_, ast.keyword("out", target)])):
            pass
        case _:
            return None
    if any(isinstance(part, ast.Call | ast.Starred | ast.NamedExpr) for part in ast.walk(target)):
        return None
    return ast.parse(ast.unparse(target), mode="eval").body


def targets(tree: ast.stmt) -> list[tuple[ast.expr, int]]:
    """Return what a statement gives a value to, and which place of the value: -1 is all of it."""
    every = [tree.target] if isinstance(tree, ast.AugAssign | ast.AnnAssign) else getattr(tree, "targets", [])
    parts = (target.elts if isinstance(target, ast.Tuple) else [target] for target in every)
    return [(one, n if one not in every else -1) for some in parts for n, one in enumerate(some)]
