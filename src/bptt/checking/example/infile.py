"""What a file itself has to show how it is called: docstrings, tests, its ``__main__`` block."""

import ast
import copy
import doctest
import itertools
import textwrap
from collections.abc import Iterable, Iterator

from bptt.checking.example.made import Example
from bptt.checking.file import Source, definitions

_PLAIN = {"print", "range", "len", "zip", "enumerate", "str", "int", "float", "min", "max"}
"""Calls of what only prints, counts or makes lists."""

_DEFINED = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef, ast.Import, ast.ImportFrom)


def stated(source: Source, run: bool = False) -> Iterator[Example]:
    """Yield the examples that stand in a file, as text.

    Parameters
    ----------
    source : Source
    run : bool
        Whether what the file does when it is run is an example, too: its ``__main__`` block, or else what
        stands at its top level. Loops run twice at most, and those without an end once.

    Yields
    ------
    Example
        Docstrings first, then tests. None of them was run.
    """
    functions = [n for n in ast.walk(source.tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    every: list[ast.AST] = [source.tree, *functions]
    for node in every:
        name = getattr(node, "name", "the file")
        examples = doctest.DocTestParser().get_examples(_docstring(node))
        if examples:
            yield Example("".join(e.source for e in examples), f"the docstring of {name}")
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef) and _is_test(node):
            yield Example(_body(node.body), f"{node.name}, {source.place(node.lineno)}")
        if isinstance(node, ast.ClassDef) and any("TestCase" in ast.unparse(base) for base in node.bases):
            yield from _test_case(node, source)
    if run:
        main = [n for n in source.tree.body if isinstance(n, ast.If) and "__main__" in ast.unparse(n.test)]
        if main:
            body, origin = main[0].body, f"the __main__ block, {source.place(main[0].lineno)}"
        else:
            kept = {id(node) for node in definitions(source)}
            body = [n for n in source.tree.body if id(n) not in kept and not isinstance(n, _DEFINED)]
            origin = "the top level of the file"
        body = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
        if body:
            yield Example(_body(_inlined(body, source.tree)), origin)


def _docstring(node: ast.AST) -> str:
    try:
        return ast.get_docstring(node) or ""  # type: ignore[arg-type]
    except TypeError:
        return ""


def _is_test(node: ast.FunctionDef) -> bool:
    given = node.args
    every = [*given.posonlyargs, *given.args]
    return node.name.startswith("test") and len(every) == len(given.defaults)


def _test_case(node: ast.ClassDef, source: Source) -> Iterator[Example]:
    methods = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    for name, method in methods.items():
        if name.startswith("test") and len(method.args.args) == 1:
            start = [f'self = {node.name}("{name}")', *["self.setUp()"] * ("setUp" in methods)]
            yield Example(
                "\n".join([*start, _body(method.body)]), f"{node.name}.{name}, {source.place(method.lineno)}"
            )


def _body(statements: Iterable[ast.stmt]) -> str:
    """Return statements as text that stands by itself, with short loops."""
    tree = ast.Module([copy.deepcopy(node) for node in statements], [])
    tree.body = list(itertools.takewhile(lambda node: not isinstance(node, ast.Return), tree.body))
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        del tree.body[0]  # its docstring
    return textwrap.dedent(ast.unparse(ast.fix_missing_locations(_ShortLoops().visit(tree))))


def _inlined(body: list[ast.stmt], tree: ast.Module) -> list[ast.stmt]:
    """Return a block; where it only calls a function that takes nothing, as ``main()``, that one's body."""
    functions = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.args.args}
    match body:
        case [ast.Expr(ast.Call(ast.Name(name), [], []))] if name in functions:
            return functions[name].body
    return body


class _ShortLoops(ast.NodeTransformer):
    """Makes loops at the outer level short: a training loop is an example twice over."""

    def visit_For(self, node: ast.For) -> ast.AST:
        calls = (n for part in node.body for n in ast.walk(part) if isinstance(n, ast.Call))
        if any(ast.unparse(call.func) not in _PLAIN for call in calls):
            text = f"list({ast.unparse(node.iter)})[:2]"
            match node.iter:
                case ast.Call(ast.Name("range"), [stop]):
                    text = f"range(min(2, {ast.unparse(stop)}))"
            node.iter = ast.parse(text, mode="eval").body
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        once = ast.parse(f"for _ in range(1):\n    if not ({ast.unparse(node.test)}): break").body[0]
        assert isinstance(once, ast.For)
        once.body = [*([] if isinstance(node.test, ast.Constant) else once.body), *node.body]
        return once

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return node
