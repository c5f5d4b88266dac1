"""A file's text by the nodes of its syntax tree, and which statements of it are its backward."""

import ast
import re
from collections.abc import Iterator

from judged.truth import Truth

Function = ast.FunctionDef | ast.AsyncFunctionDef
LOOSE = (ast.UnaryOp, ast.Compare, ast.IfExp, ast.BoolOp, ast.Lambda, ast.NamedExpr)

Kinds = dict[int, dict[str, object]]
"""What a function's names hold, by the line of the function: equal things are of the same kind."""


class Sources:
    """A file's bytes by the nodes of its tree, and what the names in its functions held in a run."""

    def __init__(self, text: str, kinds: Kinds | None = None):
        self.text, self.kinds = text.encode(), kinds or {}
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.tree = ast.parse(text)
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        at = self.starts[node.lineno - 1] + node.col_offset
        return at, self.starts[node.end_lineno - 1] + node.end_col_offset

    def of(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end].decode()

    def held(self, node: ast.expr) -> str:
        """Return a term or factor, in parentheses where it is a sum."""
        sums = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub)
        return f"({self.of(node)})" if sums or isinstance(node, LOOSE) else self.of(node)

    def tight(self, node: ast.expr) -> str:
        """Return an operand, in parentheses where it is an operation."""
        return f"({self.of(node)})" if isinstance(node, (ast.BinOp, *LOOSE)) else self.of(node)

    def index(self, node: ast.AST) -> bool:
        """Return whether an expression is in an index or in what a loop counts."""
        while (parent := self.parents.get(node)) and isinstance(node, ast.expr):
            match parent:
                case ast.Subscript(slice=place) if place is node:
                    return True
                case ast.Call(func=ast.Name(id="range" | "len")):
                    return True
            node = parent
        return False

    def functions(self, node: ast.AST) -> Iterator[Function]:
        """Yield the functions around a node, from the innermost."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, Function):
                yield node

    def backward(self, truth: Truth) -> list[ast.stmt]:
        """Return the statements of the backward, as the truth says where it is."""
        begins, ends = self._lines(truth.backward), self._lines(truth.after)
        assert begins, truth.backward
        found, functions = {}, {node.lineno for node in ast.walk(self.tree) if isinstance(node, Function)}
        for node in ast.walk(self.tree):
            around = list(self.functions(node)) if isinstance(node, ast.stmt) else []
            if not isinstance(node, ast.stmt) or not around:
                continue
            first = around[0].body[0].lineno
            inside = any(f.lineno in begins for f in around) or any(
                first <= n <= node.lineno for n in begins - functions
            )
            if inside and not any(first <= n <= node.lineno for n in ends):
                found[self.span(node)] = node
        return [found[at] for at in sorted(found)]

    def _lines(self, marks: tuple[str, ...]) -> set[int]:
        """Return the numbers of the lines that begin as marks do."""
        text = "\n" + self.text.decode()
        return {
            text.count("\n", 0, at.start() + 1)
            for mark in marks
            for at in re.finditer("\n" + re.escape(mark), text)
        }
