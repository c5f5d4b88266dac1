"""The syntax tree with taps: each expression, statement, return and call of somebody's functions can be seen.

An expression ``v`` becomes ``TAP_(k, v)``, a statement's value ``PUT_(j, v)``; before each statement stands
``PRE_(j)`` and behind those that change something in place ``POST_(j, target)``. They are looked up by name
when the code runs, so that the same code serves to record, to change one value a little, and to replace one.
"""

import ast
import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bptt.checking.taps.names import CHANGES, METHODS, MUTATORS, PLAIN_CALLS, SHAPES, root


@dataclass(eq=False)
class Node:
    """An expression that is tapped: ``tree`` as it stands in ``file``, and the statement it belongs to."""

    tree: ast.expr
    file: Path
    statement: int
    terminal: bool = False  # its value goes into arithmetic as it is: no other tap sees it after this one


@dataclass(eq=False)
class Statement:
    """A statement of somebody's function.

    Attributes
    ----------
    tree : ast.stmt
    file : Path
    function : ast.FunctionDef or None
        None: at the top level, or of the example.
    owner : ast.ClassDef or None
        The class whose method it stands in.
    loops : tuple of ast.For or ast.While
        The loops around it, the innermost last.
    """

    tree: ast.stmt
    file: Path
    function: ast.FunctionDef | None
    owner: ast.ClassDef | None
    loops: tuple[ast.stmt, ...]


@dataclass
class Table:
    """All expressions and statements that were tapped, by their numbers."""

    nodes: list[Node] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)


