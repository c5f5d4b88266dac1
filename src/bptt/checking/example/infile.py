"""What a file itself has to show how it is called: docstrings, tests, its ``__main__`` block."""

import ast
import copy
import doctest
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator

from bptt.checking.example.names import namespace
from bptt.checking.example.pieces import TRAINS
from bptt.checking.example.roles import kinds
from bptt.checking.example.texts import SIZES, Example
from bptt.checking.example.trial import run
from bptt.checking.file import Source

_DEFINED = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)


def stated(source: Source) -> Iterator[Example]:
    """Yield the examples that stand in a file, as text, docstrings first, then tests; none was run."""
    functions = [n for n in ast.walk(source.tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    for one in (source.tree, *functions):
        name = getattr(one, "name", "the file")
        examples = doctest.DocTestParser().get_examples(ast.get_docstring(one) or "")
        if examples:
            yield Example("".join(e.source for e in examples), f"the docstring of {name}")
    for node in source.tree.body:
        match node:
            case ast.FunctionDef(name, args) if name.startswith("test"):
                if len([*args.posonlyargs, *args.args]) == len(args.defaults):
                    yield Example(_body(node.body), f"{name}, {source.place(node.lineno)}")
            case ast.ClassDef(bases=bases) if any("TestCase" in ast.unparse(base) for base in bases):
                yield from _test_case(node, source)


def main_program(source: Source) -> Iterator[Example]:
    """Yield what a file does when it is run: its ``__main__`` block, or else what stands at its top level.

    It is made short: a loop that trains runs once, with few units, and all ends where something fails.
    """
    main = [n for n in source.tree.body if isinstance(n, ast.If) and "__main__" in ast.unparse(n.test)]
    if main:
        body, origin = main[0].body, f"the __main__ block, {source.place(main[0].lineno)}"
    else:
        body = [n for n in source.tree.body if not isinstance(n, _DEFINED)]
        origin = "the top level of the file"
    lines = _body(_inlined(body, source.tree))
    trial = run(lines, namespace(source, {}))
    if trial.error is not None:  # what cannot be run, or prints and draws at the end, is left out
        ran = [n for n in ast.parse(lines).body if (n.end_lineno or 0) <= trial.done + lines.count("\n") + 1]
        lines = ast.unparse(ast.Module(ran, []))
    if _trains(ast.parse(lines)):
        yield Example(lines, origin)


def _test_case(node: ast.ClassDef, source: Source) -> Iterator[Example]:
    methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    for name, method in methods.items():
        if name.startswith("test") and len(method.args.args) == 1:
            start = [f'self = {node.name}("{name}")', *["self.setUp()"] * ("setUp" in methods)]
            yield Example(
                "\n".join([*start, _body(method.body)]), f"{node.name}.{name}, {source.place(method.lineno)}"
            )


def _body(statements: Iterable[ast.stmt]) -> str:
    """Return statements as text that stands by itself, which trains once."""
    tree = ast.Module([copy.deepcopy(node) for node in statements], [])
    tree.body = list(itertools.takewhile(lambda node: not isinstance(node, ast.Return), tree.body))
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        del tree.body[0]  # its docstring
    return textwrap.dedent(ast.unparse(ast.fix_missing_locations(_Short().visit(tree))))


def _inlined(body: list[ast.stmt], tree: ast.Module) -> list[ast.stmt]:
    """Return a block with, in place of calls of functions that take nothing, as ``main()``, their bodies."""
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.args.args}
    found = list[ast.stmt]()
    for node in body:
        match node:
            case ast.Expr(ast.Call(ast.Name(name), [], [])) if name in functions:
                found += functions[name].body
            case _:
                found.append(node)
    return found


class _Short(ast.NodeTransformer):
    """Makes a program short: what trains runs once, with few units."""

    def visit_For(self, node: ast.For) -> ast.AST:
        back = re.search(r"reversed\(|\[::-1\]|, -1\)", ast.unparse(node.iter))
        if _trains(node) and not back:
            node.iter = ast.parse(f"list({ast.unparse(node.iter)})[:1]", mode="eval").body
        return node if back else self.generic_visit(node)

    def visit_While(self, node: ast.While) -> ast.AST:
        once = ast.parse(f"for _ in range(1):\n    if not ({ast.unparse(node.test)}): break").body[0]
        assert isinstance(once, ast.For)
        once.body = [*([] if isinstance(node.test, ast.Constant) else once.body), *node.body]
        return self.generic_visit(once if _trains(node) else node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        match node:  # what an update changes stays the array that it was
            case ast.Assign([ast.Name(name)], ast.BinOp(ast.Name(own), ast.Sub() | ast.Add() as op, by)):
                if name == own:
                    return ast.AugAssign(node.targets[0], op, by)  # type: ignore[arg-type]
        node.value = _small(getattr(node.targets[0], "id", ""), node.value)
        return self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        node.value = _small(node.arg or "", node.value)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        return node

    visit_ClassDef = visit_FunctionDef


def _trains(loop: ast.AST) -> bool:
    calls = (n.func for n in ast.walk(loop) if isinstance(n, ast.Call))
    return any(TRAINS.search(getattr(func, "attr", getattr(func, "id", ""))) for func in calls)


def _small(name: str, value: ast.expr) -> ast.expr:
    """Return a smaller number of passes, or of units."""
    match value, kinds(name)[:1]:
        case ast.Constant(int(n)), ("once",) if n > 1:
            return ast.Constant(1)
        case ast.Constant(int(n)), ("size:H",) if n > SIZES["H"]:
            return ast.Constant(SIZES["H"])
    return value
