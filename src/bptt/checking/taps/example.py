"""An example's statements: its arrays given names, and which names stand for the code under judgement."""

import ast
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bptt.checking.file import (
    Source,
    bound,
)
from bptt.checking.taps.names import root
from bptt.errors import DataError

LIBRARIES = frozenset(
    [
        "np",
        "numpy",
        "torch",
        "math",
        "random",
        "F",
        "nn",
        "jnp",
        "jax",
        "os",
        "sys",
        "time",
        "copy",
        "itertools",
        "functools",
        "collections",
    ]
)


class ExampleError(DataError):
    """The example cannot be run: one line, the place in the file and what happened there."""


def parsed(example: str) -> list[ast.stmt]:
    """Return an example's statements; raises ExampleError where it is not Python."""
    try:
        return ast.parse(example).body
    except SyntaxError as error:
        raise ExampleError(f"line {error.lineno} of the example is not Python: {error.msg}") from None


def with_names(statements: list[ast.stmt], tree: ast.Module, code: frozenset[str]) -> Iterator[ast.stmt]:
    """Give names to arrays that are written within a call: ``f(np.ones(3))`` is ``x = np.ones(3); f(x)``.

    The name is the parameter's, where the file says it and nothing else has it.
    """
    functions = {f.name: f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef)}
    for one in ast.walk(tree):
        if isinstance(one, ast.ClassDef):
            made = [f for f in one.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"]
            functions |= dict.fromkeys([one.name], made[0]) if made else {}
    taken = {n.id for one in statements for n in ast.walk(one) if isinstance(n, ast.Name)}
    taken |= {name for one in tree.body for name in bound(one)}
    for one in statements:
        for call in list(_calls(one))[::-1] if isinstance(one, ast.Assign | ast.Expr) else []:
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if root(call.func) not in code:
                continue
            function = functions.get(name)
            names = [a.arg for a in function.args.args] if function else []
            names = names[1:] if names[:1] in (["self"], ["cls"], ["ctx"]) else names
            for i, argument in enumerate(call.args):
                if not isinstance(
                    argument, ast.Call | ast.BinOp | ast.List | ast.ListComp | ast.Subscript | ast.UnaryOp
                ):
                    continue
                if _constant(argument) or any(isinstance(n, ast.Lambda) for n in ast.walk(argument)):
                    continue
                new = names[i] if i < len(names) else "given"
                while new in taken:
                    new += "_"
                taken.add(new)
                yield ast.fix_missing_locations(
                    ast.copy_location(ast.Assign([ast.Name(new, ast.Store())], argument), one)
                )
                call.args[i] = ast.copy_location(ast.Name(new, ast.Load()), argument)
        yield one


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a statement, without those in comprehensions and lambdas, which have own names."""
    if isinstance(tree, ast.Call):
        yield tree
    for child in ast.iter_child_nodes(tree):
        if not isinstance(child, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            yield from _calls(child)


def _constant(tree: ast.expr) -> bool:
    try:
        ast.literal_eval(tree)
    except ValueError:
        return False
    return True


def code_names(
    source: Source, statements: Sequence[ast.stmt], resolve: Callable[[str], Path | None]
) -> frozenset[str]:
    """Return the names that stand for the file's code: what it defines, and what an example makes of that."""
    names: set[str] = set()
    for one in source.tree.body:
        if isinstance(one, ast.Import | ast.ImportFrom):
            module = one.names[0].name if isinstance(one, ast.Import) else one.module or one.names[0].name
            if not resolve(module) and not (isinstance(one, ast.ImportFrom) and one.level):
                continue
        names |= set(bound(one))
    for one in statements:
        parts: list[ast.AST] = [one]
        if (
            isinstance(one, ast.Assign)
            and isinstance(one.value, ast.Tuple)
            and isinstance(one.targets[0], ast.Tuple)
        ):
            parts = [ast.Assign([t], v) for t, v in zip(one.targets[0].elts, one.value.elts, strict=False)]
        for part in parts:
            if any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(part)):
                names |= set(bound(part))
    return frozenset(names - LIBRARIES)


def calls_code(statement: ast.AST, names: frozenset[str]) -> bool:
    """Return whether a statement of the example calls the file's code, not only NumPy."""
    return any(isinstance(node, ast.Call) and root(node.func) in names for node in ast.walk(statement))