class Tapped(ast.NodeTransformer):
    """Puts the taps in.

    Parameters
    ----------
    table : Table
        Gets an entry for each expression and statement.
    file : Path
        Where the code comes from.
    top : bool
        Also the statements outside of functions: the example's, or those of a file that is run.
    calls : frozenset of str, optional
        Calls of these names at the top level are told to ``CALL_``: what is handed over, and comes back.
    modules : frozenset of str
        Names that are modules, and never values.
    """

    def __init__(
        self,
        table: Table,
        file: Path,
        *,
        top: bool = False,
        calls: frozenset[str] | None = None,
        modules: frozenset[str] = frozenset(),
    ) -> None:
        self.table, self.file, self.top, self.calls, self.modules = table, file, top, calls, modules
        self.functions: list[ast.FunctionDef] = []
        self.owners: list[ast.ClassDef] = []
        self.loops: list[ast.stmt] = []
        self.current = -1
        self.terminal = False
        self.original: dict[int, Any] = {}  # the node as it was, by the id of the one that is rewritten
        self.keep: list[ast.stmt] = []  # these live as long as their ids are looked up

    @property
    def tapping(self) -> bool:
        return self.top or bool(self.functions)

    # statements

    def statements(self, body: list[ast.stmt]) -> list[ast.stmt]:
        """Return statements with taps in them; the ones given are left as they are."""
        twins = copy.deepcopy(body)
        for one, twin in zip(body, twins, strict=True):
            self.original |= {id(b): a for a, b in zip(ast.walk(one), ast.walk(twin), strict=True)}
        self.keep += twins
        return self._body(twins)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.functions.append(self.original[id(node)])
        loops, self.loops, current = self.loops, [], self.current
        node.body = self._body(node.body)
        self.loops, self.current = loops, current
        self.functions.pop()
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        self.owners.append(self.original[id(node)])
        functions, self.functions, top, self.top = self.functions, [], self.top, False
        node.body = self._body(node.body)
        self.functions, self.top = functions, top
        self.owners.pop()
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return node

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        return [one for statement in body for one in self._statement(statement)]

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            return [self.visit(node)]
        if not self.tapping:
            return [self.generic_visit(node)]  # type: ignore[list-item]  # a statement stays one
        before, original, number = self.current, self.original[id(node)], len(self.table.statements)
        self.current = number
        function = self.functions[-1] if self.functions else None
        owner = self.owners[-1] if self.owners else None
        self.table.statements.append(Statement(original, self.file, function, owner, tuple(self.loops)))
        out = [self._at(ast.Expr(self._hook("PRE_", ast.Constant(number))), node)]
        if isinstance(node, ast.For | ast.While | ast.If | ast.With | ast.Try | ast.Match):
            self._compound(node, original)
        elif isinstance(node, ast.Return):
            if node.value is not None:
                node.value = self._hook("PUT_", ast.Constant(number), self.visit(node.value))
        elif (
            isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value is not None
        ) or isinstance(node, ast.Expr):
            assert node.value is not None
            node.value = self._hook("PUT_", ast.Constant(number), self.visit(node.value))
        elif isinstance(node, ast.Assert | ast.Raise):
            pass
        else:
            self.generic_visit(node)
        out.append(node)
        changed = self._changed(original)
        if changed is not None:
            out.append(self._at(ast.Expr(self._hook("POST_", ast.Constant(number), changed)), node))
        self.current = before
        return out

    def _compound(self, node: Any, original: ast.stmt) -> None:
        if isinstance(node, ast.For):
            node.iter = self.visit(node.iter)
        elif isinstance(node, ast.If | ast.While):
            node.test = self.visit(node.test)
        elif isinstance(node, ast.Match):
            for case in node.cases:
                case.body = self._body(case.body)
        looping = isinstance(node, ast.For | ast.While)
        if looping:
            self.loops.append(original)
        for part in ("body", "orelse", "finalbody"):
            if getattr(node, part, None):
                setattr(node, part, self._body(getattr(node, part)))
        for handler in getattr(node, "handlers", []):
            handler.body = self._body(handler.body)
        if looping:
            self.loops.pop()

    def _changed(self, node: ast.stmt) -> ast.expr | None:
        """Return the expression that reads what a statement changed in place, or None."""
        target: ast.expr | None = None
        if isinstance(node, ast.AugAssign):
            target = node.target
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            func = node.value.func
            if isinstance(func, ast.Attribute) and func.attr in CHANGES:
                target = func.value
            elif isinstance(func, ast.Attribute) and func.attr == "at" and node.value.args:
                target = node.value.args[0]
            elif out := next((k.value for k in node.value.keywords if k.arg == "out"), None):
                target = out
        if target is None or any(
            isinstance(n, ast.Call | ast.Starred | ast.NamedExpr) for n in ast.walk(target)
        ):
            return None
        read = copy.deepcopy(target)
        for n in ast.walk(read):
            if isinstance(n, ast.Name | ast.Attribute | ast.Subscript):
                n.ctx = ast.Load()
        return read

    # expressions

    def _hook(self, name: str, *arguments: ast.expr) -> ast.Call:
        return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])

    def _at(self, new: Any, old: ast.AST) -> Any:
        return ast.fix_missing_locations(ast.copy_location(new, old))

    def _tap(self, node: ast.expr, original: ast.expr) -> ast.expr:
        terminal = self.terminal and isinstance(original, ast.Name | ast.Attribute | ast.Subscript)
        self.table.nodes.append(Node(original, self.file, self.current, terminal))
        new: ast.expr = self._at(self._hook("TAP_", ast.Constant(len(self.table.nodes) - 1), node), original)
        return new

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        if self.tapping:
            node.body = self.visit(node.body)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if not self.tapping or not isinstance(node, ast.expr):
            return super().generic_visit(node)
        if not isinstance(getattr(node, "ctx", None) or ast.Load(), ast.Load):
            return node
        original = self.original[id(node)]
        match node:
            case ast.Name():
                return (
                    node
                    if node.id in self.modules or node.id in ("self", "cls")
                    else self._tap(node, original)
                )
            case ast.Subscript():
                node.value = self._inner(node.value)
                return self._tap(node, original)
            case ast.Attribute():
                if (
                    isinstance(node.value, ast.Name) and node.value.id in self.modules
                ) or node.attr in SHAPES:
                    return node
                node.value = self._inner(node.value)
                return self._tap(node, original)
            case ast.Call():
                return self._call(node, original)
            case ast.BinOp() | ast.UnaryOp():
                terminal, self.terminal = self.terminal, True
                super().generic_visit(node)
                self.terminal = terminal
                return self._tap(node, original)
            case ast.IfExp():
                super().generic_visit(node)
                return self._tap(node, original)
            case ast.Constant():
                return node
            case ast.Tuple() | ast.List():
                return super().generic_visit(node)
        terminal, self.terminal = self.terminal, False
        super().generic_visit(node)
        self.terminal = terminal
        return node

    def _inner(self, node: ast.expr) -> ast.expr:
        terminal, self.terminal = self.terminal, False
        new: ast.expr = self.visit(node)
        self.terminal = terminal
        return new

    def _call(self, node: ast.Call, original: ast.expr) -> ast.expr:
        func, begins = node.func, root(node.func)
        library = isinstance(func, ast.Attribute) and (self._module(func.value) or func.attr in METHODS)
        plain = isinstance(func, ast.Name) and func.id in PLAIN_CALLS
        terminal, self.terminal = self.terminal, library
        name = func.attr if isinstance(func, ast.Attribute) else ""
        mutates = name in MUTATORS
        for i, argument in enumerate(node.args):
            if isinstance(argument, ast.Starred) or (mutates and library and name == "at" and i == 0):
                continue
            node.args[i] = self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in (None, "out"):
                keyword.value = self.visit(keyword.value)
        if isinstance(func, ast.Attribute) and not self._module(func.value) and not mutates:
            func.value = self.visit(func.value)
        self.terminal = terminal
        if plain:
            return node
        backward = isinstance(func, ast.Attribute) and func.attr == "backward"  # torch.autograd.backward, too
        if self.calls is not None and not self.functions and (backward or begins in self.calls):
            number = ast.Constant(len(self.table.nodes))
            node = self._at(
                ast.Call(ast.Name("CALL_", ast.Load()), [number, node.func, *node.args], node.keywords), node
            )
        return self._tap(node, original)

    def _module(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.modules
